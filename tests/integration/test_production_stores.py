# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in production's network and beside it, read back through boto3: groups, hosts, key, stores, database."""

from __future__ import annotations

import json

import pytest
from integration import platform_drift as drift
from integration import platform_identity as identity
from integration.production_site import ACCOUNT, ENGINES, PREFIX, TAGS, TIERS, ZONES, Venue, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def test_each_engine_host_stands_in_its_zones_private_subnet_and_placement_group(ec2, subnets) -> None:
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    instances = [i for r in ec2.describe_instances(Filters=running)["Reservations"] for i in r["Instances"]]
    found = {tags_in(i["Tags"])["Name"]: i for i in instances}
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


def test_engine_hosts_may_do_what_their_programs_do_and_nothing_else(venue: Venue, ec2) -> None:
    identity.must_be_the_engines(venue.client, [drift.engine(ec2, host) for host in ENGINES], TAGS)


def test_the_key_is_rotated(venue: Venue) -> None:
    kms = venue.client("kms")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]
    assert key["KeyManager"] == "CUSTOMER"
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True


@pytest.mark.feature("SVL-10", by="M", part="the configuration store's table")
def test_the_configuration_store_is_encrypted_backed_up_and_cannot_be_deleted(venue: Venue) -> None:
    """Its one key is the text that the members of a shard ask for (services/ironbook/store/dynamodb.py)."""
    dynamodb, named = venue.client("dynamodb"), {"TableName": f"{PREFIX}-configuration"}
    table = dynamodb.describe_table(**named)["Table"]
    assert table["KeySchema"] == [{"AttributeName": "item", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "item", "AttributeType": "S"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    key = venue.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert (table["SSEDescription"]["SSEType"], table["SSEDescription"]["KMSMasterKeyArn"]) == ("KMS", key)
    backups = dynamodb.describe_continuous_backups(**named)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    with pytest.raises(dynamodb.exceptions.ClientError, match=r"(?i)deletion.?protect"):
        dynamodb.delete_table(**named)


@pytest.mark.feature("STO-01", by="M")
@pytest.mark.feature("STO-02", by="M")
def test_the_audit_bucket_is_versioned_encrypted_closed_and_lockable(venue: Venue) -> None:
    s3, bucket = venue.client("s3"), {"Bucket": f"{PREFIX}-audit-{ACCOUNT}"}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    key = venue.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    closed = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    (statement,) = json.loads(s3.get_bucket_policy(**bucket)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    lock = s3.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    assert "Rule" not in lock  # no default retention
    assert venue.second.changed == {}


@pytest.mark.feature("STR-01", by="M")
def test_the_stream_is_active_encrypted_and_kept_for_a_week(venue: Venue) -> None:
    kinesis = venue.client("kinesis")
    stream = kinesis.describe_stream_summary(StreamName=f"{PREFIX}-market-data")["StreamDescriptionSummary"]
    key = venue.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert stream["StreamStatus"] == "ACTIVE"
    assert (stream["EncryptionType"], stream["KeyId"]) == ("KMS", key)
    assert stream["RetentionPeriodHours"] == 168
    assert stream["OpenShardCount"] == 10


@pytest.mark.feature("RDB-01", by="M", repaired="endpoint of RDS")
@pytest.mark.feature("RDB-29", by="M")
def test_the_database_is_postgresql_for_trading_admin(venue: Venue, subnets) -> None:
    rds = venue.client("rds")
    (instance,) = rds.describe_db_instances()["DBInstances"]
    assert (instance["Engine"], instance["EngineVersion"]) == ("postgres", "16.1")
    assert instance["MasterUsername"] == "trading_admin"
    assert instance["DBName"] == "trading_platform"
    assert instance["StorageEncrypted"] is True
    assert instance["PubliclyAccessible"] is False
    assert instance["MultiAZ"] is True
    assert instance["Endpoint"]["Port"] == venue.site.port + 1  # the real PostgreSQL
    (group,) = rds.describe_db_subnet_groups(DBSubnetGroupName=f"{PREFIX}-database")["DBSubnetGroups"]
    wanted = {subnets[cidr]["SubnetId"] for cidr in TIERS["database"]}
    assert {subnet["SubnetIdentifier"] for subnet in group["Subnets"]} == wanted
    assert venue.second.changed == {}


def test_every_resource_carries_the_six_tags(venue: Venue, ec2, vpc) -> None:
    """Of the network, what leads to the premises, endpoints, the flow log, hosts with their parts, and the stores."""
    found = drift.tags_of_everything(venue.client, ec2, vpc)
    assert len(found) > 60
    assert {name: tags for name, tags in found.items() if not TAGS.items() <= tags.items()} == {}
    # A group of EC2 Auto Scaling has a name of its own.
    assert [name for name, tags in found.items() if not tags.get("Name") and ":autoScalingGroup:" not in name] == []
