# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an environment: planned, made, listed, put out, changed by hand, and planned again.

One site serves the whole file, in that order. Each plan is held against what then happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from integration import platform_drift as drift
from integration.life_site import Life, Run, life
from integration.platform_drift import PREFIX

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


# What AWS makes beside what is asked for: no plan counts it.
BESIDE = {"elastic_ip", "volume", "network_interface", "rds_snapshot"}


@dataclass
class Environment(Life):
    """The site, the plan of its empty account, and what was there after that plan."""

    plan: Run
    there: list[str]

    def listed(self) -> list[tuple[str, str]]:
        """Kind and name of each resource that there is."""
        return [(line.split()[0], line.split()[1]) for line in self.must("state_list").lines if is_resource(line)]


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with life() as site:
        plan = site.must("plan", "--check", "--diff")
        there = site.must("state_list").lines
        site.must("provision")
        yield Environment(site.site, site.environment, plan, there)


def is_resource(line: str) -> bool:
    """Whether a line of a list is about a resource of ours."""
    return len(line.split()) == 3 and " arn:" in line


def arns(lines: list[str]) -> list[str]:
    """The ARN at the end of each such line."""
    return [line.split()[-1] for line in lines if is_resource(line)]


def planned(run: Run) -> list[str]:
    """The lines of a plan, the count as the last."""
    end = next(i for i, line in enumerate(run.lines) if line.startswith("plan: "))
    begin = end
    while run.lines[begin - 1][:2] in ("+ ", "~ ", "- "):
        begin -= 1
    return run.lines[begin : end + 1]


@pytest.mark.feature("ORC-02", by="M", repaired="tags of NAT gateways and addresses")
def test_a_plan_makes_nothing_and_says_what_provision_then_makes(environment: Environment) -> None:
    assert environment.there[-2:-1] == ["0 resources, and 0 without the tags that say whose they are"]
    made = [f"+ {kind} {name}" for kind, name in environment.listed() if kind not in BESIDE]
    *lines, count = planned(environment.plan)
    assert sorted(lines) == sorted(made)
    assert count == f"plan: {len(made)} to add, 0 to change, 0 to destroy"
    assert len(made) == 35


def test_a_plan_refuses_to_run_where_it_would_provision(environment: Environment) -> None:
    run = environment.play("plan")
    assert run.code != 0
    assert "A plan changes nothing, and provision would: run this with --check --diff" in run.err


@pytest.mark.feature("ORC-16", by="M", repaired="tags of NAT gateways and addresses")
def test_everything_that_was_made_is_listed_and_what_lacks_its_tags_is_drift(environment: Environment) -> None:
    ec2, iam = environment.client("ec2"), environment.client("iam")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [PREFIX]}])["Vpcs"]
    groups = {group["GroupId"]: group["GroupName"] for group in ec2.describe_placement_groups()["PlacementGroups"]}
    made = {groups.get(name, name) for name in drift.tags_of_everything(environment.client, ec2, vpc)}
    made |= {iam.get_role(RoleName=f"{PREFIX}-engine")["Role"]["Arn"]}
    made |= {iam.get_instance_profile(InstanceProfileName=f"{PREFIX}-engine")["InstanceProfile"]["Arn"]}
    listed = arns(environment.must("state_list").lines)
    # The emulator makes a snapshot of each database at once, as AWS does at its backup window.
    rest = [arn for arn in listed if ":snapshot:" not in arn]
    assert sorted(arn for arn in rest if not {arn, arn.split("/")[-1], arn.split(":")[-1]} & made) == []
    assert len(rest) == len(set(rest)) == len(made) == 44

    subnet = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["10.0.2.0/24"]}])["Subnets"][0]["SubnetId"]
    ec2.delete_tags(Resources=[subnet], Tags=[{"Key": key} for key in ("Project", "Environment", "ManagedBy")])
    environment.client("kinesis").create_stream(StreamName=f"{PREFIX}-forgotten", ShardCount=1)
    environment.client("s3").create_bucket(Bucket="theirs")
    found = environment.must("state_list").lines
    assert [line.split(" does not ")[0] for line in found if line.startswith("drift: ")] == [
        f"drift: kinesis_stream {PREFIX}-forgotten ({PREFIX}-forgotten)",
        f"drift: subnet {subnet} ({PREFIX}-private-us-east-1b)",
    ]
    assert len(arns(found)) == len(listed) - 1
    environment.client("kinesis").delete_stream(StreamName=f"{PREFIX}-forgotten")


