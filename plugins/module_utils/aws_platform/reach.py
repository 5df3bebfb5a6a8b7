# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can reach whom: a walk over what EC2's describe_* answers of routes, network ACLs and security groups.  Pure.

A packet has to be routed, leave its subnet and enter the other one past their ACLs, and leave and enter past the
security groups; what answers has to come back past the ACLs, which remember nothing. One that goes out through a NAT
gateway crosses that gateway's subnet, too.

Ports are sets of closed intervals, and addresses are tried one for each part into which the rules cut a network: so
what is said of every port and every address is said without trying each. What is looked at is IPv4 within one VPC; a
transit gateway, a VPN or the internet is taken to deliver whatever leads there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise, product
from typing import Any

Ports = tuple[tuple[int, int], ...]  # closed intervals, ascending, with a gap between any two

NONE: Ports = ()
EVERY: Ports = ((0, 65535),)
# What programs take for the port that they are answered on; NAT gateways and load balancers of AWS take all of it (VPC
# User Guide, "Ephemeral ports").
EPHEMERAL: Ports = ((1024, 65535),)
NUMBERS = {"icmp": "1", "tcp": "6", "udp": "17"}  # IANA; an ACL has these numbers, a security group the names
ALL = "-1"


@dataclass(frozen=True)
class End:
    """One end of a connection: addresses, and ids of the security groups there. None: whatever groups there may be.

    Outside the VPC nobody is in a group of it, and nobody's rules are known: `groups` means nothing there.
    """

    network: str
    groups: frozenset[str] | None = None


@dataclass(frozen=True)
class Reach:
    """`some`: ports that some address of the one end reaches at some address of the other; `all`: each at each."""

    some: Ports
    all: Ports


@dataclass(frozen=True)
class Network:
    """The VPC as EC2 tells it: the lists of describe_subnets, _route_tables, _network_acls and so on."""

    subnets: Sequence[Mapping[str, Any]]
    route_tables: Sequence[Mapping[str, Any]]
    acls: Sequence[Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]
    nat_gateways: Sequence[Mapping[str, Any]] = ()


def reach(network: Network, source: End, target: End, protocol: str = "tcp") -> Reach:
    """Which ports of `target` a program at `source` can use; `protocol`: tcp, udp, icmp, or a number of IANA.

    A protocol without ports is told as if it had them: every one, or none.
    """
    found = [
        _between(network, source, target, addresses, protocol)
        for addresses in product(_tried(network, source.network), _tried(network, target.network))
    ]
    return Reach(reduce(_union, (some for some, _every in found)), reduce(_common, (every for _some, every in found)))


def _tried(network: Network, wanted: str) -> list[IPv4Address]:
    """One address of each part of a network on which all rules, routes and subnets are of one mind."""
    whole = IPv4Network(wanted)
    starts = {int(whole[0])}
    for cidr in _cidrs(network):
        starts |= {int(cidr[0]), int(cidr[-1]) + 1}
    return [IPv4Address(start) for start in sorted(starts) if int(whole[0]) <= start <= int(whole[-1])]


def _cidrs(network: Network) -> Iterator[IPv4Network]:
    texts = [subnet["CidrBlock"] for subnet in network.subnets]
    texts += [route.get("DestinationCidrBlock") for table in network.route_tables for route in table["Routes"]]
    texts += [entry.get("CidrBlock") for acl in network.acls for entry in acl["Entries"]]
    for group in network.groups:
        rules = [*group["IpPermissions"], *group["IpPermissionsEgress"]]
        texts += [entry["CidrIp"] for rule in rules for entry in rule.get("IpRanges", ())]
    return (IPv4Network(text) for text in {text for text in texts if text})


def _between(
    network: Network, source: End, target: End, addresses: tuple[IPv4Address, IPv4Address], protocol: str
) -> tuple[Ports, Ports]:
    """Ports from one address to another; first where some port to be answered on is enough, then where each must do."""
    start, end = addresses
    path = _path(network, start, end)
    if path is None:
        return NONE, NONE
    there = _past_acls(network, path, start, end, protocol)
    there = _common(there, _past_groups(network, source, target, addresses, protocol))
    back = EVERY
    if NUMBERS.get(protocol) == NUMBERS["tcp"]:
        back = _past_acls(network, path[::-1], end, start, protocol)
    every = there if _common(back, EPHEMERAL) == EPHEMERAL else NONE
    return (there if back else NONE), every


def _path(network: Network, start: IPv4Address, end: IPv4Address) -> list[str | None] | None:
    """Ids of the subnets that are crossed, None for a place outside the VPC; None alone where no route leads."""
    here, there = (_subnet_of(network, address) for address in (start, end))
    if here is None and there is None:
        return None
    if here and there:
        return [here, there]
    inside, outside = (here, end) if here else (there, start)
    way = _route(network, str(inside), outside)
    if here and way.startswith("nat-"):
        gateway = next((gateway for gateway in network.nat_gateways if gateway["NatGatewayId"] == way), None)
        # A gateway leads out if its own subnet does; none leads in.
        if gateway is None or not _route(network, gateway["SubnetId"], end).startswith("igw-"):
            return None
        return [here, gateway["SubnetId"], None]
    return [here, there] if way.startswith(("igw-", "tgw-", "vgw-")) else None


