# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory sets, held against what the roles declare.

Ansible takes a misspelt variable for a new one and goes on with the default.  In a venue that is a wrong figure in
production, so each name that an inventory sets has to be a declared one, of the declared type and within its limits.
Read are the YAML files of the inventory: group_vars, host_vars, and the `vars` and hosts of inventory files.  Files of
inventory plugins (they have a key `plugin`) describe a query and are left alone.

What is set on the command line (`-e`) is held against the same declarations, with one difference: a playbook of the
user's own may run ours, and its variables are not our business.  So an unknown name is refused there only where it
can have been meant for us: it begins with the name of one of our roles, or is nearly a variable that we declare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.splitter import parse_kv
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight.declarations import (
    Declarations,
    beyond_limits,
)

# What Ansible itself understands.
_OF_ANSIBLE = "ansible_"
_IGNORED = "INVENTORY_IGNORE_PATTERNS"
_SUFFIXES = {".yml", ".yaml", ".json", ""}
# How alike a name of the command line must be to one of ours to be taken for a slip, of 1. In an inventory, where every
# name must be ours, a looser match still helps (difflib's 0.6).
_SLIP, _HINT = 0.85, 0.6
_COMMAND_LINE = "-e"


class InventoryError(Exception):
    """A file of the inventory cannot be read.  The text names the file, and the line where there is one."""


@dataclass(frozen=True)
class Setting:
    """One variable that is set, and where (`file:line`, or `-e`).  `ours`: no role declaring it is an error."""

    name: str
    value: Any
    where: str
    ours: bool = True


def read(sources: Iterable[str], read_text: Callable[[Path], str] | None = None) -> list[Setting]:
    """Every setting of the inventories at `sources` (paths of directories or files; names of hosts are passed over).

    A file that Ansible is told to ignore (INVENTORY_IGNORE_PATTERNS) is ignored here too.

    `read_text` reads a file, decrypted where it needs to be.

    Raises InventoryError for a file that is not valid YAML.
    """
    reader = read_text or (lambda path: path.read_text(encoding="utf-8"))
    settings: list[Setting] = []
    for source in map(Path, sources):
        if not source.exists():
            continue
        root = source if source.is_dir() else source.parent
        for path in sorted(p for kind in ("group_vars", "host_vars") for p in (root / kind).rglob("*")):
            if path.is_file() and path.suffix in _SUFFIXES:
                settings += _settings(_load(path, reader(path)), path)
        for path in sorted(root.iterdir()) if source.is_dir() else [source]:
            ignored = any(re.search(pattern, path.name) for pattern in constants.config.get_config_value(_IGNORED))
            if path.is_file() and path.suffix in {".yml", ".yaml"} and not ignored:
                settings += _of_groups(_load(path, reader(path)), path)
    return settings


def read_command_line(options: Iterable[str], read_text: Callable[[Path], str] | None = None) -> list[Setting]:
    """Every setting of the `-e` options: `name=value …`, a mapping in YAML or JSON, or `@file`, as Ansible takes them.

    Raises InventoryError for what is not valid YAML.
    """
    reader = read_text or (lambda path: path.read_text(encoding="utf-8"))
    settings: list[Setting] = []
    for option in options:
        if option.startswith("@"):
            path = Path(option[1:])
            settings += _settings(_load(path, reader(path)), path)
        elif option[:1] in {"{", "["}:
            settings += [Setting(name, value, _COMMAND_LINE) for name, value, _line in _load(Path(option), option)]
        else:
            settings += [Setting(name, value, _COMMAND_LINE) for name, value in parse_kv(option).items()]
    return [replace(setting, ours=False) for setting in settings]


def problems(settings: Iterable[Setting], declared: Declarations, template: Callable[[Any], Any]) -> list[str]:
    """One line for each setting that is not declared, of the wrong type, or beyond its limits.

    `template` fills in Jinja; it raises LookupError for a value that cannot be known yet, which is then not judged.
    """
    lines = []
    for setting in settings:
        if setting.name.startswith(_OF_ANSIBLE):
            continue
        lines += [f"{setting.where}: {setting.name} {line}" for line in _problems_of(setting, declared, template)]
    return lines