def test_a_plan_of_what_was_changed_by_hand_says_what_provision_then_does(environment: Environment) -> None:
    """A subnet has lost its tags in the test before; here a bucket is deleted, and a key is rotated no more."""
    kms, s3 = environment.client("kms"), environment.client("s3")
    s3.delete_bucket(Bucket=drift.BUCKET)
    kms.disable_key_rotation(KeyId=kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"])
    assert planned(environment.must("plan", "--check", "--diff")) == [
        f"~ kms_key {PREFIX}",
        f"+ s3_bucket {drift.BUCKET}",
        f"~ subnet {PREFIX}-private-us-east-1b",
        "plan: 1 to add, 2 to change, 0 to destroy",
    ]
    run = environment.must("provision")
    assert sum(line.startswith("changed: ") for line in run.lines) == 3, run.out
    assert drift.BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert planned(environment.must("plan", "--check", "--diff")) == ["plan: 0 to add, 0 to change, 0 to destroy"]


@pytest.mark.feature("ORC-14", by="M", repaired="endpoint of RDS")
def test_one_output_is_a_value_that_a_shell_can_use(environment: Environment) -> None:
    endpoint, port, name = (
        environment.must("outputs", "-e", f"output={output}").out
        for output in ("database_endpoint", "database_port", "database_name")
    )
    (database,) = environment.client("rds").describe_db_instances()["DBInstances"]
    assert (endpoint, port) == (f"{database['Endpoint']['Address']}\n", f"{database['Endpoint']['Port']}\n")
    password = (environment.site.state / "secrets" / "postgres_superuser_password").read_text().strip()
    place = {"host": endpoint.strip(), "port": port.strip(), "dbname": name.strip()}
    with psycopg.connect(**place, user="rdsadmin", password=password) as connection:
        assert connection.execute("select current_database()").fetchone() == ("trading_platform",)


def test_all_outputs_are_what_aws_says(environment: Environment) -> None:
    lines = dict(line.split(maxsplit=1) for line in environment.must("outputs").lines if len(line.split()) > 1)
    ec2, kms = environment.client("ec2"), environment.client("kms")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [PREFIX]}])["Vpcs"]
    assert (lines["vpc_id"], lines["vpc_cidr"]) == (vpc["VpcId"], "10.0.0.0/16")
    subnets = {subnet["CidrBlock"]: subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]}
    for tier, cidrs in {"public": "10.0.10{}.0/24", "private": "10.0.{}.0/24", "database": "10.0.1{}.0/24"}.items():
        assert lines[f"{tier}_subnet_ids"] == ", ".join(subnets[cidrs.format(n)] for n in (1, 2, 3))
    hosts = [drift.engine(ec2, f"engine-0-{n}")["PrivateIpAddress"] for n in range(3)]
    assert lines["engine_private_ips"] == ", ".join(hosts)
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    public = {address["PublicIp"] for gateway in gateways for address in gateway["NatGatewayAddresses"]}
    assert set(lines["nat_public_ips"].split(", ")) == public
    assert lines["kms_key_arn"] == kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert lines["kinesis_stream_name"] == f"{PREFIX}-market-data"
    assert lines["audit_bucket"] == f"{PREFIX}-audit-123456789012"
    assert lines["engine_security_group_id"] == drift.security_group(ec2, "engine")["GroupId"]
    assert "(not there yet)" not in lines.values()
