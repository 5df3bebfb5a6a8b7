# SPDX-License-Identifier: GPL-3.0-or-later
"""The shard map: symbol -> shard -> hosts, as the inventory says it, and what is wrong with one.

It is explicit: a symbol's shard is never computed from its name, since that would move symbols whenever a shard is
added. It has a version, which rises with each change of it, and a digest over what it says, so that two hosts can tell
whether they mean the same map. Pure: nothing is asked of anything.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PRODUCTION = "production"
MEMBERS_WANTED = 3  # one primary and two hot standbys: one may be lost and trading goes on
MEMBERS_MAX = 8  # IB_REPLICA_MEMBERS_MAX of the core
SHARD_MAX = 99  # engine_config.py, as the pattern of a symbol
_SYMBOL = re.compile(r"[A-Z0-9.+=*^#-]{1,8}\Z")

_CONSEQUENCES = {
    1: "nothing is replicated: with its host trading ends, and with its disk what was acknowledged is lost",
    2: "when one host is lost, the other takes cancels alone until it is back",
}


@dataclass(frozen=True)
class Deployed:
    """The map that a host was deployed with, and the symbol that is just being moved, which alone may change its shard.

    `symbols`: the shard of each; empty of a host that was deployed before that was remembered.
    """

    version: int
    sha256: str
    symbols: Mapping[str, int] = field(default_factory=dict)
    moving: str = ""


@dataclass(frozen=True)
class Findings:
    """What is wrong, one line each; what is allowed and has a price, one line each; and the map's digest."""

    problems: list[str] = field(default_factory=list)
    consequences: list[str] = field(default_factory=list)
    sha256: str = ""
    symbols: dict[str, int] = field(default_factory=dict)  # the shard of each


def check(  # noqa: PLR0913, PLR0917  (a map has these parts)
    shards: Sequence[Mapping[str, Any]],
    hosts: Sequence[Mapping[str, Any]],
    zones: Sequence[str],
    environment: str,
    version: int,
    deployed: Deployed | None = None,
) -> Findings:
    """Judge a map.

    `shards`: {shard, symbols} each. `hosts`: {shard, replica, zone, role} each, of which exactly one of each shard has
    the role primary: it is preferred, and any in-sync member may be primary. `version`: of the map, 0 where it has
    none. `deployed`: what a host has, None where it has nothing yet.
    """
    return Findings(
        problems=[
            *_of_symbols(shards),
            *_of_hosts(shards, hosts, zones, environment),
            *_of_version(shards, hosts, environment, version, deployed),
            *_of_moves(shards, deployed),
        ],
        consequences=list(_consequences(shards, hosts)),
        sha256=digest(shards, hosts),
        symbols=_shard_of(shards),
    )


