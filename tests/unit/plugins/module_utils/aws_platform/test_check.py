# SPDX-License-Identifier: GPL-3.0-or-later
"""The network as a graph, the hosts and the tags: what is right passes, and each fault is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.check import Wanted, problems
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.rules import Rule

TAGS = {"Project": "p"}
ZONES = ["z-a", "z-b"]
WANTED = Wanted(
    prefix="v",
    cidr="10.0.0.0/16",
    zones=ZONES,
    tiers={"public": ["p0", "p1"], "private": ["a0", "a1"], "database": ["d0", "d1"]},
    nat_gateway_count=2,
    hosts=[{"shard": 0, "replica": 0, "zone": "z-a", "role": "primary"}],
    tags=TAGS,
    security_groups=[
        {
            "name": "v-engine",
            "ingress": [{"proto": "tcp", "ports": ["100-199"], "cidr_ip": ["a0", "a1"], "rule_desc": "orders"}],
            "egress": [{"proto": "tcp", "ports": [443], "cidr_ip": "0.0.0.0/0"}],
        },
        {
            "name": "v-database",
            "ingress": [{"proto": "tcp", "ports": ["5432"], "group_name": "v-engine"}],
            "egress": [],
        },
    ],
)
ORDERS = Rule("ingress", "tcp", 100, 199, "a0")
RULES = {
    "v-engine": {ORDERS, ORDERS._replace(peer="a1"), Rule("egress", "tcp", 443, 443, "0.0.0.0/0")},
    "v-database": {Rule("ingress", "tcp", 5432, 5432, "v-engine")},
}
SSH = Rule("ingress", "tcp", 22, 22, "0.0.0.0/0")
POLICY = {
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::v-audit/*", "arn:aws:s3:::v-audit"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
}
OPEN = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::v-audit/*"}
DELIVERS = {
    "Effect": "Allow",
    "Principal": {"Service": "delivery.logs.amazonaws.com"},
    "Action": "s3:PutObject",
    "Resource": "arn:aws:s3:::v-logs/AWSLogs/1/*",
    "Condition": {"StringEquals": {"aws:SourceAccount": "1", "s3:x-amz-acl": "bucket-owner-full-control"}},
}
CLOSED = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
HOST_TAGS = TAGS | {"Name": "engine-0-0", "Role": "engine", "Shard": "0", "Replica": "0", "EngineRole": "primary"}


def table(name: str, subnets: list[str], routes: dict[str, str], main: bool = False) -> dict[str, Any]:
    return {"id": name, "main": main, "subnets": subnets, "routes": routes, "tags": {} if main else TAGS}


def right() -> dict[str, list[dict[str, Any]]]:
    """A platform of two zones as it should be; a subnet's id is its address with s in front."""
    subnets = [
        {"id": f"s{cidr}", "cidr": cidr, "zone": ZONES[int(cidr[1])], "public_addresses": False, "tags": TAGS}
        for cidr in ("p0", "p1", "a0", "a1", "d0", "d1")
    ]
    everywhere = "0.0.0.0/0"
    return {
        "vpcs": [{"id": "vpc", "cidr": "10.0.0.0/16", "dns": True, "tags": TAGS}],
        "subnets": subnets,
        "route_tables": [
            table("main", [], {}, main=True),
            table("public", ["sp0", "sp1"], {everywhere: "igw"}),
            table("a0", ["sa0"], {everywhere: "nat0", "pl-s3": "vpce-s3"}),
            table("a1", ["sa1"], {everywhere: "nat1", "pl-s3": "vpce-s3"}),
            table("database", ["sd0", "sd1"], {}),
        ],
        "internet_gateways": [{"id": "igw", "tags": TAGS}],
        "nat_gateways": [{"id": f"nat{n}", "subnet": f"sp{n}", "public": True, "tags": TAGS} for n in (0, 1)],
        "addresses": [{"id": "eip", "used": True, "tags": TAGS}],
        "security_groups": [{"id": f"sg-{name}", "name": name, "rules": RULES[name], "tags": TAGS} for name in RULES],
        "vpc_endpoints": [{"id": "vpce-s3", "tags": TAGS}],
        "instances": [
            {
                "id": "i",
                "state": "running",
                "zone": "z-a",
                "placement_group": "v-z-a",
                "instance_profile": "v-engine",
                "subnet": "sa0",
                "security_groups": ["v-engine"],
                "tags": HOST_TAGS,
            }
        ],
        "volumes": [{"id": "vol", "key": "arn", "tags": TAGS}],
        "interfaces": [
            {"id": "eni", "subnet": "sa0", "owner": "instance", "tags": TAGS},
            {"id": "eni-nat", "subnet": "sp0", "owner": "nat_gateway", "tags": {}},
            {"id": "eni-alb", "subnet": "sp1", "owner": "load_balancer", "tags": {}},
        ],
        "placement_groups": [{"id": "v-z-a", "strategy": "cluster", "tags": TAGS}],
        "keys": [{"id": "alias/v", "arn": "arn", "state": "Enabled", "rotation": True, "tags": TAGS}],
        "buckets": [
            {
                "id": "v-audit",
                "versioning": True,
                "key": "arn",
                "public_access_block": CLOSED,
                "object_lock": True,
                "ownership": "BucketOwnerEnforced",
                "policy": POLICY,
                "tags": TAGS,
            }
        ],
        "streams": [{"id": "v-stream", "key": "arn", "tags": TAGS}],
        "tables": [
            {
                "id": "v-configuration",
                "key": "arn",
                "deletion_protection": True,
                "point_in_time_recovery": True,
                "tags": TAGS,
            }
        ],
        "databases": [
            {"id": "v-database", "key": "arn", "public": False, "security_groups": ["v-database"], "tags": TAGS}
        ],
        "database_subnet_groups": [{"id": "v-database", "tags": TAGS}],
    }


