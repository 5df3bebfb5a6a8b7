# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may open a connection to whom in production's VPC, read back through boto3 and judged here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reach import End, Network, Reach, reach
from integration.platform_drift import GROUPS, found_problems, security_group
from integration.production_site import PARTNERS, PORT, PREFIX, PREMISES, TAGS, TIERS, Venue, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
# What aws_security_groups_kubernetes_rules adds, and nothing else.
KUBERNETES = [
    "ingress tcp 10250 from eks-cluster",
    "egress tcp 53 to 10.0.0.0/16",
    "egress udp 53 to 10.0.0.0/16",
    "egress -1 to eks-nodes",
]


def found_groups(ec2: Any, vpc: dict[str, Any]) -> dict[str, list[str]]:
    """The rules of each group but the VPC's own, one peer a line: `ingress tcp 443 from 0.0.0.0/0`."""
    listed = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["SecurityGroups"]
    names = {group["GroupId"]: group["GroupName"].removeprefix(f"{PREFIX}-") for group in listed}
    return {names[each["GroupId"]]: lines_of(each, names) for each in listed if each["GroupName"] != "default"}


def lines_of(group: dict[str, Any], names: dict[str, str]) -> list[str]:
    lines = []
    for key, direction, word in (("IpPermissions", "ingress", "from"), ("IpPermissionsEgress", "egress", "to")):
        for rule in group[key]:
            assert rule.get("Ipv6Ranges", []) == rule.get("PrefixListIds", []) == []
            between = sorted({rule[end] for end in ("FromPort", "ToPort") if end in rule})
            ports = " " + "-".join(map(str, between)) if between else ""
            peers = [entry["CidrIp"] for entry in rule["IpRanges"]]
            peers += [names[pair["GroupId"]] for pair in rule["UserIdGroupPairs"]]
            lines += [f"{direction} {rule['IpProtocol']}{ports} {word} {peer}" for peer in peers]
    return sorted(lines)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("alb", marks=[pytest.mark.feature(row, by="M") for row in ("SGN-01", "SGN-02")]),
        pytest.param("eks-nodes", marks=pytest.mark.feature("SGN-03", by="M")),
        pytest.param("eks-cluster", marks=pytest.mark.feature("SGN-05", by="M")),
        pytest.param("database", marks=pytest.mark.feature("SGN-06", by="M", part="with engine hosts")),
        pytest.param("redis", marks=pytest.mark.feature("SGN-07", by="M")),
        *(
            pytest.param(tier, marks=pytest.mark.feature("SGN-08", by="M", part="the groups"))
            for tier in ("engine", "market-data", "compliance")
        ),
        "endpoints",
    ],
)
def test_a_group_has_exactly_its_rules(ec2, vpc, name: str) -> None:
    """A source that is a group is told by its name, one that is addresses by these: no rule is taken for the other."""
    assert found_groups(ec2, vpc)[name] == sorted(GROUPS[name])
    group = security_group(ec2, name)
    assert tags_in(group["Tags"]) == TAGS | {"Name": f"{PREFIX}-{name}"}


def test_there_is_no_other_group(ec2, vpc) -> None:
    assert sorted(found_groups(ec2, vpc)) == sorted(GROUPS)


@pytest.mark.feature("SGN-09", by="M")
def test_a_rule_that_nobody_described_fails_the_audit_and_is_removed(venue: Venue, ec2, vpc) -> None:
    """And so does one that was taken away."""
    redis, nodes = (security_group(ec2, name) for name in ("redis", "eks-nodes"))
    ec2.authorize_security_group_ingress(GroupId=redis["GroupId"], **SSH)
    ec2.revoke_security_group_egress(GroupId=nodes["GroupId"], IpPermissions=nodes["IpPermissionsEgress"])
    audit = venue.play("verify")
    assert audit.returncode != 0
    planted = f"security group {PREFIX}-redis has a rule that nobody described: ingress tcp 22 from 0.0.0.0/0"
    assert planted in audit.output
    assert f"security group {PREFIX}-eks-nodes lacks the rule: egress tcp 5432 to {PREFIX}-database" in audit.output
    mended = venue.apply("aws_security_groups")
    assert (mended.returncode, mended.changed) == (0, {"localhost": 1}), mended.output
    assert found_groups(ec2, vpc) == {name: sorted(lines) for name, lines in GROUPS.items()}


