# SPDX-License-Identifier: GPL-3.0-or-later
"""Provision and discover against the emulator, read back through boto3 and judged here, not by what we wrote.

One site serves the whole file, in the order of a venue's life: previewed on an empty account, provisioned, provisioned
again, broken by hand, mended by the next run.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.check import Wanted, problems
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reader import read
from integration import platform_drift as drift
from integration import platform_identity as identity
from integration.platform_drift import PREFIX
from integration.platform_results import results
from integration.platform_runs import Run, client_of, of_site, play
from local_processes import ROOT, LocalSite, local_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
TIERS = {
    "public": ["10.0.101.0/24", "10.0.102.0/24", "10.0.103.0/24"],
    "private": ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"],
    "database": ["10.0.11.0/24", "10.0.12.0/24", "10.0.13.0/24"],
}
TAGS = {
    "Environment": "local",
    "Project": "trading-engine",
    "ManagedBy": "ansible",
    "Team": "devops",
    "CostCenter": "engineering",
    "Compliance": "PCI-DSS",
}
ENGINES = {"engine-0-0": "us-east-1a", "engine-0-1": "us-east-1b", "engine-0-2": "us-east-1c"}


@dataclass
class Platform:
    """The site of this file and what was done with it."""

    site: LocalSite
    environment: dict[str, str]
    directory: Path
    preview: Run
    after_preview: dict[str, int]
    too_early: Run
    first: Run
    second: Run

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return client_of(self.environment, service)

    def play(self, *playbooks: str, inventory: Path | None = None, **environment: str) -> Run:
        """Run playbooks of the collection."""
        return play(self.environment | environment, *playbooks, inventory=inventory)

    def inventory(self, name: str, change: Callable[[Path], None]) -> Path:
        """A copy of inventories/local that `change` was let loose on."""
        copy = self.directory / name
        shutil.copytree(ROOT / "inventories" / "local", copy)
        change(copy)
        return copy


def count_resources(environment: dict[str, str]) -> dict[str, int]:
    """How many resources there are of each kind that provision makes, beside the VPC that every account has."""
    ec2 = client_of(environment, "ec2")
    return {
        "vpcs": len([vpc for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]),
        "nat": len(ec2.describe_nat_gateways()["NatGateways"]),
        "groups": len(ec2.describe_placement_groups()["PlacementGroups"]),
        "instances": len(ec2.describe_instances()["Reservations"]),
        "buckets": len(client_of(environment, "s3").list_buckets()["Buckets"]),
        "streams": len(client_of(environment, "kinesis").list_streams()["StreamNames"]),
        "tables": len(client_of(environment, "dynamodb").list_tables()["TableNames"]),
        "databases": len(client_of(environment, "rds").describe_db_instances()["DBInstances"]),
    }


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Iterator[Platform]:
    with local_site() as site:
        environment = of_site(site)
        preview = play(environment, "provision", "discover", check=True)
        after_preview = count_resources(environment)
        too_early = play(environment, "discover")
        first = play(environment, "provision", "discover")
        second = play(environment, "provision", "discover")
        directory = tmp_path_factory.mktemp("provision")
        yield Platform(site, environment, directory, preview, after_preview, too_early, first, second)


@pytest.fixture
def ec2(platform: Platform) -> Any:
    return platform.client("ec2")


@pytest.fixture
def vpc(ec2) -> dict[str, Any]:
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [PREFIX]}])["Vpcs"]
    return vpc


@pytest.fixture
def subnets(ec2, vpc) -> dict[str, dict[str, Any]]:
    """The VPC's subnets by their addresses."""
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    return {subnet["CidrBlock"]: subnet for subnet in found}


@pytest.fixture
def tables(ec2, vpc) -> list[dict[str, Any]]:
    return ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["RouteTables"]


# ------------------------------------------------------------------------------------------------ a venue's first days


def test_preview_makes_nothing_and_predicts_everything(platform: Platform) -> None:
    assert platform.preview.returncode == 0, platform.preview.output
    assert set(platform.after_preview.values()) == {0}, platform.after_preview
    assert sum(platform.preview.changed.values()) >= 25  # resources, and loops over them
    assert set(platform.preview.changed) == set(platform.first.changed)  # what it said is what came