def digest(shards: Sequence[Mapping[str, Any]], hosts: Sequence[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of what a map says, whatever the order of its entries.

    The order of a shard's symbols counts, because it numbers the instruments. Which member is preferred does not: it
    may change with each switchover.
    """
    said = {
        "shards": sorted(([shard["shard"], list(shard["symbols"])] for shard in shards), key=lambda one: one[0]),
        "hosts": sorted([host["shard"], host["replica"], host["zone"]] for host in hosts),
    }
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def _of_symbols(shards: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for shard, count in Counter(shard["shard"] for shard in shards).items():
        if count > 1:
            yield f"shard {shard} is there {count} times: make it one entry"
        if not 0 <= shard <= SHARD_MAX:
            yield f"shard {shard}: shards are numbered from 0 to {SHARD_MAX}"
    found: dict[str, list[int]] = {}
    for shard in shards:
        if not shard["symbols"]:
            yield f"shard {shard['shard']} has no symbols: add them, or remove it"
        for symbol in shard["symbols"]:
            found.setdefault(symbol, []).append(shard["shard"])
            if not _SYMBOL.match(symbol):
                yield f"symbol {symbol!r} of shard {shard['shard']}: 1 to 8 capital letters or digits are wanted"
    for symbol, numbers in found.items():
        if len(set(numbers)) > 1:
            yield f"symbol {symbol} is in shards {_listed(sorted(set(numbers)))}: leave it in one"
        elif len(numbers) > 1:
            yield f"symbol {symbol} is in shard {numbers[0]} twice: name it once"


def _of_hosts(
    shards: Sequence[Mapping[str, Any]], hosts: Sequence[Mapping[str, Any]], zones: Sequence[str], environment: str
) -> Iterator[str]:
    known = {shard["shard"] for shard in shards}
    for host in hosts:
        if host["shard"] not in known:
            yield f"{_name(host)} is of shard {host['shard']}, which the map does not have: add the shard, or remove it"
        if host["zone"] not in zones:
            yield f"{_name(host)} is in zone {host['zone']}, which is none of ironbook_zones ({_listed(zones)})"
        if not 0 <= host["replica"] < MEMBERS_MAX:
            yield f"{_name(host)}: replicas are numbered from 0 to {MEMBERS_MAX - 1}"
    for name, count in Counter(map(_name, hosts)).items():
        if count > 1:
            yield f"{name} is there {count} times: give each host of a shard a replica number of its own"
    for number in sorted(known):
        yield from _of_members(number, [host for host in hosts if host["shard"] == number], environment)


def _of_members(shard: int, members: Sequence[Mapping[str, Any]], environment: str) -> Iterator[str]:
    preferred = [_name(host) for host in members if host["role"] == "primary"]
    if not members:
        yield f"shard {shard} has no host: add its hosts to ironbook_engine_hosts"
    elif not preferred:
        yield f"shard {shard} has no host of role primary: say which one is to begin ({_listed(map(_name, members))})"
    elif len(preferred) > 1:
        yield f"shard {shard} has {len(preferred)} hosts of role primary ({_listed(preferred)}): one may be preferred"
    replicas = sorted({host["replica"] for host in members})
    if replicas != list(range(len(replicas))) and set(replicas) <= set(range(MEMBERS_MAX)):
        # Members know each other by the place in a list (engine.json).
        yield f"shard {shard} has replicas {_listed(replicas)}: number its hosts from 0 without a gap"
    zones: dict[str, list[str]] = {}
    for host in members:
        zones.setdefault(host["zone"], []).append(_name(host))
    for zone, names in zones.items():
        if len(set(names)) > 1:
            yield (
                f"shard {shard} has {_listed(sorted(set(names)))} in zone {zone}, and would lose them together: "
                "give each a zone of its own"
            )
    if environment == PRODUCTION and 0 < len(members) < MEMBERS_WANTED:
        yield (
            f"shard {shard} has {len(members)} of the {MEMBERS_WANTED} hosts that production needs: "
            f"{_CONSEQUENCES[len(members)]}"
        )


def _of_version(
    shards: Sequence[Mapping[str, Any]],
    hosts: Sequence[Mapping[str, Any]],
    environment: str,
    version: int,
    deployed: Deployed | None,
) -> Iterator[str]:
    if version < 0:
        yield f"the map's version is {version}: give it a whole number from 1, or 0 for none"
    if version == 0 and environment == PRODUCTION:
        yield "the map has no version, and production needs one: set it to 1, and raise it with each change of the map"
    if deployed is None or (version == 0 and deployed.version == 0):
        return
    if version < deployed.version:
        yield (
            f"the map has version {version}, and version {deployed.version} is deployed: this inventory is an older one"
        )
    elif version == deployed.version and (found := digest(shards, hosts)) != deployed.sha256:
        yield (
            f"the map of version {version} is another one than is deployed (sha256 {found[:12]}, there "
            f"{deployed.sha256[:12]}): raise the version to {version + 1} if the change is meant"
        )


def _shard_of(shards: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {symbol: shard["shard"] for shard in shards for symbol in shard["symbols"]}


def _of_moves(shards: Sequence[Mapping[str, Any]], deployed: Deployed | None) -> Iterator[str]:
    """A start of an engine adds what its configuration names, while the other shard still trades it."""
    if deployed is None:
        return
    now = _shard_of(shards)
    for symbol, before in sorted(deployed.symbols.items()):
        if symbol in now and now[symbol] != before and symbol != deployed.moving:
            yield (
                f"symbol {symbol} is of shard {before} by the map of version {deployed.version} that is deployed, and "
                f"of shard {now[symbol]} by this one: both would trade it; move it with the playbook move_symbol"
            )


def _consequences(shards: Sequence[Mapping[str, Any]], hosts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for shard in shards:
        count = sum(host["shard"] == shard["shard"] for host in hosts)
        if count in _CONSEQUENCES:
            yield f"shard {shard['shard']} has {count} of {MEMBERS_WANTED} hosts: {_CONSEQUENCES[count]}"


def _name(host: Mapping[str, Any]) -> str:
    return f"engine-{host['shard']}-{host['replica']}"


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))
