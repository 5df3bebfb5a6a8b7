# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges security groups: each has exactly the rules that its role describes, no more and no fewer.  Pure.

A rule is held against another in its simplest form: who may reach which port, one address or one group each, so that
it does not matter how AWS puts rules together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

ALL = "-1"  # EC2's name for every protocol, which then has no ports


class Rule(NamedTuple):
    """One peer may use some ports.  `peer`: an address range, the name of a group, or the id of a prefix list."""

    direction: str
    protocol: str
    first: int | None
    last: int | None
    peer: str

    def __str__(self) -> str:
        """`ingress tcp 22 from 0.0.0.0/0`."""
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        what = (
            "everything" if self.protocol == ALL else f"{self.protocol} {'' if self.first is None else ports}".strip()
        )
        return f"{self.direction} {what} {'from' if self.direction == 'ingress' else 'to'} {self.peer}"


def wanted_rules(group: Mapping[str, Any]) -> set[Rule]:
    """The rules of a group whose `ingress` and `egress` are as amazon.aws.ec2_security_group takes them.

    Each has proto, ports (numbers or `first-last`; none: all of them) and cidr_ip (one or several) or group_name.
    """
    return {
        Rule(direction, str(rule["proto"]), first, last, str(peer))
        for direction in ("ingress", "egress")
        for rule in group[direction]
        for first, last in map(_ports, rule.get("ports", [None]))
        for key in ("cidr_ip", "group_name")
        for peer in _listed(rule.get(key))
    }


def found_rules(group: Mapping[str, Any], names: Mapping[str, str]) -> set[Rule]:
    """The rules of a group as DescribeSecurityGroups tells them; `names`: id of each group -> its name."""
    return {
        Rule(direction, rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"), peer)
        for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress"))
        for rule in group[key]
        for peer in _peers(rule, names)
    }


def problems(wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each group or rule that is missing or that nobody described.

    `wanted`: name, ingress, egress of each group.  `found`: id, name, and `rules`, a set of Rule.
    """
    by_name = {group["name"]: group for group in found}
    described = {group["name"]: wanted_rules(group) for group in wanted}
    for name, rules in described.items():
        if name not in by_name:
            yield f"security group {name} does not exist"
            continue
        there = by_name[name]["rules"]
        yield from (f"security group {name} lacks the rule: {rule}" for rule in _sorted(rules - there))
        yield from (
            f"security group {name} has a rule that nobody described: {rule}" for rule in _sorted(there - rules)
        )
    for group in found:
        if group["name"] not in described:
            yield f"security group {group['id']} ({group['name']}) is not described anywhere"


def _sorted(rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rules, key=str)


def _ports(ports: int | str | None) -> tuple[int | None, int | None]:
    if ports is None:
        return None, None
    first, _dash, last = str(ports).partition("-")
    return int(first), int(last or first)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _peers(rule: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    yield from (entry["CidrIp"] for entry in rule.get("IpRanges", ()))
    yield from (entry["CidrIpv6"] for entry in rule.get("Ipv6Ranges", ()))
    yield from (entry["PrefixListId"] for entry in rule.get("PrefixListIds", ()))
    yield from (names.get(pair["GroupId"], pair["GroupId"]) for pair in rule.get("UserIdGroupPairs", ()))
