# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom in a small VPC: what is allowed, nothing else, and each rule that changes is noticed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import reach as walk
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reach import (
    EVERY,
    NONE,
    End,
    Network,
    Reach,
    reach,
)

DMZ, APP, DATA = "10.0.101.0/24", "10.0.1.0/24", "10.0.11.0/24"
INTERNET = "198.51.100.0/24"


def entry(number: int, egress: bool, rule: str) -> dict[str, Any]:
    """Of `allow tcp 443 10.0.0.0/16`, as DescribeNetworkAcls has it."""
    action, protocol, *ports, cidr = rule.split()
    number_of = {"tcp": "6", "udp": "17", "all": "-1"}[protocol]
    told = {"RuleNumber": number, "Egress": egress, "RuleAction": action, "Protocol": number_of, "CidrBlock": cidr}
    for span in ports:
        first, _, last = span.partition("-")
        told["PortRange"] = {"From": int(first), "To": int(last or first)}
    return told


def acl(name: str, ingress: list[str], egress: list[str]) -> dict[str, Any]:
    entries = [entry(n, False, rule) for n, rule in enumerate(ingress, 100)]
    entries += [entry(n, True, rule) for n, rule in enumerate(egress, 100)]
    last = [entry(32767, each, "deny all 0.0.0.0/0") for each in (False, True)]
    return {"Associations": [{"SubnetId": name}], "Entries": [*last, *reversed(entries)]}


def rule(ports: tuple[int, int] | None, peer: str) -> dict[str, Any]:
    told: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": ports[0], "ToPort": ports[1]} if ports else {
        "IpProtocol": "-1"}  # fmt: skip
    whom = {"UserIdGroupPairs": [{"GroupId": peer}]} if peer.startswith("sg-") else {"IpRanges": [{"CidrIp": peer}]}
    return told | whom


def group(name: str, ingress: list[dict[str, Any]], egress: list[dict[str, Any]]) -> dict[str, Any]:
    return {"GroupId": f"sg-{name}", "IpPermissions": ingress, "IpPermissionsEgress": egress}


def table(subnet: str, *routes: dict[str, str], main: bool = False) -> dict[str, Any]:
    local = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}
    return {"Associations": [{"Main": True} if main else {"SubnetId": subnet}], "Routes": [local, *routes]}


def vpc() -> dict[str, list[dict[str, Any]]]:
    """A subnet of each tier: the DMZ behind an internet gateway, the application behind a NAT gateway, the data."""
    out = {"DestinationCidrBlock": "0.0.0.0/0"}
    back = "allow tcp 1024-65535"
    return {
        "subnets": [{"SubnetId": name, "CidrBlock": cidr}
                    for name, cidr in (("dmz", DMZ), ("app", APP), ("data", DATA))],
        "route_tables": [
            table("", main=True),
            table("dmz", out | {"GatewayId": "igw-1"}),
            table("app", out | {"NatGatewayId": "nat-1"}, {"DestinationCidrBlock": "192.168.0.0/16",
                                                           "TransitGatewayId": "tgw-1"}),
            table("data"),
        ],
        "acls": [
            acl("dmz", ["allow tcp 443 0.0.0.0/0", f"{back} 0.0.0.0/0"],
                [f"deny all {DATA}", "allow tcp 443 0.0.0.0/0", f"{back} 0.0.0.0/0"]),
            acl("app", [f"allow tcp 7999 {DMZ}", f"deny all {DMZ}", f"{back} 0.0.0.0/0"],
                [f"allow tcp 5432 {DATA}", f"deny all {DATA}", f"{back} {DMZ}", "allow tcp 443 0.0.0.0/0"]),
            acl("data", [f"deny all {DMZ}", f"allow tcp 5432 {APP}"], [f"deny all {DMZ}", f"{back} {APP}"]),
        ],
        "groups": [
            group("alb", [rule((443, 443), "0.0.0.0/0")], [rule((7999, 7999), "sg-app")]),
            group("app", [rule((7999, 7999), "sg-alb")],
                  [rule((5432, 5432), "sg-data"), rule((443, 443), "0.0.0.0/0")]),
            group("data", [rule((5432, 5432), "sg-app")], []),
            group("other", [], [rule(None, "0.0.0.0/0")]),
        ],
        "nat_gateways": [{"NatGatewayId": "nat-1", "SubnetId": "dmz"}],
    }  # fmt: skip


