# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the boxes that roles declare, and draws them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ironbook.trading.plugins.plugin_utils import declared, diagram


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Draw, and write what has changed. Nothing is asked of AWS."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec({"path": {"type": "path", "required": True}})
        boxes, lines, roles = [], [], []
        try:
            for role, drawn in self._drawn(task_vars or {}):
                boxes += drawn["boxes"]
                roles += [role] if drawn["boxes"] else []
                lines += [diagram.Line(line["from"], line["to"], line.get("says", "")) for line in drawn["lines"]]
            outermost = diagram.arrange(diagram.tree(boxes))
        except ValueError as error:
            return {"failed": True, "msg": f"meta/diagram.yml of the roles: {error}"}
        there = {box["id"] for box in boxes}
        lines = [line for line in lines if {line.start, line.end} <= there]
        texts = {"svg": diagram.svg(outermost, lines), "drawio": diagram.drawio(outermost, lines)}
        return self._write(arguments["path"], texts) | {"roles": roles}

    def _write(self, path: str, texts: Mapping[str, str]) -> dict[str, Any]:
        diffs = []
        for ending, text in texts.items():
            file = Path(f"{path}.{ending}")
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            if before != text:
                names = {"before_header": str(file), "after_header": str(file)}
                diffs.append(names | {"before": before, "after": text})
                if not self._play_context.check_mode:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    new = file.with_name(f".{file.name}.new")
                    new.write_text(text, encoding="utf-8")
                    os.replace(new, file)
        return {"changed": bool(diffs), "diff": diffs, "files": [f"{path}.{ending}" for ending in texts]}

    def _drawn(self, variables: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, list[dict[str, Any]]]]]:
        """Each role's boxes and lines, with their Jinja filled in; a role's defaults give way to the inventory.

        What has `each`, a list, is there once for every `item` of it, whose number is `index`.
        """
        for role, said, known in declared.unfilled("diagram.yml", self._loader, variables):
            found: dict[str, list[dict[str, Any]]] = {"boxes": [], "lines": []}
            for sort, there in found.items():
                for one in said.get(sort, ()):
                    rest = {key: value for key, value in one.items() if key != "each"}
                    items = self._filled(one["each"], known) if "each" in one else [None]
                    for index, item in enumerate(items):
                        there.append(self._filled(rest, known | {"item": item, "index": index}))
            yield role, found

    def _filled(self, value: Any, variables: Mapping[str, Any]) -> Any:
        return self._templar.copy_with_new_env(available_variables=variables).template(value)
