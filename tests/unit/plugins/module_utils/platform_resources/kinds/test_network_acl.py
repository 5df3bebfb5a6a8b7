# SPDX-License-Identifier: GPL-3.0-or-later
"""A network ACL with its rules and subnets: made, read back from the emulator over HTTP, changed in place, removed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds.network_acl import KIND
from platform_resources import TAGS, Case, Client, converge, first, told

DATA = {
    "vpc": "trading",
    "subnets": ["endpoints-a"],
    "ingress": {"50": "deny all 10.1.101.0/24", "100": "allow tcp 5432 10.1.0.0/16"},
    "egress": {"100": "allow tcp 1024-65535 10.1.0.0/16"},
}


def the_acl(client: Client, acl: str) -> dict[str, Any]:
    (there,) = client("ec2").describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    return there


def lose_a_rule(client: Client, acl: str) -> None:
    for entry in [entry for entry in the_acl(client, acl)["Entries"] if not entry["Egress"]][:1]:
        client("ec2").delete_network_acl_entry(NetworkAclId=acl, RuleNumber=entry["RuleNumber"], Egress=False)


def let_all_out(client: Client, acl: str) -> None:
    rule = {"RuleNumber": 7, "Egress": True, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
    if 7 not in [entry["RuleNumber"] for entry in the_acl(client, acl)["Entries"]]:
        client("ec2").create_network_acl_entry(NetworkAclId=acl, **rule)


def lose_a_subnet(client: Client, acl: str) -> None:
    there = the_acl(client, acl)
    inside = [{"Name": "vpc-id", "Values": [there["VpcId"]]}, {"Name": "default", "Values": ["true"]}]
    (default,) = client("ec2").describe_network_acls(Filters=inside)["NetworkAcls"]
    for association in there["Associations"][:1]:
        client("ec2").replace_network_acl_association(
            AssociationId=association["NetworkAclAssociationId"], NetworkAclId=default["NetworkAclId"]
        )


CASE = Case(
    variants=(
        DATA,
        {
            **DATA,
            "subnets": ["endpoints-a", "endpoints-b"],
            "ingress": {"100": "allow udp 53 10.1.0.0/16"},
            "egress": {},
        },
        {"vpc": "other", "ingress": {"1": "allow all 0.0.0.0/0"}},
    ),
    drifts=(
        lose_a_rule,
        let_all_out,
        lose_a_subnet,
        lambda client, acl: client("ec2").delete_tags(Resources=[acl], Tags=[{"Key": "Team"}]),
    ),
)


def subnet(client: Client, name: str) -> str:
    (there,) = client("ec2").describe_subnets(Filters=[{"Name": "tag:Name", "Values": [name]}])["Subnets"]
    identifier: str = there["SubnetId"]
    return identifier


def behind(client: Client, name: str) -> str:
    """The ACL that a subnet is behind; there is always exactly one."""
    inside = [{"Name": "association.subnet-id", "Values": [subnet(client, name)]}]
    (acl,) = client("ec2").describe_network_acls(Filters=inside)["NetworkAcls"]
    identifier: str = acl["NetworkAclId"]
    return identifier


@pytest.mark.slow
def test_it_is_read_back_over_http_and_changed_in_place(served: Client) -> None:
    before = {name: behind(served, name) for name in ("endpoints-a", "endpoints-b")}
    acl = first(served, {"network_acls": [{"name": "data", **DATA}]})
    there = the_acl(served, acl)
    found = {(entry["Egress"], entry["RuleNumber"]): entry for entry in there["Entries"]}
    assert sorted(found) == [(False, 50), (False, 100), (True, 100)]
    assert (found[False, 50]["RuleAction"], found[False, 50]["Protocol"]) == ("deny", "-1")
    assert (found[False, 100]["Protocol"], found[False, 100]["PortRange"]) == ("6", {"From": 5432, "To": 5432})
    assert (found[True, 100]["PortRange"], found[True, 100]["CidrBlock"]) == (
        {"From": 1024, "To": 65535},
        "10.1.0.0/16",
    )
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "data"}
    assert behind(served, "endpoints-a") == acl
    moved = {**DATA, "subnets": ["endpoints-b"], "ingress": {"50": "allow udp 53 10.1.0.0/16"}}
    outcome = converge(served, {"network_acls": [{"name": "data", **moved}]})
    assert (told(outcome), outcome.problems) == (["update network_acl data subnets ingress"], [])
    assert [behind(served, name) for name in before] == [before["endpoints-a"], acl]
    assert told(converge(served, {}, purge=["network_acl"])) == ["delete network_acl data"]
    assert {name: behind(served, name) for name in before} == before


WRITE = "is no rule: write it like 'allow tcp 1024-65535 10.0.1.0/24' or 'deny all 10.0.1.0/24'"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("allow tcp 443", WRITE),
        ("permit tcp 443 10.0.0.0/16", WRITE),
        ("allow tcp 10.0.0.0/16", WRITE),
        ("allow tcp 9-1 10.0.0.0/16", "has no such range of ports: give one port, or the first and the last"),
        ("allow tcp 70000 10.0.0.0/16", "has no such range of ports: give one port, or the first and the last"),
        ("allow tcp 22-22 10.0.0.0/16", "has no such range of ports: give one port, or the first and the last"),
        ("allow tcp 443 10.0.0.1/16", "names no network: 10.0.0.1/16 has host bits set"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, reason: str) -> None:
    assert list(KIND.problems({"ingress": {"100": rule}, "egress": {}})) == [f"ingress 100: {rule!r} {reason}"]


@pytest.mark.parametrize("number", ["0", "32767", "x"])
def test_a_number_that_aws_does_not_take_is_refused(number: str) -> None:
    line = f"egress: {number} is no number of a rule: give one from 1 to 32766"
    assert list(KIND.problems({"ingress": {}, "egress": {number: "deny all 0.0.0.0/0"}})) == [line]