def missing(known: Mapping[str, Any], declared: Declarations) -> list[str]:
    """One line for each required variable that `known`, the variables of localhost, does not have."""
    return [
        f"{name} is not set: {_first_line(spec.get('description', ''))}"
        for name, spec in declared.specs.items()
        if spec.get("required") and name not in known
    ]


def _problems_of(setting: Setting, declared: Declarations, template: Callable[[Any], Any]) -> list[str]:
    spec = declared.specs.get(setting.name)
    if spec is None:
        return _unknown(setting, declared)
    try:
        value = template(setting.value)
    except LookupError:
        return []
    checked = ArgumentSpecValidator({setting.name: _argument(spec)}).validate({setting.name: value})
    wrong = _wrong_type(value, spec, checked.error_messages)
    # `-e` gives text: its number is what is within the limits, or is not.
    return wrong or beyond_limits(checked.validated_parameters[setting.name], declared.limits.get(setting.name, {}))


def _unknown(setting: Setting, declared: Declarations) -> list[str]:
    near = get_close_matches(setting.name, declared.specs, n=1, cutoff=_HINT if setting.ours else _SLIP)
    if not near and not setting.ours and not setting.name.lstrip("_").startswith(declared.prefixes):
        return []
    remedy = f"did you mean {near[0]}?" if near else "remove it (each role's defaults/main.yml lists its variables)"
    return [f"is not a variable of any role; {remedy}"]


def _wrong_type(value: Any, spec: Mapping[str, Any], messages: Iterable[str]) -> list[str]:
    wanted = spec.get("type", "str")
    shown = "is wrong" if spec.get("no_log") else f"is {value!r}"
    if value is None:
        return [f"has no value; type {wanted} is wanted"]
    if wanted in {"int", "float"} and isinstance(value, bool):  # which Python would count as 0 or 1
        return [f"{shown}; type {wanted} is wanted"]
    if wanted in {"list", "dict"} and isinstance(value, str):  # which a module would split at commas, and a role not
        return [f"{shown}, which is text; type {wanted} is wanted (with -e: as JSON)"]
    if messages and wanted in {"bool", "float", "int"}:
        return [f"{shown}; type {wanted} is wanted"]
    return [f"is not as declared: {' '.join(message.split())}" for message in messages]


def _argument(spec: Mapping[str, Any]) -> dict[str, Any]:
    """`spec` as AnsibleModule wants it: without prose, and without defaults, which are not what is checked."""
    kept = {key: value for key, value in spec.items() if key in {"type", "elements", "choices", "required", "no_log"}}
    if "options" in spec:
        kept["options"] = {name: _argument(option) for name, option in spec["options"].items()}
    return kept


def _first_line(description: Any) -> str:
    text = description[0] if isinstance(description, list) and description else description
    return " ".join(str(text).split())


class _Loader(yaml.SafeLoader):
    """SafeLoader that takes Ansible's tags (!vault, !unsafe) for text."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: getattr(node, "value", ""))  # type: ignore[no-untyped-call]


def _load(path: Path, text: str) -> list[tuple[str, Any, int]]:
    """The mapping in `text` as (key, value, line), so that a message can name the line."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            return []
        return [
            (str(key.value), loader.construct_object(value, deep=True), key.start_mark.line + 1)
            for key, value in node.value
        ]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InventoryError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error


def _settings(entries: Iterable[tuple[str, Any, int]], path: Path) -> Iterator[Setting]:
    for name, value, line in entries:
        yield Setting(name, value, f"{path}:{line}")


def _of_groups(entries: list[tuple[str, Any, int]], path: Path) -> Iterator[Setting]:
    """What an inventory file sets beside naming hosts and groups."""
    if any(name == "plugin" for name, _value, _line in entries):
        return
    for _name, group, line in entries:
        yield from _of_group(group, f"{path}:{line}")


def _of_group(group: Any, where: str) -> Iterator[Setting]:
    group = group if isinstance(group, dict) else {}
    for variables in [group.get("vars"), *(group.get("hosts") or {}).values()]:
        for name, value in (variables or {}).items():
            yield Setting(name, value, where)
    for child in (group.get("children") or {}).values():
        yield from _of_group(child, where)
