# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the outputs that roles declare, and shows them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ironbook.trading.plugins.plugin_utils.declared import of_roles

# Shown in place of a value that there is not: the resource has not been made.
NOT_THERE = "(not there yet)"
# What an output may tell of any resource; all else is of its kind.
OF_ANY = ("id", "name", "arn")

Resource = Mapping[str, Any]


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resolve what is asked for and show it; nothing is asked of AWS here."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            {"resources": {"type": "list", "elements": "dict", "required": True}, "output": {"type": "str"}}
        )
        declared = self._declared(task_vars or {})
        only = arguments["output"]
        if only and only not in declared:
            near = difflib.get_close_matches(only, declared, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            return {
                "failed": True,
                "msg": f"there is no output {only}{hint or '.'} There are: {', '.join(sorted(declared))}",
            }
        names = [only] if only else sorted(declared)
        try:
            outputs = {name: value_of(declared[name], arguments["resources"]) for name in names}
        except LookupError as error:
            return {"failed": True, "msg": str(error.args[0])}
        if only and None in _listed(outputs[only]):
            kind, wanted = declared[only]["kind"], ", ".join(_names(declared[only]))
            return {"failed": True, "msg": f"output {only}: not every {kind} of {wanted} is there: provision it first"}
        for name, value in outputs.items():
            lines = [NOT_THERE if one is None else str(one) for one in _listed(value)]
            for line in lines if only else [f"  {name:<32} {', '.join(lines)}"]:
                self._display.display(line)
        return {"changed": False, "outputs": outputs}

    def _declared(self, variables: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the outputs of all roles, with their Jinja filled in; a role's defaults give way to the inventory."""
        declared: dict[str, Mapping[str, Any]] = {}
        for mapping in of_roles("outputs.yml", self._loader, self._templar, variables):
            declared.update(mapping)
        return declared


def value_of(output: Mapping[str, Any], resources: Sequence[Resource]) -> Any:
    """Return what an output tells; None for each resource that is not there. LookupError: a value that no kind has."""
    values = [_value(output, name, resources) for name in _names(output)]
    return values if "names" in output else values[0]


def _value(output: Mapping[str, Any], name: str, resources: Sequence[Resource]) -> Any:
    found = [each for each in resources if (each["kind"], each["name"]) == (output["kind"], name)]
    if not found:
        return None
    if len(found) > 1:
        ids = ", ".join(each["id"] for each in found)
        raise LookupError(f"several of {output['kind']} are named {name} ({ids}): rename all but one")
    value = output["value"]
    known = {key: found[0][key] for key in OF_ANY} | found[0]["shown"]
    if value not in known:
        raise LookupError(f"{output['kind']} {name} has no {value}; there is: {', '.join(sorted(known))}")
    return known[value]


def _names(output: Mapping[str, Any]) -> list[str]:
    return list(output["names"]) if "names" in output else [output["name"]]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
