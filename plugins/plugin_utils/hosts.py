# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine hosts there are, held against which there should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def host_problems(wanted: Iterable[Mapping[str, Any]], groups: Mapping[str, Iterable[str]]) -> list[str]:
    """How the inventory's `groups` differ from the `wanted` hosts, in a few words for each group that does.

    `wanted` has shard, replica and role of each host (zone is not judged).  A host is called engine-SHARD-REPLICA and
    belongs to `engine_hosts`, to `engine_ROLE` and to `shard_SHARD`.
    """
    expected: dict[str, set[str]] = {"engine_hosts": set(), "engine_primary": set(), "engine_standby": set()}
    for host in wanted:
        name = f"engine-{host['shard']}-{host['replica']}"
        for group in ("engine_hosts", f"engine_{host['role']}", f"shard_{host['shard']}"):
            expected.setdefault(group, set()).add(name)
    for group in groups:
        if group.startswith("shard_"):  # a shard that nobody asked for
            expected.setdefault(group, set())
    problems = []
    for group, names in expected.items():
        found = set(groups.get(group, ()))
        if found == names:
            continue
        if names and not found:
            problems.append(f"{group} has no host; wanted: {_listed(names)}")
            continue
        if names - found:
            problems.append(f"{group} lacks {_listed(names - found)}")
        if found - names:
            problems.append(f"{group} has {_listed(found - names)}, which nobody asked for")
    return problems


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