def test_preview_says_for_each_later_play_that_there_is_no_host(platform: Platform) -> None:
    for name in ("migrate", "tune", "deploy", "audit", "trade", "settle", "verify"):
        assert platform.preview.output.count(f"{name}: no engine host exists yet") == 1


def test_preview_draws_no_password(platform: Platform) -> None:
    """The first run drew it; nothing before it may have."""
    password = platform.site.state / "secrets" / "database_password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert len(password.read_text().split()[0]) == 32
    assert password.read_text().split()[0] not in platform.first.output


def test_discover_refuses_an_empty_account(platform: Platform) -> None:
    assert platform.too_early.returncode != 0
    assert "engine_hosts has no host; wanted: engine-0-0, engine-0-1, engine-0-2" in platform.too_early.output


@pytest.mark.feature("NET-09", by="M")
def test_second_run_changes_nothing(platform: Platform, subnets) -> None:
    assert platform.first.returncode == 0, platform.first.output
    assert platform.second.returncode == 0, platform.second.output
    assert platform.second.changed == {}
    for tier in ("public", "private"):
        assert [subnets[cidr]["AvailabilityZone"] for cidr in TIERS[tier]] == ZONES


def test_a_warm_interpreter_changes_no_result(platform: Platform) -> None:
    """Every result of every task on every host, but for times and the numbers of requests."""
    cold, warm = (
        results(
            platform.play(
                "provision",
                "discover",
                inventory=platform.inventory(f"warm-{value}", set_variables(f"ironbook_warm_interpreter: {value}")),
                ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
            ).output
        )
        for value in ("false", "true")
    )
    assert cold.keys() == warm.keys() and len(cold) > 100
    assert {task: (result, warm[task]) for task, result in cold.items() if result != warm[task]} == {}


# ------------------------------------------------------------------------------------------------------- the network


@pytest.mark.feature("NET-01", by="M")
def test_vpc_has_its_65536_addresses(vpc) -> None:
    assert vpc["CidrBlock"] == "10.0.0.0/16"
    assert ip_network(vpc["CidrBlock"]).num_addresses == 65536


@pytest.mark.feature("NET-02", by="M")
@pytest.mark.parametrize("attribute", ["enableDnsSupport", "enableDnsHostnames"])
def test_vpc_supports_dns(ec2, vpc, attribute: str) -> None:
    answer = ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=attribute)
    assert answer[attribute[0].upper() + attribute[1:]]["Value"] is True


@pytest.mark.parametrize(
    "tier",
    [
        pytest.param("public", marks=pytest.mark.feature("NET-03", by="M")),
        pytest.param("private", marks=pytest.mark.feature("NET-04", by="M")),
        pytest.param("database", marks=pytest.mark.feature("NET-05", by="M")),
    ],
)
def test_each_tier_has_its_address_in_each_zone(subnets, tables, tier: str) -> None:
    found = {cidr: subnets[cidr]["AvailabilityZone"] for cidr in subnets if cidr in TIERS[tier]}
    assert found == dict(zip(TIERS[tier], ZONES, strict=True))
    assert all(ip_network(cidr).num_addresses == 256 for cidr in found)
    assert len(subnets) == 9
    if tier == "database":
        assert [drift.targets(drift.table_of(tables, subnets[cidr])) for cidr in found] == [{}, {}, {}]


@pytest.mark.feature("NET-10", by="M")
def test_only_public_subnets_route_to_the_internet_gateway(ec2, vpc, subnets, tables) -> None:
    (gateway,) = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])[
        "InternetGateways"
    ]
    assert [(a["VpcId"], a["State"]) for a in gateway["Attachments"]] == [(vpc["VpcId"], "available")]
    through = [table for table in tables if gateway["InternetGatewayId"] in drift.targets(table).values()]
    reached = {a["SubnetId"] for table in through for a in table["Associations"] if "SubnetId" in a}
    assert reached == {subnets[cidr]["SubnetId"] for cidr in TIERS["public"]}
    assert not any(a.get("Main") for table in through for a in table["Associations"])