def _subnet_of(network: Network, address: IPv4Address) -> str | None:
    holding = (each["SubnetId"] for each in network.subnets if address in IPv4Network(each["CidrBlock"]))
    return next(holding, None)


def _route(network: Network, subnet: str, address: IPv4Address) -> str:
    """Where the most specific route of a subnet leads: the id of a gateway; empty where there is none."""
    own: list[Mapping[str, Any]] = []
    main: list[Mapping[str, Any]] = []
    for table in network.route_tables:
        for association in table["Associations"]:
            own += table["Routes"] if association.get("SubnetId") == subnet else []
            main += table["Routes"] if association.get("Main") else []
    leading = [
        (IPv4Network(route["DestinationCidrBlock"]).prefixlen, _gateway(route))
        for route in own or main
        if route.get("DestinationCidrBlock")
        and route.get("State") != "blackhole"
        and address in IPv4Network(route["DestinationCidrBlock"])
    ]
    return max(leading, default=(0, ""))[1]


def _gateway(route: Mapping[str, Any]) -> str:
    return str(route.get("NatGatewayId") or route.get("TransitGatewayId") or route.get("GatewayId") or "")


def _past_acls(
    network: Network, path: Sequence[str | None], start: IPv4Address, end: IPv4Address, protocol: str
) -> Ports:
    """Ports at `end` to which each ACL on the way lets packets from `start` out of its subnet and into the next."""
    ports = EVERY
    for subnet, following in pairwise(path):
        if subnet != following:  # within a subnet no ACL is asked
            ports = _common(ports, _past_acl(network, subnet, True, end, protocol))
            ports = _common(ports, _past_acl(network, following, False, start, protocol))
    return ports


def _past_acl(network: Network, subnet: str | None, egress: bool, peer: IPv4Address, protocol: str) -> Ports:
    if subnet is None:
        return EVERY
    (acl,) = [acl for acl in network.acls if subnet in [each["SubnetId"] for each in acl["Associations"]]]
    undecided, allowed = EVERY, NONE
    number = NUMBERS.get(protocol, protocol)
    for entry in sorted((each for each in acl["Entries"] if each["Egress"] is egress), key=lambda e: e["RuleNumber"]):
        if entry["Protocol"] in (ALL, number) and entry.get("CidrBlock") and peer in IPv4Network(entry["CidrBlock"]):
            span = entry.get("PortRange")
            about = ((span["From"], span["To"]),) if span and entry["Protocol"] != ALL else EVERY
            if entry["RuleAction"] == "allow":
                allowed = _union(allowed, _common(undecided, about))
            undecided = _without(undecided, about)
    return allowed


def _past_groups(
    network: Network, source: End, target: End, addresses: tuple[IPv4Address, IPv4Address], protocol: str
) -> Ports:
    start, end = addresses
    # What lies outside is in no group, and is asked none.
    here, there = (_subnet_of(network, address) is not None for address in addresses)
    out = _group_rules(network, source.groups, "IpPermissionsEgress") if here else None
    into = _group_rules(network, target.groups, "IpPermissions") if there else None
    them = target.groups if there else frozenset()
    us = source.groups if here else frozenset()
    return _common(_past_group(out, end, them, protocol), _past_group(into, start, us, protocol))


Rules = Sequence[Mapping[str, Any]]


def _group_rules(network: Network, groups: frozenset[str] | None, key: str) -> Rules | None:
    if groups is None:
        return None
    return [rule for group in network.groups if group["GroupId"] in groups for rule in group[key]]


def _past_group(rules: Rules | None, peer: IPv4Address, peers: frozenset[str] | None, protocol: str) -> Ports:
    """Ports that some rule allows with this peer; a peer of whatever groups is in the one that is named."""
    if rules is None:
        return EVERY
    allowed = NONE
    for rule in rules:
        named = {pair["GroupId"] for pair in rule.get("UserIdGroupPairs", ())}
        addressed = any(peer in IPv4Network(entry["CidrIp"]) for entry in rule.get("IpRanges", ()))
        meant = addressed or bool(named if peers is None else named & peers)
        if meant and rule["IpProtocol"] in (ALL, protocol, NUMBERS.get(protocol, protocol)):
            has_ports = rule["IpProtocol"] != ALL and rule.get("FromPort", -1) >= 0
            allowed = _union(allowed, ((rule["FromPort"], rule["ToPort"]),) if has_ports else EVERY)
    return allowed


def _union(one: Ports, other: Ports) -> Ports:
    joined: list[tuple[int, int]] = []
    for first, last in sorted((*one, *other)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _common(one: Ports, other: Ports) -> Ports:
    parts = ((max(a[0], b[0]), min(a[1], b[1])) for a, b in product(one, other))
    return tuple(sorted(part for part in parts if part[0] <= part[1]))


def _without(one: Ports, other: Ports) -> Ports:
    return _common(one, _rest(other))


def _rest(ports: Iterable[tuple[int, int]]) -> Ports:
    edges = [-1, *(edge for interval in ports for edge in interval), 65536]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((below + 1, above - 1) for below, above in gaps if below + 1 <= above - 1)
