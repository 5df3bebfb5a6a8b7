# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables there are: the union of all roles' meta/argument_specs.yml, and of their meta/limits.yml.

argument_specs.yml is Ansible's own: names, types, choices.  limits.yml is ours, for what a type cannot say: a mapping
from a variable's name to `minimum`, `maximum`, `pattern` (the whole value has to match), `format` (`cidr` or
`public_ip`), or, for a list, `items` with any of these, for a mapping, `options` with any of these for some of its
keys.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds.customer_gateway import (
    is_public,
)

LIMITS = ("minimum", "maximum", "pattern", "format", "items", "options")


@dataclass(frozen=True)
class Declarations:
    """`specs`: an argument spec for each variable.  `limits`: limits for some.  `prefixes`: how our names begin."""

    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ("ironbook_",)


def read(collection: Path, roles: str = "*") -> Declarations:
    """The declarations of the roles whose names match `roles`, of the collection that lies at `collection`.

    A variable that several roles declare (ironbook_tags, say) keeps the first declaration in the roles' order; that
    they agree is a matter of the repository's own tests.
    """
    specs: dict[str, Mapping[str, Any]] = {}
    limits: dict[str, Mapping[str, Any]] = {}
    for path in sorted(collection.glob(f"roles/{roles}/meta/argument_specs.yml")):
        entry_points = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("argument_specs", {})
        for entry_point in entry_points.values():
            for name, spec in (entry_point.get("options") or {}).items():
                specs.setdefault(name, spec)
    for path in sorted(collection.glob(f"roles/{roles}/meta/limits.yml")):
        limits.update(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    names = sorted(path.name for path in collection.glob("roles/*"))
    return Declarations(specs, limits, ("ironbook_", *(f"{name}_" for name in names)))


def beyond_limits(value: Any, limits: Mapping[str, Any]) -> list[str]:
    """How `value` breaks `limits`, each as the end of a sentence that begins with the variable."""
    problems = []
    if "minimum" in limits and value < limits["minimum"]:
        problems.append(f"is {value}; the least is {limits['minimum']}")
    if "maximum" in limits and value > limits["maximum"]:
        problems.append(f"is {value}; the most is {limits['maximum']}")
    if "pattern" in limits and not re.fullmatch(limits["pattern"], str(value)):
        problems.append(f"is {str(value)!r}; it has to match {limits['pattern']}")
    if limits.get("format") == "cidr" and not _is_cidr(str(value)):
        problems.append(f"is {str(value)!r}; a network such as 10.0.0.0/16 is wanted, without bits of a host")
    if limits.get("format") == "public_ip" and not is_public(str(value)):
        problems.append(f"is {str(value)!r}; an IPv4 address that the internet knows is wanted")
    if "items" in limits:
        problems += [
            f"has an item that {problem}" for item in value for problem in beyond_limits(item, limits["items"])
        ]
    problems += [
        f"has the key {key}, which {problem}"
        for key, of_key in limits.get("options", {}).items()
        if value.get(key) is not None  # a key that was left out has the value None behind an argument spec
        for problem in beyond_limits(value[key], of_key)
    ]
    return problems


def _is_cidr(text: str) -> bool:
    try:
        return "/" in text and ipaddress.ip_network(text).version == 4
    except ValueError:
        return False