@pytest.mark.feature("NET-11", by="M", repaired="tags of NAT gateways and addresses")
def test_each_private_subnet_goes_out_through_its_own_zone(ec2, vpc, subnets, tables) -> None:
    gateways = ec2.describe_nat_gateways(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["NatGateways"]
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets.values()}
    by_zone = {zone_of[gateway["SubnetId"]]: gateway["NatGatewayId"] for gateway in gateways}
    assert len(gateways) == 3
    assert sorted(by_zone) == ZONES
    assert {g["SubnetId"] for g in gateways} == {subnets[cidr]["SubnetId"] for cidr in TIERS["public"]}
    assert len({a["AllocationId"] for g in gateways for a in g["NatGatewayAddresses"]}) == 3
    for cidr in TIERS["private"]:
        wanted = {"0.0.0.0/0": by_zone[subnets[cidr]["AvailabilityZone"]]}
        assert drift.targets(drift.table_of(tables, subnets[cidr])) == wanted


def ways_out(tables: list[dict[str, Any]], subnet: dict[str, Any]) -> set[str]:
    """Kinds of gateway that traffic of a subnet can take: igw, nat. Fails unless its route table is its own."""
    return {gateway.split("-")[0] for gateway in drift.targets(drift.table_of(tables, subnet)).values()}


@pytest.mark.feature("NET-12", by="M")
def test_walking_the_routes_leads_where_each_tier_may_go(subnets, tables) -> None:
    reached = {tier: [ways_out(tables, subnets[cidr]) for cidr in cidrs] for tier, cidrs in TIERS.items()}
    assert reached == {"public": [{"igw"}] * 3, "private": [{"nat"}] * 3, "database": [set()] * 3}


# ---------------------------------------------------------------------------------------- what stands in the network


def test_only_the_private_tier_sends_orders_and_only_engines_reach_the_database(platform: Platform, ec2, vpc) -> None:
    found = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["SecurityGroups"]
    groups = {group["GroupName"].removeprefix(f"{PREFIX}-"): group for group in found}
    ports = {permission["FromPort"]: permission for permission in groups["engine"]["IpPermissions"]}
    replication, orders = (ports.pop(platform.site.port + first) for first in (2, 100))
    assert ports == {}
    assert [pair["GroupId"] for pair in replication["UserIdGroupPairs"]] == [groups["engine"]["GroupId"]]
    assert (replication["ToPort"], replication["IpRanges"]) == (platform.site.port + 99, [])
    assert sorted(entry["CidrIp"] for entry in orders["IpRanges"]) == sorted(TIERS["private"])
    (postgres,) = groups["database"]["IpPermissions"]
    assert (postgres["FromPort"], postgres["ToPort"]) == (5432, 5432)
    assert [pair["GroupId"] for pair in postgres["UserIdGroupPairs"]] == [groups["engine"]["GroupId"]]
    assert postgres["IpRanges"] == []
    assert groups["database"]["IpPermissionsEgress"] == []


def test_each_engine_host_stands_in_its_zones_private_subnet_and_placement_group(ec2, subnets) -> None:
    instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    found = {{t["Key"]: t["Value"] for t in i["Tags"]}["Name"]: i for i in instances}
    assert sorted(found) == sorted(ENGINES)
    groups = {g["GroupName"]: g["Strategy"] for g in ec2.describe_placement_groups()["PlacementGroups"]}
    assert groups == {f"{PREFIX}-{zone}": "cluster" for zone in ZONES}
    for (name, zone), cidr in zip(ENGINES.items(), TIERS["private"], strict=True):
        instance = found[name]
        assert instance["InstanceType"] == "c5n.metal"
        assert {"Key": "TuningProfile", "Value": "metal"} in instance["Tags"]
        assert instance["Placement"]["AvailabilityZone"] == zone
        assert instance["Placement"]["GroupName"] == f"{PREFIX}-{zone}"
        assert instance["SubnetId"] == subnets[cidr]["SubnetId"]


def test_engine_hosts_may_do_what_their_programs_do_and_nothing_else(platform: Platform, ec2) -> None:
    identity.must_be_the_engines(platform.client, [drift.engine(ec2, host) for host in ENGINES], TAGS)


def test_the_key_is_rotated(platform: Platform) -> None:
    kms = platform.client("kms")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]
    assert key["KeyManager"] == "CUSTOMER"
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True


