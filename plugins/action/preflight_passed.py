# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers, for this run of Ansible alone, that preflight has passed."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import run


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail where a part of preflight was left out."""
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        return {"changed": False} if run.remember_passed() else {"failed": True, "msg": run.NOT_PASSED}
