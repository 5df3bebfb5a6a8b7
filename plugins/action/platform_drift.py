# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what of an environment is not as its inventory describes it, from what a preview of this run has counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]
from ansible_collections.ironbook.trading.plugins.plugin_utils import plan_tally


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail where there is drift; ask nothing of AWS."""
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(
            {
                "unmarked": {"type": "list", "elements": "dict", "required": True},
                "problems": {"type": "list", "elements": "str", "default": []},
            }
        )
        if not plan_tally.RUN.begun:
            return {"failed": True, "msg": "nothing was counted: this needs stdout_callback = ironbook.trading.brief"}
        found = drift(plan_tally.RUN.lines()[:-1], given["unmarked"], given["problems"])
        if found:
            return {
                "failed": True,
                "drift": found,
                "msg": f"{len(found)} not as the inventory says: {'; '.join(found)}",
            }
        return {"changed": False, "drift": []}


def drift(planned: Sequence[str], unmarked: Sequence[Mapping[str, Any]], problems: Sequence[str]) -> list[str]:
    """Return a line for each thing: what provision would do, what lacks its tags, what the verification says."""
    lacking = [
        f"{item['kind']} {item['id']} lacks the tags that say whose it is: {item['reason']}" for item in unmarked
    ]
    return [*planned, *lacking, *problems]
