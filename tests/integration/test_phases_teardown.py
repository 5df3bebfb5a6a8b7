# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of production: it takes its name to end it, what law keeps stays, and what is others' is not touched.

Its environment is the one of test_phases.py, which is whole by then: the others share one, and leave dev beside it.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from integration import platform_drift as drift
from integration.phases_site import Phases
from integration.production_site import PREFIX, TAGS, Production

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

MARKS = [{"Key": key, "Values": [TAGS[key]]} for key in ("Project", "Environment", "ManagedBy")]


def bring_others(venue: Production) -> dict[str, str]:
    """A VPC, a bucket and a key of nobody, an instance of somebody else, and a stream of our other environment."""
    ec2, kms = venue.client("ec2"), venue.client("kms")
    vpc = ec2.create_vpc(CidrBlock="172.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="172.20.1.0/24")["Subnet"]["SubnetId"]
    (image,) = ec2.describe_images(Owners=["amazon"])["Images"][:1]
    theirs = [{"Key": key, "Value": value} for key, value in {**TAGS, "Project": "somebody-elses"}.items()]
    tagged = [{"ResourceType": "instance", "Tags": theirs}]
    place = {"SubnetId": subnet, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    (instance,) = ec2.run_instances(ImageId=image["ImageId"], TagSpecifications=tagged, **place)["Instances"]
    venue.client("s3").create_bucket(Bucket="not-ours")
    kinesis, key = venue.client("kinesis"), kms.create_key()["KeyMetadata"]["KeyId"]
    kinesis.create_stream(StreamName="dev-trading-engine-market-data", ShardCount=1)
    kinesis.add_tags_to_stream(StreamName="dev-trading-engine-market-data", Tags={**TAGS, "Environment": "dev"})
    return {"vpc": vpc, "instance": instance["InstanceId"], "bucket": "not-ours", "key": key}


def tagged(venue: Production) -> dict[str, dict[str, str]]:
    """ARN -> tags of all that carries the marks of production, by the tagging API.

    The emulator tells there of ports of Direct Connect, ended ones too, and by no ARN: what_is_left asks for them.
    """
    pages = venue.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=MARKS)
    found = [each for page in pages for each in page["ResourceTagMappingList"]]
    arns = [each for each in found if each["ResourceARN"].startswith("arn:")]
    return {each["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in arns}


def are_there(venue: Production, others: dict[str, str]) -> bool:
    """Whether what is others' is as it was."""
    ec2 = venue.client("ec2")
    (reservation,) = ec2.describe_instances(InstanceIds=[others["instance"]])["Reservations"]
    return (
        reservation["Instances"][0]["State"]["Name"] == "running"
        and len(ec2.describe_vpcs(VpcIds=[others["vpc"]])["Vpcs"]) == 1
        and venue.client("kinesis").list_streams()["StreamNames"] == ["dev-trading-engine-market-data"]
        and others["bucket"] in [bucket["Name"] for bucket in venue.client("s3").list_buckets()["Buckets"]]
        and venue.client("kms").describe_key(KeyId=others["key"])["KeyMetadata"]["KeyState"] == "Enabled"
    )


def alive(arns: dict[str, Any], venue: Production) -> set[str]:
    """Without what has ended, which AWS shows for an hour, and keys that end."""
    ec2, kms = venue.client("ec2"), venue.client("kms")
    ended = {
        instance["InstanceId"]
        for each in ec2.describe_instances()["Reservations"]
        for instance in each["Instances"]
        if instance["State"]["Name"] == "terminated"
    }
    for operation, listed_as, identifier in (
        ("describe_nat_gateways", "NatGateways", "NatGatewayId"),
        ("describe_customer_gateways", "CustomerGateways", "CustomerGatewayId"),
        ("describe_vpn_connections", "VpnConnections", "VpnConnectionId"),
        ("describe_transit_gateway_attachments", "TransitGatewayAttachments", "TransitGatewayAttachmentId"),
    ):
        found = getattr(ec2, operation)()[listed_as]
        ended |= {each[identifier] for each in found if each["State"] in ("deleted", "deleting")}
    ending = {key["KeyArn"] for key in kms.list_keys()["Keys"]
              if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"}  # fmt: skip
    return {arn for arn in arns if arn.rpartition("/")[2] not in ended and arn not in ending}


def what_is_left(venue: Production) -> dict[str, Any]:
    """What services themselves list, whatever its tags; of instances, how many run, and of VPCs, those of others."""
    ec2, iam, wires = venue.client("ec2"), venue.client("iam"), venue.client("directconnect")
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    own = [{"Name": "tag:Project", "Values": [TAGS["Project"]]}]
    return {
        "dbs": venue.client("rds").describe_db_instances()["DBInstances"],
        "tables": venue.client("dynamodb").list_tables()["TableNames"],
        "roles": [role for role in iam.list_roles()["Roles"] if role["RoleName"].startswith(PREFIX)],
        "hubs": [each for each in ec2.describe_transit_gateways()["TransitGateways"] if each["State"] != "deleted"],
        "vpcs": ec2.describe_vpcs(Filters=own)["Vpcs"],
        "volumes": ec2.describe_volumes(Filters=own)["Volumes"],
        "addresses": ec2.describe_addresses()["Addresses"],
        "groups": ec2.describe_placement_groups()["PlacementGroups"],
        "ports": [each for each in wires.describe_connections()["connections"]
                  if each["connectionState"] != "deleted"],
        "interfaces": [each for each in wires.describe_virtual_interfaces()["virtualInterfaces"]
                       if each["virtualInterfaceState"] != "deleted"],
        "instances": len(ec2.describe_instances(Filters=running)["Reservations"]),
    }  # fmt: skip


def listed(venue: Production) -> Counter[tuple[str, str]]:
    """Kind and name of all that our listings find of the environment."""
    found = venue.found()
    there = {item.id for item in found.everything}
    return Counter((item.kind, item.name) for item in found.ours if item.id in there)


def database(venue: Production) -> dict[str, Any]:
    """The one database as it is described, without what is its own: its times and its number."""
    (found,) = venue.client("rds").describe_db_instances()["DBInstances"]
    groups = [group["VpcSecurityGroupId"] for group in found.pop("VpcSecurityGroups")]
    found["groups"] = len(groups)
    subnets = found.pop("DBSubnetGroup")["Subnets"]
    found["zones"] = sorted(each["SubnetAvailabilityZone"]["Name"] for each in subnets)
    found["TagList"] = {tag["Key"]: tag["Value"] for tag in found["TagList"]}
    times = ("InstanceCreateTime", "LatestRestorableTime")
    return {key: value for key, value in found.items() if key not in ("DbiResourceId", *times)}


@pytest.mark.feature("ORC-20", by="M", repaired="tags of NAT gateways and addresses")
def test_teardown_leaves_what_law_keeps_and_what_is_others_and_the_next_environment_goes_on_with_it(
    phases: Phases,
) -> None:
    venue = phases.production
    s3, rds, kms = venue.client("s3"), venue.client("rds"), venue.client("kms")
    others, before, whole, stored = bring_others(venue), tagged(venue), listed(venue), database(venue)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2557)
    s3.delete_bucket_policy(Bucket=drift.BUCKET)  # it refuses plain HTTP, which the emulator speaks
    s3.put_object(Bucket=drift.BUCKET, Key="day", Body=b"a", ObjectLockMode="COMPLIANCE",
                  ObjectLockRetainUntilDate=until)  # fmt: skip
    s3.put_object(Bucket=drift.BUCKET, Key="scratch", Body=b"a")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    marked = [{"TagKey": tag, "TagValue": value} for tag, value in {**TAGS, "Name": f"{PREFIX}-spare"}.items()]
    spare = kms.create_key(Tags=marked)["KeyMetadata"]["Arn"]  # which nothing needs

    refused = venue.play("teardown")
    assert refused.returncode != 0 and f"-e teardown_confirm={PREFIX}" in refused.err
    wrong = venue.play("teardown", "-e", "teardown_confirm=production")
    assert wrong.returncode != 0 and before.keys() <= tagged(venue).keys() and whole <= listed(venue)

    run = venue.must("teardown", "-e", f"teardown_confirm={PREFIX}")
    left = what_is_left(venue)
    assert left.pop("instances") == 1 and not any(left.values()), left
    (final,) = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    assert final["DBSnapshotIdentifier"].startswith(f"{PREFIX}-database-final-") and final["KmsKeyId"] == key
    assert [each["Key"] for each in s3.list_object_versions(Bucket=drift.BUCKET)["Versions"]] == ["day"]
    ends = kms.describe_key(KeyId=spare)["KeyMetadata"]["DeletionDate"].date().isoformat()
    swept = {" ".join(line.split()[1:3]): line for line in run.lines if line.startswith("kept: ")}
    assert swept.keys() == {
        f"kms_key {PREFIX}", f"kms_key {PREFIX}-spare", f"s3_bucket {drift.BUCKET}",
        f"rds_snapshot {final['DBSnapshotIdentifier']}",
    }  # fmt: skip
    assert swept[f"kms_key {PREFIX}-spare"].endswith(f"until {ends}")
    assert swept[f"s3_bucket {drift.BUCKET}"].endswith(f"until {until.isoformat()}")
    kept = {key, final["DBSnapshotArn"], f"arn:aws:s3:::{drift.BUCKET}"}
    assert alive(tagged(venue), venue) == kept
    assert are_there(venue, others)

    again = venue.must("teardown", "-e", f"teardown_confirm={PREFIX}")
    assert again.lines[-1].startswith("changed=0 ")

    venue.keep_requests()
    venue.must("provision")
    assert listed(venue) == whole
    (restored,) = venue.requests("RestoreDBInstanceFromDBSnapshot")
    assert restored["DBSnapshotIdentifier"] == final["DBSnapshotIdentifier"]
    assert database(venue) == stored
    told = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]
    assert (told["Arn"], told["KeyState"]) == (key, "Enabled")  # without which nobody could read what was kept
    assert [each["Key"] for each in s3.list_object_versions(Bucket=drift.BUCKET)["Versions"]] == ["day"]
    unchanged = venue.must("provision")
    assert unchanged.changed == {}