def end(network: str, *groups: str) -> End:
    return End(network, frozenset(f"sg-{name}" for name in groups) if groups else None)


def only(*ports: int) -> Reach:
    told = tuple((port, port) for port in ports)
    return Reach(told, told)


NOBODY = Reach(NONE, NONE)
OTHER = "another host of the application to the database"
# What there is to be said of that VPC: from, to, the ports.
SAID = {
    "the load balancer to the application": (end(DMZ, "alb"), end(APP, "app"), only(7999)),
    "the application to the database": (end(APP, "app"), end(DATA, "data"), only(5432)),
    "the internet to the load balancer": (end(INTERNET), end(DMZ, "alb"), only(443)),
    "the application to the internet": (end(APP, "app"), end(INTERNET), only(443)),
    "the DMZ to the data": (end(DMZ), end(DATA), NOBODY),
    "the data to the DMZ": (end(DATA), end(DMZ), NOBODY),
    "the DMZ to the application": (end(DMZ), end(APP), only(7999)),
    OTHER: (end(APP, "other"), end(DATA, "data"), NOBODY),
    "the database to anybody": (end(DATA, "data"), end("10.0.0.0/16"), NOBODY),
    "the internet to the data": (end(INTERNET), end(DATA), NOBODY),
    "the data to the internet": (end(DATA), end(INTERNET), NOBODY),
    "the internet to the application": (end(INTERNET), end(APP), NOBODY),
    "the premises to the application": (end("192.168.7.0/24"), end(APP, "app"), NOBODY),
}


def said(network: dict[str, list[dict[str, Any]]]) -> dict[str, Reach]:
    return {what: reach(Network(**network), source, target) for what, (source, target, _) in SAID.items()}


def test_who_reaches_whom() -> None:
    assert said(vpc()) == {what: wanted for what, (_, _, wanted) in SAID.items()}


def plant(index: int, egress: bool, text: str, number: int = 1) -> Callable[[dict[str, Any]], None]:
    return lambda network: network["acls"][index]["Entries"].append(entry(number, egress, text))


def lose(index: int, egress: bool, number: int) -> Callable[[dict[str, Any]], None]:
    def change(network: dict[str, Any]) -> None:
        entries = network["acls"][index]["Entries"]
        network["acls"][index]["Entries"] = [e for e in entries if (e["Egress"], e["RuleNumber"]) != (egress, number)]

    return change