@pytest.mark.feature("SGN-04", by="M")
@pytest.mark.feature("SGN-06", by="M")
def test_what_is_beside_the_owners_rules_is_behind_a_switch(venue: Venue, ec2, vpc) -> None:
    """With it and without engine hosts there is what a cluster needs and nothing of engines; then as it was."""
    assert sorted(GROUPS["eks-nodes"]) == found_groups(ec2, vpc)["eks-nodes"]
    changed = "aws_security_groups_kubernetes_rules: true\nironbook_engine_hosts: []"
    with_them = venue.apply("aws_security_groups", variables=changed)
    assert (with_them.returncode, with_them.changed) == (0, {"localhost": 1}), with_them.output
    found = found_groups(ec2, vpc)
    assert found["eks-nodes"] == sorted(GROUPS["eks-nodes"] + KUBERNETES)
    assert found["database"] == ["ingress tcp 5432 from eks-nodes"]
    again = venue.apply("aws_security_groups")
    assert (again.returncode, again.changed) == (0, {"localhost": 1}), again.output
    assert found_groups(ec2, vpc) == {name: sorted(lines) for name, lines in GROUPS.items()}


# ----------------------------------------------------------------------------------------------------------- the ACLs

BACK = "allow tcp 1024-65535"
EVERYWHERE = "0.0.0.0/0"


def each(what: str, tier: str) -> list[str]:
    """A rule for each address of a tier."""
    return [f"{what} {cidr}" for cidr in TIERS[tier]]


# The rules of each tier's ACL in the order in which they are asked; what none is about is denied.
ACLS = {
    "public": (
        [*each("deny all", "database"), *(f"{what} {EVERYWHERE}" for what in ("allow tcp 443", "allow tcp 80", BACK))],
        [*each("deny all", "database"), f"allow tcp 443 {EVERYWHERE}", f"{BACK} {EVERYWHERE}"],
    ),
    "private": (
        [
            *each("allow all", "private"),
            *each("allow tcp 7999", "public"),
            *each("allow tcp 8080", "public"),
            *each("deny all", "public"),
            f"{BACK} {EVERYWHERE}",
            f"allow all {PREMISES}",
            *(f"allow all {partner}" for partner in PARTNERS),
        ],
        [
            *each("allow all", "private"),
            *each("allow tcp 5432", "database"),
            *each("allow tcp 6379", "database"),
            *each("deny all", "database"),
            *each(BACK, "public"),
            f"allow tcp 443 {EVERYWHERE}",
            f"allow all {PREMISES}",
            *(f"allow all {partner}" for partner in PARTNERS),
        ],
    ),
    "database": (
        [*each("deny all", "public"), *each("allow tcp 5432", "private"), *each("allow tcp 6379", "private")],
        [*each("deny all", "public"), *each(BACK, "private")],
    ),
}


