# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows lines to the person at the terminal, also where the display of unchanged tasks is off."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Show the lines and change nothing."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            {"lines": {"type": "list", "elements": "str", "required": True}}
        )
        for line in arguments["lines"]:
            self._display.display(f"  {line}")
        return {"changed": False, "lines": arguments["lines"]}
