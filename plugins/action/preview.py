# SPDX-License-Identifier: GPL-3.0-or-later
"""Says in check mode what a module would make that cannot preview it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Report a change and make none."""
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(
            {name: {"type": "str", "required": True} for name in ("kind", "name", "says")}
        )
        if not self._task.check_mode:
            return {"failed": True, "msg": f"{given['kind']} {given['name']} is only previewed: give --check"}
        action = {"kind": given["kind"], "name": given["name"], "action": "create"}
        # As ansible.builtin.debug does: what is said is shown beside the change.
        said = f"{given['name']}: {given['says']}"
        return {"changed": True, "actions": [action], "msg": said, "_ansible_verbose_always": True}