def acls(ec2: Any, vpc: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The ACLs by their names, without the one that AWS makes with the VPC."""
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}, {"Name": "default", "Values": ["false"]}]
    listed = ec2.describe_network_acls(Filters=inside)["NetworkAcls"]
    return {
        next(t["Value"] for t in acl["Tags"] if t["Key"] == "Name").removeprefix(f"{PREFIX}-"): acl for acl in listed
    }


def asked(acl: dict[str, Any], egress: bool) -> list[str]:
    """Its rules of one direction, in the order in which they are asked; AWS's own last one is the denial of all."""
    entries = sorted((e for e in acl["Entries"] if e["Egress"] is egress), key=lambda entry: entry["RuleNumber"])
    assert len(entries) <= 20, "AWS takes 20"
    lines = []
    for entry in entries:
        ports = [str(port) for port in sorted({*entry.get("PortRange", {}).values()})]
        what = {"-1": "all", "6": "tcp"}[entry["Protocol"]]
        lines.append(" ".join([entry["RuleAction"], what, *(["-".join(ports)] if ports else []), entry["CidrBlock"]]))
    return [line for line in lines if line != f"deny all {EVERYWHERE}"]


@pytest.mark.feature("SGN-10", by="M")
def test_each_tier_has_an_acl_that_lets_answers_back_and_the_dmz_not_into_the_data(ec2, vpc, subnets) -> None:
    found = acls(ec2, vpc)
    assert {tier: (asked(acl, False), asked(acl, True)) for tier, acl in found.items()} == ACLS
    for tier, acl in found.items():
        behind = sorted(association["SubnetId"] for association in acl["Associations"])
        assert behind == sorted(subnets[cidr]["SubnetId"] for cidr in TIERS[tier])
        assert tags_in(acl["Tags"]) == TAGS | {"Name": f"{PREFIX}-{tier}"}


# ------------------------------------------------------------------------------------------------- who reaches whom


def described(ec2: Any, vpc: dict[str, Any]) -> Network:
    """Our VPC as EC2 tells it."""
    inside = {"Filters": [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]}
    return Network(
        subnets=ec2.describe_subnets(**inside)["Subnets"],
        route_tables=ec2.describe_route_tables(**inside)["RouteTables"],
        acls=ec2.describe_network_acls(**inside)["NetworkAcls"],
        groups=ec2.describe_security_groups(**inside)["SecurityGroups"],
        nat_gateways=ec2.describe_nat_gateways(**inside)["NatGateways"],
    )


def ends(network: Network, tier: str, *names: str) -> list[End]:
    """A tier's subnets, with hosts in these groups there; without names, in whatever groups."""
    ids = {group["GroupName"]: group["GroupId"] for group in network.groups}
    groups = frozenset(ids[f"{PREFIX}-{name}"] for name in names) if names else None
    return [End(cidr, groups) for cidr in {**TIERS, "internet": ["198.51.100.0/24"], "premises": [PREMISES]}[tier]]


def reached(network: Network, source: list[End], target: list[End], protocol: str = "tcp") -> set[Reach]:
    """What each of the one reaches at each of the other."""
    return {reach(network, one, other, protocol) for one in source for other in target}


def only(*ports: tuple[int, int]) -> set[Reach]:
    return {Reach(ports, ports)}


NOTHING = only()


@pytest.mark.feature("NET-17", by="U")
def test_the_dmz_reaches_the_data_on_no_port(ec2, vpc) -> None:
    """The ACLs alone see to it, whatever groups there are; and the groups alone, whatever ACLs."""
    network = described(ec2, vpc)
    open_acl = {"Entries": [{"RuleNumber": 1, "Egress": way, "Protocol": "-1", "RuleAction": "allow",
                             "CidrBlock": EVERYWHERE} for way in (False, True)]}  # fmt: skip
    no_acls = replace(network, acls=[{**acl, **open_acl} for acl in network.acls])
    for protocol in ("tcp", "udp", "icmp"):
        for one, other in (("public", "database"), ("database", "public")):
            assert reached(network, ends(network, one), ends(network, other), protocol) == NOTHING
        for name in ("database", "redis"):
            data = ends(network, "database", name)
            assert reached(no_acls, ends(network, "public", "alb"), data, protocol) == NOTHING
            assert reached(no_acls, data, ends(network, "public", "alb"), protocol) == NOTHING
    assert reached(no_acls, ends(network, "public"), ends(network, "database")) == only((0, 65535))


def test_who_else_reaches_whom(ec2, vpc) -> None:
    network = described(ec2, vpc)
    nodes, engines = ends(network, "private", "eks-nodes"), ends(network, "private", "engine")
    database, redis = ends(network, "database", "database"), ends(network, "database", "redis")
    internet, balancers = ends(network, "internet"), ends(network, "public", "alb")
    assert reached(network, internet, balancers) == only((80, 80), (443, 443))
    assert reached(network, balancers, nodes) == only((7999, 7999), (8080, 8080))
    assert reached(network, nodes, database) == reached(network, engines, database) == only((5432, 5432))
    assert reached(network, nodes, redis) == only((6379, 6379))
    assert reached(network, engines, internet) == reached(network, nodes, internet) == only((443, 443))
    assert reached(network, engines, engines) == only((PORT + 2, PORT + 99))
    others = ends(network, "private", "market-data") + ends(network, "private", "compliance")
    assert reached(network, others, database + redis + engines) == NOTHING
    for outside in (internet, ends(network, "premises"), balancers):
        assert reached(network, outside, database + redis) == reached(network, outside, engines) == NOTHING
        assert reached(network, database + redis, outside) == NOTHING


def test_a_rule_of_an_acl_that_somebody_changed_is_noticed_told_and_set_back(venue: Venue, ec2, vpc) -> None:
    there = acls(ec2, vpc)
    planted = {"RuleNumber": 1, "Protocol": "-1", "RuleAction": "allow"}
    for tier, peer, ways in (("database", "public", (False, True)), ("public", "database", (True, False))):
        for way in ways:
            entry = {**planted, "Egress": way, "CidrBlock": TIERS[peer][0]}
            ec2.create_network_acl_entry(NetworkAclId=there[tier]["NetworkAclId"], **entry)
    network = described(ec2, vpc)
    leak = reached(network, ends(network, "public")[:1], ends(network, "database")[:1])
    assert leak == only((0, 65535))
    mended = venue.apply("aws_network:isolation")
    assert (mended.returncode, mended.changed) == (0, {"localhost": 1}), mended.output
    network = described(ec2, vpc)
    assert reached(network, ends(network, "public"), ends(network, "database")) == NOTHING
    assert {tier: (asked(acl, False), asked(acl, True)) for tier, acl in acls(ec2, vpc).items()} == ACLS


# ------------------------------------------------------------------------------------------------ what lies in public


@pytest.mark.feature("NET-18", by="M")
def test_nothing_but_gateways_lies_in_a_public_subnet(venue: Venue, ec2, vpc, subnets) -> None:
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    gateways = ec2.describe_nat_gateways(Filters=inside)["NatGateways"]
    of_gateways = {each["NetworkInterfaceId"] for gateway in gateways for each in gateway["NatGatewayAddresses"]}
    public = {subnets[cidr]["SubnetId"] for cidr in TIERS["public"]}
    interfaces = ec2.describe_network_interfaces(Filters=inside)["NetworkInterfaces"]
    there = {each["NetworkInterfaceId"] for each in interfaces if each["SubnetId"] in public}
    assert there == of_gateways and len(there) == 3
    assert {subnet["MapPublicIpOnLaunch"] for subnet in subnets.values()} == {False}
    assert len(interfaces) > len(there)


@pytest.mark.feature("NET-18", by="M", repaired="interfaces of NAT gateways")
def test_the_audit_names_what_lies_in_a_public_subnet_and_a_subnet_that_gives_out_addresses(
    venue: Venue, ec2, subnets
) -> None:
    before = set(found_problems(venue.client))
    exposed = ec2.create_network_interface(SubnetId=subnets["10.0.103.0/24"]["SubnetId"])["NetworkInterface"]
    private = {"SubnetId": subnets["10.0.1.0/24"]["SubnetId"]}
    ec2.modify_subnet_attribute(**private, MapPublicIpOnLaunch={"Value": True})
    assert set(found_problems(venue.client)) - before == {
        f"interface {exposed['NetworkInterfaceId']} in the public subnet 10.0.103.0/24 (us-east-1c) "
        "belongs to no NAT gateway and no load balancer",
        "subnet 10.0.1.0/24 (us-east-1a) gives public addresses to what is launched in it",
    }
    ec2.delete_network_interface(NetworkInterfaceId=exposed["NetworkInterfaceId"])
    ec2.modify_subnet_attribute(**private, MapPublicIpOnLaunch={"Value": False})
    assert set(found_problems(venue.client)) == before