def test_what_is_right_passes() -> None:
    assert problems(WANTED, right()) == []


def change(kind: str, index: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda found: found[kind][index].update(values)


EVERYWHERE = "0.0.0.0/0"
FAULTS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda found: found["vpcs"].clear(), "0 VPCs are named v; there should be one"),
    (change("vpcs", 0, cidr="10.1.0.0/16"), "VPC vpc is 10.1.0.0/16, not 10.0.0.0/16"),
    (change("vpcs", 0, dns=False), "VPC vpc does not support DNS"),
    (lambda found: found["subnets"].pop(0), "the public subnet p0 is missing in z-a"),
    (change("subnets", 3, zone="z-a"), "the private subnet a1 is in z-a, not in z-b"),
    (change("subnets", 5, cidr="x1"), "subnet sd1 (x1) is not described anywhere"),
    (change("route_tables", 2, subnets=[]), "subnet a0 has no route table of its own"),
    (change("route_tables", 2, subnets=[]), "route table a0 belongs to no subnet"),
    (
        change("route_tables", 2, routes={EVERYWHERE: "igw"}),
        "the default route of subnet a0 (z-a) leads to igw",
    ),
    (change("route_tables", 2, routes={EVERYWHERE: "nat1"}), "the default route of subnet a0 (z-a) leads to nat1"),
    (change("nat_gateways", 0, public=False), "the default route of subnet a0 (z-a) leads to nat0, not to a gateway"),
    (change("route_tables", 2, routes={}), "subnet a0 (z-a) has no default route"),
    (change("route_tables", 1, routes={EVERYWHERE: "nat0"}), "the default route of subnet p0 (z-a) leads to nat0"),
    (change("route_tables", 4, routes={EVERYWHERE: "nat0"}), "the database subnet d0 has a way out, through nat0"),
    (
        change("route_tables", 4, routes={"10.9.0.0/16": "pcx"}),
        "subnet d0 (z-a) has a route to 10.9.0.0/16",
    ),
    (
        lambda found: found["nat_gateways"].clear(),
        "the default route of subnet a0 (z-a) leads to nat0, not to a",
    ),
    (
        change("route_tables", 2, routes={EVERYWHERE: "nat0", "pl-s3": "vpce-x"}),
        "subnet a0 (z-a) has a route to pl-s3 through vpce-x, not described anywhere",
    ),
    (change("vpc_endpoints", 0, tags={}), "tag Project of vpce-s3 of vpc_endpoints is missing; it should be 'p'"),
    (lambda found: found["instances"].clear(), "engine-0-0 does not exist"),
    (change("instances", 0, subnet="sp0"), "engine-0-0 is in subnet p0, not in a0 of z-a"),
    (change("instances", 0, placement_group=""), "engine-0-0 is in placement group none, not in cluster group v-z-a"),
    (change("instances", 0, instance_profile=""), "engine-0-0 has the instance profile none, not v-engine"),
    (change("placement_groups", 0, strategy="spread"), "engine-0-0 is in placement group v-z-a, not in cluster group"),
    (change("instances", 0, tags=HOST_TAGS | {"Shard": "1"}), "tag Shard of engine-0-0 is '1'; it should be '0'"),
    (change("keys", 0, rotation=False), "key alias/v is not rotated"),
    (change("buckets", 0, versioning=False), "bucket v-audit is not versioned"),
    (lambda found: found["streams"].clear(), "of streams there is none"),
    (lambda found: found["tables"].clear(), "of tables there is none"),
    (change("tables", 0, key=None), "table v-configuration is encrypted under no key of ours, not under arn"),
    (change("tables", 0, deletion_protection=False), "table v-configuration can be deleted"),
    (change("tables", 0, point_in_time_recovery=False), "table v-configuration has no backups to go back to"),
    (change("tables", 0, tags={}), "tag Project of v-configuration of tables is missing; it should be 'p'"),
    (change("addresses", 0, tags={}), "tag Project of eip of addresses is missing; it should be 'p'"),
    (change("subnets", 2, public_addresses=True), "subnet a0 (z-a) gives public addresses to what is launched in it"),
    (change("subnets", 0, public_addresses=True), "subnet p0 (z-a) gives public addresses to what is launched in it"),
    (
        change("interfaces", 0, subnet="sp1"),
        "interface eni in the public subnet p1 (z-b) belongs to no NAT gateway and no load balancer",
    ),
    (
        change("interfaces", 2, owner="other"),
        "interface eni-alb in the public subnet p1 (z-b) belongs to no NAT gateway and no load balancer",
    ),
    (change("interfaces", 0, tags={}), "tag Project of eni of interfaces is missing; it should be 'p'"),
    (change("volumes", 0, tags={}), "tag Project of vol of volumes is missing; it should be 'p'"),
    (
        change("security_groups", 0, rules=RULES["v-engine"] | {SSH}),
        "security group v-engine has a rule that nobody described: ingress tcp 22 from 0.0.0.0/0",
    ),
    (
        change("security_groups", 1, rules={Rule("egress", "-1", None, None, "0.0.0.0/0")}),
        "security group v-database has a rule that nobody described: egress everything to 0.0.0.0/0",
    ),
    (
        change("security_groups", 1, rules=set()),
        "security group v-database lacks the rule: ingress tcp 5432 from v-engine",
    ),
    (
        change("security_groups", 0, rules=RULES["v-engine"] - {ORDERS}),
        "security group v-engine lacks the rule: ingress tcp 100-199 from a0",
    ),
    (change("security_groups", 1, name="x"), "security group v-database does not exist"),
    (change("security_groups", 1, name="x"), "security group sg-v-database (x) is not described anywhere"),
    (
        lambda found: found["addresses"].append({"id": "old", "used": False, "tags": {"Name": "v-z-b"}}),
        "address old (v-z-b) belongs to no NAT gateway any more",
    ),
    (change("instances", 0, state="stopped"), "engine-0-0 is stopped, not running"),
    (change("instances", 0, security_groups=["v-engine", "x"]), "engine-0-0 is in the security groups v-engine, x"),
    (
        lambda found: found["instances"].append(found["instances"][0] | {"id": "j"}),
        "engine-0-0 exists more than once: i, j",
    ),
    (change("instances", 0, tags=TAGS), "instance i (without a Name) in z-a is not described anywhere"),
    (change("keys", 0, state="PendingDeletion"), "key alias/v is PendingDeletion, not Enabled"),
    (change("buckets", 0, key=None), "bucket v-audit is encrypted under no key of ours, not under arn"),
    (change("streams", 0, key=None), "stream v-stream is encrypted under no key of ours, not under arn"),
    (change("volumes", 0, key="other"), "volume vol is encrypted under other, not under arn"),
    (change("databases", 0, key="other"), "database v-database is encrypted under other, not under arn"),
    (change("databases", 0, public=True), "database v-database can be reached from the internet"),
    (change("databases", 0, security_groups=[]), "database v-database is in the security groups none, not in"),
    (
        change("buckets", 0, public_access_block=CLOSED | {"BlockPublicPolicy": False}),
        "bucket v-audit does not keep the public out: BlockPublicPolicy is off",
    ),
    (change("buckets", 0, object_lock=False), "bucket v-audit has no Object Lock"),
    (change("buckets", 0, ownership="ObjectWriter"), "bucket v-audit has access lists"),
    (change("buckets", 0, policy={}), "the policy of bucket v-audit does not refuse what is not encrypted"),
    (
        change("buckets", 0, policy={"Statement": [*POLICY["Statement"], OPEN]}),
        "the policy of bucket v-audit has a statement that nobody described: Allow s3:GetObject to *",
    ),
    (change("databases", 0, tags={"Project": "q"}), "tag Project of v-database of databases is 'q'; it should be 'p'"),
]


