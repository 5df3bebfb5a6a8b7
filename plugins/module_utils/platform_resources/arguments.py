# SPDX-License-Identifier: GPL-3.0-or-later
"""What both modules take and what they say of it, made from the declarations.

Ansible checks the types, the choices and what has to be there before the engine sees anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .kind import IN_PLACE, REPLACE, TAGS, Field, Kind

STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
CHANGES = {
    IN_PLACE: "",
    REPLACE: "Where it changes, the resource is deleted and made anew.",
    "never": "It cannot be changed.",
}


def arguments(kinds: Mapping[str, Kind]) -> dict[str, dict[str, Any]]:
    """Return what platform_resources takes: a list for each kind, beside what holds for the run."""
    spec: dict[str, dict[str, Any]] = {
        "tags": {"type": "dict", "required": True},
        "adopt": {"type": "bool", "default": False},
        "deadline": {"type": "int", "default": 900},
        "purge": _purge(kinds),
    }
    for kind in kinds.values():
        required = [field.name for field in kind.fields if field.required]
        spec[kind.plural] = {
            "type": "list",
            "elements": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "state": STATE,
                **{field.name: _argument(field) for field in kind.fields},
            },
            # Whoever removes one names it, and need not describe it any more.
            "required_if": [("state", "present", required)] if required else [],
        }
    return spec


def info_arguments(kinds: Mapping[str, Kind]) -> dict[str, dict[str, Any]]:
    """Return what platform_resources_info takes."""
    listed = {"type": "list", "elements": "str", "choices": sorted(kinds), "default": sorted(kinds)}
    return {"tags": {"type": "dict", "required": True}, "kinds": listed}


def documentation(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the options of platform_resources as its documentation has them, but for those of the run."""
    says = "Kinds of which every resource of the platform is removed that is not listed here; others are left alone."
    options = {"purge": {**_purge(kinds), "description": [says]}}
    for name, spec in arguments(kinds).items():
        kind = next((kind for kind in kinds.values() if kind.plural == name), None)
        if kind is not None:
            described = {
                "name": {**spec["options"]["name"], "description": ["Its name."]},
                "state": {**STATE, "description": ["Whether it shall be there."]},
            }
            for field in kind.fields:
                described[field.name] = {**_argument(field), "description": _says(field)}
            for option in described.values():
                option.pop("no_log", None)
            options[name] = {"type": "list", "elements": "dict", "description": [kind.says], "suboptions": described}
    return options


def info_documentation(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the option of platform_resources_info that depends on the kinds, as its documentation has it."""
    return {"kinds": {**info_arguments(kinds)["kinds"], "description": ["Which kinds are read."]}}


def _purge(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    return {"type": "list", "elements": "str", "choices": sorted(kinds), "default": []}


def _argument(field: Field) -> dict[str, Any]:
    argument: dict[str, Any] = {"type": field.type}
    if field.default is not None and field.default is not TAGS:
        argument["default"] = field.default
    if field.choices:
        argument["choices"] = list(field.choices)
    if field.elements:
        argument["elements"] = field.elements
    if "key" in field.name:
        argument["no_log"] = False  # the name of a key is none
    return argument


def _says(field: Field) -> list[str]:
    need = "Required where it shall be there." if field.required else ""
    return [sentence for sentence in (field.says, need, CHANGES[field.change]) if sentence]