def grant(index: int, key: str, new: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda network: network["groups"][index][key].append(new)


def revoke(index: int, key: str) -> Callable[[dict[str, Any]], None]:
    return lambda network: network["groups"][index][key].clear()


def both(*changes: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def change(network: dict[str, Any]) -> None:
        for each in changes:
            each(network)

    return change


def reroute(index: int, **route: str) -> Callable[[dict[str, Any]], None]:
    def change(network: dict[str, Any]) -> None:
        routes = network["route_tables"][index]["Routes"]
        routes[1:2] = [{"DestinationCidrBlock": "0.0.0.0/0"} | route] if route else []

    return change


IN, OUT = "IpPermissions", "IpPermissionsEgress"
BALANCED, DATABASE = "the load balancer to the application", "the application to the database"
INTO_DATA, OUT_OF_DATA, TO_INTERNET = "the DMZ to the data", "the data to the DMZ", "the application to the internet"
LET_OUT = plant(0, True, f"allow all {DATA}")
LET_IN = plant(2, False, f"allow tcp 22 {DMZ}")
# Each fault, and what is said otherwise then.
FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], dict[str, Reach]]] = {
    "a group lets nobody in": (revoke(2, IN), {DATABASE: NOBODY}),
    "a group lets nobody out": (revoke(0, OUT), {BALANCED: NOBODY}),
    "a group lets addresses in": (grant(2, IN, rule((5432, 5432), APP)), {OTHER: only(5432)}),
    "a group lets half of the addresses in": (grant(2, IN, rule((5432, 5432), "10.0.1.128/25")), {
        OTHER: Reach(((5432, 5432),), NONE)}),
    "an ACL lets nobody out": (lose(1, True, 100), {DATABASE: NOBODY}),
    "an ACL lets no answer out": (lose(2, True, 101), {DATABASE: NOBODY}),
    "an ACL lets some answers in alone": (
        both(lose(1, False, 102), plant(1, False, "allow tcp 5000-6000 0.0.0.0/0", 102)),
        {DATABASE: Reach(((5432, 5432),), NONE), TO_INTERNET: Reach(((443, 443),), NONE)}),
    "the DMZ's ACL lets in answers to port 443 alone": (lose(0, False, 101), {
        BALANCED: Reach(((7999, 7999),), NONE), TO_INTERNET: NOBODY,
        "the DMZ to the application": Reach(((7999, 7999),), NONE)}),
    "one of two ACLs lets the DMZ in, and none lets answers out": (both(LET_OUT, LET_IN), {}),
    "both ACLs let the DMZ in, and answers out": (
        both(LET_OUT, LET_IN, plant(2, True, f"allow tcp 60000 {DMZ}")),
        {INTO_DATA: Reach(((22, 22),), NONE), OUT_OF_DATA: Reach(((60000, 60000),), NONE)}),
    "the data has a way out": (reroute(3, NatGatewayId="nat-1"), {}),
    "the application has no way out": (reroute(2), {TO_INTERNET: NOBODY}),
    "the gateway's subnet has no way out": (reroute(1), {
        TO_INTERNET: NOBODY, "the internet to the load balancer": NOBODY}),
    "the route out is a black hole": (reroute(2, NatGatewayId="nat-1", State="blackhole"), {TO_INTERNET: NOBODY}),
    "the gateway is gone": (lambda network: network["nat_gateways"].clear(), {TO_INTERNET: NOBODY}),
    "the application lies behind the internet gateway": (reroute(2, GatewayId="igw-1"), {
        "the internet to the application": Reach(((1024, 65535),), NONE)}),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_rule_that_changes_is_noticed(fault: str) -> None:
    change, otherwise = FAULTS[fault]
    network = copy.deepcopy(vpc())
    change(network)
    assert said(network) == said(vpc()) | otherwise


def test_other_protocols_have_their_own_rules() -> None:
    network = vpc()
    ends = (end(DMZ, "alb"), end(DATA, "data"))
    for protocol in ("udp", "icmp", "50"):
        assert reach(Network(**network), *ends, protocol) == NOBODY
    LET_OUT(network)
    plant(2, False, f"allow all {DMZ}")(network)
    everything = {"IpProtocol": "-1"}
    network["groups"][0][OUT].append(everything | {"IpRanges": [{"CidrIp": DATA}]})
    network["groups"][2][IN].append(everything | {"UserIdGroupPairs": [{"GroupId": "sg-alb"}]})
    for protocol in ("udp", "icmp", "50"):
        assert reach(Network(**network), *ends, protocol) == Reach(EVERY, EVERY)
    assert reach(Network(**network), *ends, "tcp") == NOBODY, "its answers are not let out"


def test_within_a_subnet_no_acl_is_asked() -> None:
    ends = (end("10.0.11.0/25"), end("10.0.11.128/25"))
    assert reach(Network(**vpc()), *ends) == Reach(EVERY, EVERY)


def test_a_subnet_without_a_table_of_its_own_follows_the_main_one() -> None:
    network = vpc()
    network["route_tables"][0]["Routes"].append({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"})
    network["route_tables"].pop()
    plant(2, False, "allow tcp 22 0.0.0.0/0")(network)
    plant(2, True, "allow all 0.0.0.0/0")(network)
    assert reach(Network(**network), end(INTERNET), end(DATA)) == only(22)


def test_sets_of_ports_are_what_sets_of_numbers_are() -> None:
    """Intervals against sets, on ports near both ends, where an error by one shows."""
    dice = random.Random(6)
    numbers = [*range(12), *range(65524, 65536)]

    def some() -> walk.Ports:
        found = NONE
        for _ in range(dice.randrange(4)):
            first, last = sorted(dice.choices(numbers, k=2))
            found = walk._union(found, ((first, last),))
        return found

    def as_set(ports: walk.Ports) -> set[int]:
        return {number for first, last in ports for number in range(first, last + 1)}

    for _ in range(300):
        one, other = some(), some()
        assert as_set(walk._union(one, other)) == as_set(one) | as_set(other)
        assert as_set(walk._common(one, other)) == as_set(one) & as_set(other)
        assert as_set(walk._without(one, other)) == as_set(one) - as_set(other)
        joined = walk._union(one, other)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(joined))