@pytest.mark.parametrize(("fault", "complaint"), FAULTS, ids=[complaint for _fault, complaint in FAULTS])
def test_each_fault_is_named(fault: Callable[[dict[str, Any]], Any], complaint: str) -> None:
    found = copy.deepcopy(right())
    fault(found)
    assert any(line.startswith(complaint) for line in problems(WANTED, found)), problems(WANTED, found)


def logs(found: dict[str, Any], *statements: dict[str, Any], **otherwise: Any) -> list[str]:
    """What is said of a platform that has a bucket of logs as well, with these statements beside the first."""
    first = copy.deepcopy(POLICY["Statement"][0]) | {"Resource": ["arn:aws:s3:::v-logs", "arn:aws:s3:::v-logs/*"]}
    bucket = found["buckets"][0] | {"id": "v-logs", "versioning": False, "key": None, "object_lock": False}
    found["buckets"].append(bucket | {"policy": {"Statement": [first, *statements]}} | otherwise)
    return problems(WANTED, found)


def test_the_bucket_of_logs_is_not_locked_and_lets_the_log_delivery_in() -> None:
    assert logs(right(), DELIVERS) == []
    closed = logs(right(), DELIVERS, public_access_block={})
    assert [line for line in closed if "v-logs" in line] == closed and len(closed) == 4
    anybody = {**DELIVERS, "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}}
    undescribed = "the policy of bucket v-logs has a statement that nobody described: Allow s3:"
    for statement in (anybody, OPEN, {**DELIVERS, "Principal": {"Service": "logging.s3.amazonaws.com"}}):
        assert [line.startswith(undescribed) for line in logs(right(), DELIVERS, statement)] == [True]
    elsewhere = copy.deepcopy(right())
    elsewhere["buckets"][0]["policy"]["Statement"].append(DELIVERS)
    assert len(problems(WANTED, elsewhere)) == 1


def test_a_subnet_on_an_outpost_is_one_of_the_private_tier_of_its_zone() -> None:
    found = right()
    wanted = replace(WANTED, outposts=[{"cidr": "x", "zone": ZONES[1]}])
    assert problems(wanted, found) == ["the private subnet x is missing in z-b"]
    found["subnets"].append(
        {"id": "sx", "cidr": "x", "zone": ZONES[0], "public_addresses": True, "tags": {"Project": "q"}}
    )
    assert problems(wanted, found) == [
        "the private subnet x is in z-a, not in z-b",
        "subnet x has no route table of its own and follows the VPC's main one",
        "subnet x (z-a) gives public addresses to what is launched in it",
        "tag Project of sx of subnets is 'q'; it should be 'p'",
    ]
    found["subnets"][-1] |= {"zone": ZONES[1], "public_addresses": False, "tags": TAGS}
    found["route_tables"][2]["subnets"].append("sx")
    assert problems(wanted, found) == ["the default route of subnet x (z-b) leads to nat0, not to nat1"]
    found["route_tables"][2]["subnets"].remove("sx")
    found["route_tables"][3]["subnets"].append("sx")
    assert problems(wanted, found) == []
    assert problems(WANTED, found) == ["subnet sx (x) is not described anywhere"]


def test_workers_are_no_engines_and_no_more_than_described() -> None:
    """How many there are is the market's to say, up to the most; where they stand is ours."""
    found, wanted = right(), replace(WANTED, workers=2)
    found["instances"] += [{"id": f"w{n}", "subnet": f"sa{n}", "tags": TAGS | {"Role": "worker"}} for n in (0, 1)]
    assert problems(wanted, found) == []
    assert problems(replace(WANTED, workers=1), found) == ["there are 2 workers, and 1 at most are described"]
    assert problems(WANTED, found) == ["there are 2 workers, and 0 at most are described"]
    found["instances"][-1] = found["instances"][-1] | {"subnet": "sp0", "tags": {"Role": "worker"}}
    assert problems(wanted, found) == [
        "worker w1 is in sp0, which is no private subnet",
        "tag Project of w1 of instances is missing; it should be 'p'",
    ]


def test_a_store_that_is_not_wanted_yet_may_lack_and_is_judged_where_it_is_there() -> None:
    found, wanted = right(), replace(WANTED, stores=("keys", "buckets", "databases"))
    found["tables"][0] = found["tables"][0] | {"deletion_protection": False}
    assert problems(wanted, found) == ["table v-configuration can be deleted"]
    found["streams"].clear()
    found["tables"].clear()
    assert problems(wanted, found) == []
    assert problems(WANTED, found) == ["of streams there is none", "of tables there is none"]


def test_a_zone_without_a_gateway_goes_out_through_anothers() -> None:
    found = right()
    found["nat_gateways"].pop()
    found["route_tables"][3]["routes"] = {EVERYWHERE: "nat0"}
    one = Wanted(**(WANTED.__dict__ | {"nat_gateway_count": 1}))
    assert problems(one, found) == []
    assert problems(WANTED, found) != []


HOME = Wanted(**(WANTED.__dict__ | {"on_premises": ["192.168.0.0/16"]}))
VENUES = Wanted(**(WANTED.__dict__ | {"partners": ["198.51.100.0/24"]}))


def test_only_private_subnets_lead_to_the_premises() -> None:
    found = right()
    for index in (2, 3):
        found["route_tables"][index]["routes"]["192.168.0.0/16"] = "tgw-1"
    assert problems(HOME, found) == []
    assert len(problems(WANTED, found)) == 2, "where no premises are described, such a route is nobody's"
    found["route_tables"][3]["routes"]["192.168.0.0/16"] = "pcx-1"
    found["route_tables"][4]["routes"]["192.168.0.0/16"] = "tgw-1"
    assert sorted(problems(HOME, found)) == [
        "subnet d0 (z-a) has a route to 192.168.0.0/16 through tgw-1, not described anywhere",
        "subnet d1 (z-b) has a route to 192.168.0.0/16 through tgw-1, not described anywhere",
        "the route of subnet a1 (z-b) to 192.168.0.0/16 leads to pcx-1, not to a transit gateway",
    ]


def test_a_lacking_route_to_the_premises_is_named() -> None:
    assert problems(HOME, right()) == [
        "subnet a0 (z-a) has no route to 192.168.0.0/16, through a transit gateway",
        "subnet a1 (z-b) has no route to 192.168.0.0/16, through a transit gateway",
    ]


def test_partners_are_behind_a_virtual_private_gateway() -> None:
    found = right()
    for index in (2, 3):
        found["route_tables"][index]["routes"]["198.51.100.0/24"] = "vgw-1"
    assert problems(VENUES, found) == []
    found["route_tables"][2]["routes"]["198.51.100.0/24"] = "tgw-1"
    assert problems(VENUES, found) == [
        "the route of subnet a0 (z-a) to 198.51.100.0/24 leads to tgw-1, not to a virtual private gateway"
    ]
