# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of production: planned, made, made again, listed, put out, changed by hand, planned again, mended.

Each plan is held against what then happens.
"""

from __future__ import annotations

import json

import psycopg
import pytest
from integration import platform_drift as drift
from integration.platform_results import results
from integration.platform_runs import AS_JSON
from integration.production_site import (
    ACCOUNT,
    CIDR,
    PREFIX,
    TAGS,
    TIERS,
    ZONES,
    Venue,
    is_resource,
    plan_of_all,
    planned,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def arns(lines: list[str]) -> list[str]:
    """The ARN at the end of each such line."""
    return [line.split()[-1] for line in lines if is_resource(line)]


def test_preview_makes_nothing_and_predicts_everything(venue: Venue) -> None:
    assert venue.plan.returncode == 0, venue.plan.output
    assert set(venue.after_plan.values()) == {0}, venue.after_plan
    assert sum(venue.plan.changed.values()) >= 25  # resources, and loops over them
    assert set(venue.plan.changed) == set(venue.first.changed)  # what it said is what came


def test_preview_says_for_each_later_play_that_there_is_no_host(venue: Venue) -> None:
    for name in ("migrate", "tune", "deploy", "audit", "trade", "settle", "verify"):
        assert venue.plan.output.count(f"{name}: no engine host exists yet") == 1


def test_preview_draws_no_password(venue: Venue) -> None:
    """The first run drew it; nothing before it may have."""
    password = venue.site.state / "secrets" / "database_password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert len(password.read_text().split()[0]) == 32
    assert password.read_text().split()[0] not in venue.first.output


def test_discover_refuses_an_empty_account(venue: Venue) -> None:
    assert venue.too_early.returncode != 0
    assert "engine_hosts has no host; wanted: engine-0-0, engine-0-1, engine-0-2" in venue.too_early.output


@pytest.mark.feature("NET-09", by="M")
def test_second_run_changes_nothing(venue: Venue, subnets) -> None:
    assert venue.first.returncode == 0, venue.first.output
    assert venue.second.returncode == 0, venue.second.output
    assert venue.second.changed == {}
    for tier in ("public", "private"):
        assert [subnets[cidr]["AvailabilityZone"] for cidr in TIERS[tier]] == ZONES


def test_a_warm_interpreter_changes_no_result(venue: Venue) -> None:
    """Every result of every task of some roles, unchanged, but for times and the numbers of requests."""
    roles = ("aws_encryption", "aws_placement", "aws_network:vpc", "aws_security_groups", "aws_network:isolation")
    warm, cold = (
        results(venue.apply(*roles, variables=f"ironbook_warm_interpreter: {wanted}", **AS_JSON))
        for wanted in ("true", "false")
    )
    assert cold.keys() == warm.keys() and len(cold) > 20
    assert {task: (result, warm[task]) for task, result in cold.items() if result != warm[task]} == {}


@pytest.mark.feature("ORC-02", by="M", repaired="tags of NAT gateways and addresses")
def test_a_plan_makes_nothing_and_says_what_provision_then_makes(venue: Venue) -> None:
    assert venue.listed_empty.lines[-2:-1] == ["0 resources, and 0 without the tags that say whose they are"]
    *lines, count = planned(venue.plan)
    *made, said = plan_of_all(venue)
    assert sorted(lines) == made
    assert count == said
    assert len(made) > 40


def test_a_plan_refuses_to_run_where_it_would_provision(venue: Venue) -> None:
    run = venue.play("plan")
    assert run.returncode != 0
    assert "A plan changes nothing, and provision would: run this with --check --diff" in run.err


@pytest.mark.feature("ORC-16", by="M", repaired="tags of NAT gateways and addresses")
def test_everything_that_was_made_is_listed_and_what_lacks_its_tags_is_drift(venue: Venue, ec2, vpc, subnets) -> None:
    iam = venue.client("iam")
    groups = {group["GroupId"]: group["GroupName"] for group in ec2.describe_placement_groups()["PlacementGroups"]}
    made = {groups.get(name, name) for name in drift.tags_of_everything(venue.client, ec2, vpc)}
    made |= {iam.get_role(RoleName=f"{PREFIX}-engine")["Role"]["Arn"]}
    made |= {iam.get_instance_profile(InstanceProfileName=f"{PREFIX}-engine")["InstanceProfile"]["Arn"]}
    all_arns = arns(venue.must("state_list").lines)
    # The emulator makes a snapshot of each database at once, as AWS does at its backup window.
    rest = [arn for arn in all_arns if ":snapshot:" not in arn]
    assert sorted(arn for arn in rest if not {arn, arn.split("/")[-1], arn.split(":")[-1]} & made) == []
    assert len(rest) == len(set(rest)) == len(made)

    subnet = subnets["10.0.2.0/24"]["SubnetId"]
    ec2.delete_tags(Resources=[subnet], Tags=[{"Key": key} for key in ("Project", "Environment", "ManagedBy")])
    venue.client("kinesis").create_stream(StreamName=f"{PREFIX}-forgotten", ShardCount=1)
    venue.client("s3").create_bucket(Bucket="theirs")
    found = venue.must("state_list").lines
    assert [line.split(" does not ")[0] for line in found if line.startswith("drift: ")] == [
        f"drift: kinesis_stream {PREFIX}-forgotten ({PREFIX}-forgotten)",
        f"drift: subnet {subnet} ({PREFIX}-private-us-east-1b)",
    ]
    assert len(arns(found)) == len(all_arns) - 1
    venue.client("kinesis").delete_stream(StreamName=f"{PREFIX}-forgotten")
    venue.client("s3").delete_bucket(Bucket="theirs")
    ec2.create_tags(Resources=[subnet], Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()])


def test_a_plan_of_what_was_changed_by_hand_says_what_provision_then_does(venue: Venue, ec2, subnets, tables) -> None:
    told = drift.break_endpoints(ec2, subnets, tables)
    (line,) = [line for line in venue.play("verify").output.splitlines() if "Not as described: " in line]
    assert sorted(line.partition("Not as described: ")[2].split("; ")) == sorted(map(json.dumps, told))
    kms, s3 = venue.client("kms"), venue.client("s3")
    s3.delete_bucket(Bucket=drift.BUCKET)
    kms.disable_key_rotation(KeyId=kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"])
    ec2.delete_tags(Resources=[subnets[TIERS["private"][1]]["SubnetId"]], Tags=[{"Key": "Project"}])
    drift.break_hybrid(ec2, subnets, tables)
    plan = venue.must("plan", check=True)
    assert planned(plan) == [
        f"+ flow_log {PREFIX}-s3",
        f"~ kms_key {PREFIX}",
        f"~ network_acl {PREFIX}-database",
        f"~ route_table {PREFIX}-private-us-east-1a",
        f"+ s3_bucket {drift.BUCKET}",
        f"~ subnet {PREFIX}-private-us-east-1b",
        f"~ transit_gateway {PREFIX}",
        f"+ vpc_endpoint {PREFIX}-dynamodb",
        f"~ vpc_endpoint {PREFIX}-kinesis-streams",
        f"~ vpc_endpoint {PREFIX}-s3",
        f"~ vpn_connection {PREFIX}-vpn",
        "plan: 3 to add, 8 to change, 0 to destroy",
    ]
    run = venue.must("provision")
    assert run.changed == plan.changed
    assert drift.BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    (hub,) = ec2.describe_transit_gateways()["TransitGateways"]
    assert hub["Options"]["VpnEcmpSupport"] == "disable"
    (vpn,) = ec2.describe_vpn_connections()["VpnConnections"]
    for tunnel in vpn["Options"]["TunnelOptions"]:
        assert tunnel["Phase1EncryptionAlgorithms"] == [{"Value": "AES256-GCM-16"}]
    assert planned(venue.must("plan", check=True)) == ["plan: 0 to add, 0 to change, 0 to destroy"]


@pytest.mark.feature("ORC-14", by="M", repaired="endpoint of RDS")
def test_one_output_is_a_value_that_a_shell_can_use(venue: Venue) -> None:
    endpoint, port, name = (
        venue.must("outputs", "-e", f"output={output}").out
        for output in ("database_endpoint", "database_port", "database_name")
    )
    (database,) = venue.client("rds").describe_db_instances()["DBInstances"]
    assert (endpoint, port) == (f"{database['Endpoint']['Address']}\n", f"{database['Endpoint']['Port']}\n")
    password = (venue.site.state / "secrets" / "postgres_superuser_password").read_text().strip()
    place = {"host": endpoint.strip(), "port": port.strip(), "dbname": name.strip()}
    with psycopg.connect(**place, user="rdsadmin", password=password) as connection:
        assert connection.execute("select current_database()").fetchone() == ("trading_platform",)


def test_all_outputs_are_what_aws_says(venue: Venue, ec2, vpc, subnets) -> None:
    lines = dict(line.split(maxsplit=1) for line in venue.must("outputs").lines if len(line.split()) > 1)
    kms = venue.client("kms")
    assert (lines["vpc_id"], lines["vpc_cidr"]) == (vpc["VpcId"], CIDR)
    for tier, cidrs in TIERS.items():
        assert lines[f"{tier}_subnet_ids"] == ", ".join(subnets[cidr]["SubnetId"] for cidr in cidrs)
    hosts = [drift.engine(ec2, f"engine-0-{n}")["PrivateIpAddress"] for n in range(3)]
    assert lines["engine_private_ips"] == ", ".join(hosts)
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    public = {address["PublicIp"] for gateway in gateways for address in gateway["NatGatewayAddresses"]}
    assert set(lines["nat_public_ips"].split(", ")) == public
    assert lines["kms_key_arn"] == kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert lines["kinesis_stream_name"] == f"{PREFIX}-market-data"
    assert lines["audit_bucket"] == f"{PREFIX}-audit-{ACCOUNT}"
    assert lines["engine_security_group_id"] == drift.security_group(ec2, "engine")["GroupId"]
    assert "(not there yet)" not in lines.values()