@pytest.mark.feature("SVL-10", by="M", part="the configuration store's table")
def test_the_configuration_store_is_encrypted_backed_up_and_cannot_be_deleted(platform: Platform) -> None:
    """Its one key is the text that the members of a shard ask for (services/ironbook/store/dynamodb.py)."""
    dynamodb, named = platform.client("dynamodb"), {"TableName": f"{PREFIX}-configuration"}
    table = dynamodb.describe_table(**named)["Table"]
    assert table["KeySchema"] == [{"AttributeName": "item", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "item", "AttributeType": "S"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    key = platform.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert (table["SSEDescription"]["SSEType"], table["SSEDescription"]["KMSMasterKeyArn"]) == ("KMS", key)
    backups = dynamodb.describe_continuous_backups(**named)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    with pytest.raises(dynamodb.exceptions.ClientError, match=r"(?i)deletion.?protect"):
        dynamodb.delete_table(**named)


@pytest.mark.feature("STO-01", by="M")
@pytest.mark.feature("STO-02", by="M")
def test_the_audit_bucket_is_versioned_encrypted_closed_and_lockable(platform: Platform) -> None:
    s3, bucket = platform.client("s3"), {"Bucket": f"{PREFIX}-audit-123456789012"}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    key = platform.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    closed = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    (statement,) = json.loads(s3.get_bucket_policy(**bucket)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    lock = s3.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    assert "Rule" not in lock  # no default retention
    assert platform.second.changed == {}


@pytest.mark.feature("STR-01", by="M")
def test_the_stream_is_active_encrypted_and_kept_for_a_week(platform: Platform) -> None:
    kinesis = platform.client("kinesis")
    stream = kinesis.describe_stream_summary(StreamName=f"{PREFIX}-market-data")["StreamDescriptionSummary"]
    key = platform.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert stream["StreamStatus"] == "ACTIVE"
    assert (stream["EncryptionType"], stream["KeyId"]) == ("KMS", key)
    assert stream["RetentionPeriodHours"] == 168
    assert stream["OpenShardCount"] == 10


@pytest.mark.feature("RDB-01", by="M", repaired="endpoint of RDS")
@pytest.mark.feature("RDB-29", by="M")
def test_the_database_is_postgresql_for_trading_admin(platform: Platform, subnets) -> None:
    rds = platform.client("rds")
    (instance,) = rds.describe_db_instances()["DBInstances"]
    assert (instance["Engine"], instance["EngineVersion"]) == ("postgres", "16.1")
    assert instance["MasterUsername"] == "trading_admin"
    assert instance["DBName"] == "trading_platform"
    assert instance["StorageEncrypted"] is True
    assert instance["PubliclyAccessible"] is False
    assert instance["MultiAZ"] is True
    assert instance["Endpoint"]["Port"] == platform.site.port + 1  # the real PostgreSQL
    (group,) = rds.describe_db_subnet_groups(DBSubnetGroupName=f"{PREFIX}-database")["DBSubnetGroups"]
    wanted = {subnets[cidr]["SubnetId"] for cidr in TIERS["database"]}
    assert {subnet["SubnetIdentifier"] for subnet in group["Subnets"]} == wanted
    assert platform.second.changed == {}


def test_every_resource_carries_the_six_tags(platform: Platform, ec2, vpc) -> None:
    """VPC, subnets, tables, gateways of two kinds, addresses, groups of two kinds, hosts with two parts, stores."""
    found = drift.tags_of_everything(platform.client, ec2, vpc)
    assert len(found) == 1 + 9 + 5 + 1 + 3 + 3 + 2 + 3 + 3 * 3 + 6
    assert {name: tags for name, tags in found.items() if not TAGS.items() <= tags.items()} == {}
    assert [name for name, tags in found.items() if not tags.get("Name")] == []


# --------------------------------------------------------------------------------------- verification and its controls


def found_problems(platform: Platform) -> list[str]:
    """What the module aws_platform_check says, without the start of an Ansible for each question."""
    hosts = [
        {"shard": 0, "replica": n, "zone": zone, "role": "standby" if n else "primary"} for n, zone in enumerate(ZONES)
    ]
    wanted = Wanted(
        PREFIX, "10.0.0.0/16", ZONES, TIERS, 3, hosts, TAGS, drift.described_groups(platform.site.port, TIERS)
    )
    return problems(wanted, read(platform.client, PREFIX))


def test_verification_finds_nothing_to_complain_about(platform: Platform) -> None:
    assert found_problems(platform) == []


def must_say(platform: Platform, complaint: str, breakage: Callable[[], object]) -> None:
    """Break something; verification must name it in a line of its own."""
    before = set(found_problems(platform))
    breakage()
    new = set(found_problems(platform)) - before
    assert any(line.startswith(complaint) for line in new), f"{complaint}: {new}"


def test_what_is_broken_is_found_by_verification_and_mended_by_the_next_run(
    platform: Platform, ec2, vpc, subnets, tables
) -> None:
    """Negative controls of the verification, all in one life, since a run takes its time."""
    there = count_resources(platform.environment)
    theirs = drift.bring_theirs(ec2, subnets)
    with_their_tags = drift.tags_of(ec2, theirs)
    for breakage, complaint in drift.BREAKAGES.items():
        must_say(platform, complaint, lambda breakage=breakage: breakage(ec2, vpc, subnets, tables))  # type: ignore[misc]
    for resource, kind in drift.untag_of_ec2(ec2, vpc, subnets).items():
        untag = {"Resources": [resource], "Tags": [{"Key": "Team"}]}
        must_say(platform, f"tag Team of {resource} of {kind} is missing", lambda u=untag: ec2.delete_tags(**u))  # type: ignore[misc]
    for complaint, undo in (drift.untag_the_rest(platform.client) | drift.undo_stores(platform.client)).items():
        must_say(platform, complaint, undo)
    for complaint, undo in drift.undo_network(ec2, subnets, tables).items():
        must_say(platform, complaint, undo)
    must_say(platform, f"0 VPCs are named {PREFIX}", lambda: drift.take_names(ec2, vpc, subnets, tables))
    mended = platform.play("provision")
    assert mended.returncode == 0, mended.output
    untouched = {"identity", "zone_us-east-1a", "placement_us-east-1a", "placement_us-east-1c", "instance_0_2"}
    assert set(mended.changed) == set(platform.first.changed) - untouched
    # What others have in our VPC is told and left alone.
    assert drift.tags_of(ec2, theirs) == with_their_tags
    assert any(line.startswith(f"instance {theirs[0]} (their-bastion)") for line in found_problems(platform))
    drift.remove_theirs(ec2, theirs)
    # An address is never released behind your back: others may let it in by its number.
    (left,) = found_problems(platform)
    assert re.match(rf"address eipalloc-\w+ \({PREFIX}-us-east-1b\) belongs to no NAT gateway any more", left)
    ec2.release_address(AllocationId=left.split()[1])
    assert found_problems(platform) == []
    # What is deleted is still told: a gateway of ours, and theirs and their host.
    told = {"nat": there["nat"] + 2, "instances": there["instances"] + 1}
    assert count_resources(platform.environment) == there | told
    (database,) = platform.client("rds").describe_db_instances()["DBInstances"]
    assert (database["DeletionProtection"], database["BackupRetentionPeriod"]) == (True, 30)


def test_what_provision_cannot_set_back_is_named(platform: Platform, ec2) -> None:
    """A host without its Name is nobody's, and data stays under the key that it was written under."""
    host, kms = drift.engine(ec2, "engine-0-0")["InstanceId"], platform.client("kms")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"]
    unnamed = {"Resources": [host], "Tags": [{"Key": "Name"}]}
    must_say(platform, f"instance {host} (without a Name) in us-east-1a", lambda: ec2.delete_tags(**unnamed))
    must_say(platform, "of keys there is none", lambda: kms.delete_alias(AliasName=f"alias/{PREFIX}"))
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    under = f"database {PREFIX}-database is encrypted under arn:aws:kms:"
    must_say(platform, under, lambda: kms.create_alias(AliasName=f"alias/{PREFIX}", TargetKeyId=other))
    kms.update_alias(AliasName=f"alias/{PREFIX}", TargetKeyId=key)
    ec2.create_tags(Resources=[host], Tags=[{"Key": "Name", "Value": "engine-0-0"}])
    assert found_problems(platform) == []


def test_a_changed_password_is_refused_with_the_remedy_which_sets_it_back(platform: Platform) -> None:
    """AWS does not tell whether the password is still ours; the login does."""
    superuser = (platform.site.state / "secrets" / "postgres_superuser_password").read_text().strip()
    place = {"host": "127.0.0.1", "port": platform.site.port + 1, "dbname": "postgres"}
    with psycopg.connect(**place, user="rdsadmin", password=superuser, autocommit=True) as connection:
        connection.execute("alter role trading_admin password 'changed by hand'")
    refused = platform.play("migrate")
    assert refused.returncode != 0
    assert "password authentication failed" in refused.output
    assert "-e aws_database_reset_password=true" in refused.output
    change = set_variables("aws_database_reset_password: true")
    reset = platform.play("provision", inventory=platform.inventory("reset", change))
    assert reset.changed == {"database": 1}, reset.output
    migrated = platform.play("migrate")
    assert migrated.returncode == 0, migrated.output


# ------------------------------------------------------------------------------------------------------------ refusals


def set_variables(text: str) -> Callable[[Path], None]:
    def change(inventory: Path) -> None:
        (inventory / "group_vars" / "all" / "zz_test.yml").write_text(f"---\n{text}\n")

    return change


def test_wrong_variables_are_refused_together_with_their_file_and_line(platform: Platform) -> None:
    wrong = "aws_streams_shard_cout: 10\naws_streams_retention_hours: soon\naws_database_backup_days: 99"
    run = platform.play("provision", inventory=platform.inventory("wrong", set_variables(wrong)))
    assert run.returncode != 0
    assert re.search(
        r"zz_test.yml:2: aws_streams_shard_cout is not a variable of any role; did you mean aws_streams_shard_count\?",
        run.output,
    )
    assert re.search(r"zz_test.yml:3: aws_streams_retention_hours is 'soon'; type int is wanted", run.output)
    assert re.search(r"zz_test.yml:4: aws_database_backup_days is 99; the most is 35", run.output)
    assert "Call up the provisioners" not in run.output


@pytest.mark.feature("ORC-03", by="U", part="the play stops")
def test_a_version_below_the_minimum_is_refused(platform: Platform) -> None:
    newer = "preflight_minimum_versions: {ansible-core: 99.1, boto3: 1.44.5, amazon.aws: 10.1.2}"
    run = platform.play("provision", inventory=platform.inventory("newer", set_variables(newer)))
    assert run.returncode != 0
    assert re.search(r"ansible-core \S+ is too old; at least 99.1 is needed", run.output)


def test_another_account_is_refused(platform: Platform) -> None:
    foreign = platform.inventory("foreign", set_variables('aws_account_id: "999999999999"'))
    run = platform.play("provision", inventory=foreign)
    assert run.returncode != 0
    assert "the credentials are of account 123456789012, the inventory is for 999999999999" in run.output
    assert "Call up the provisioners" not in run.output


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9 does not answer"),
        (
            "https://ec2.us-east-1.amazonaws.com",
            "AWS_ENDPOINT_URL is https://ec2.us-east-1.amazonaws.com, which is not",
        ),
        ("", "AWS_ENDPOINT_URL is not set, so this would reach AWS itself"),
    ],
)
def test_a_local_inventory_reaches_nothing_but_a_live_emulator(
    platform: Platform, endpoint: str, complaint: str
) -> None:
    run = platform.play("provision", AWS_ENDPOINT_URL=endpoint)
    assert run.returncode != 0
    lines = run.output.splitlines()
    assert len(lines) == 1
    assert complaint in lines[0]
    assert "ironbook local up" in lines[0]


def test_a_replayed_session_in_production_is_refused(platform: Platform) -> None:
    stated = "ironbook_environment: production\nironbook_shard_map_version: 1"
    run = platform.play("provision", inventory=platform.inventory("production", set_variables(stated)))
    assert run.returncode != 0
    assert "session_replay is set and ironbook_environment is production" in run.output


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        ([(0, 0)], "engine_hosts has engine-0-1, engine-0-2, which nobody asked for"),
        ([(0, 0), (0, 1), (0, 2), (1, 0)], "engine_hosts lacks engine-1-0"),
    ],
)
def test_discover_refuses_other_hosts_than_those_asked_for(
    platform: Platform, hosts: list[tuple[int, int]], complaint: str
) -> None:
    asked = [
        {"shard": shard, "replica": n, "zone": ZONES[n], "role": "standby" if n else "primary"} for shard, n in hosts
    ]
    shards = [{"shard": 0, "symbols": ["AAPL"]}, {"shard": 1, "symbols": ["MSFT"]}][: 1 + asked[-1]["shard"]]
    change = set_variables(f"ironbook_engine_hosts: {json.dumps(asked)}\nironbook_shards: {json.dumps(shards)}")
    run = platform.play("discover", inventory=platform.inventory(f"hosts{len(hosts)}", change))
    assert run.returncode != 0
    assert complaint in run.output
