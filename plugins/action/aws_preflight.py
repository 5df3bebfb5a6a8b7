# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what roles need of the account, and has the module of the same name hold it against what there is."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ironbook.trading.plugins.plugin_utils import declared


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Gather the needs, run the module, and show its notes."""
        super().run(tmp, task_vars)
        needs: dict[str, list[Any]] = {}
        for mapping in declared.of_roles("needs.yml", self._loader, self._templar, task_vars or {}):
            for kind, wanted in mapping.items():
                needs.setdefault(kind, []).extend(wanted)
        done: dict[str, Any] = self._execute_module(
            module_name="ironbook.trading.aws_preflight",
            module_args={**self._task.args, "needs": needs},
            task_vars=task_vars,
        )
        for note in done.get("notes", ()):
            self._display.display(f"  {note}")
        problems = done.get("problems", ())
        if len(problems) > 1:
            for line in problems:
                self._display.error(line, wrap_text=False)
            done["msg"] = f"{len(problems)} problems, listed above; nothing was touched"
        return done
