# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody made by other means is taken under management; provision goes on with it and makes no second one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from integration import platform_drift as drift
from integration.production_site import PREFIX, TAGS, Venue, count_resources, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def forget(venue: Venue) -> list[dict[str, Any]]:
    """Take all tags off a VPC, an instance with its parts, a database and a bucket, as one that we never made has none.

    Returns what adopt has to be told of them.
    """
    ec2, rds, s3 = venue.client("ec2"), venue.client("rds"), venue.client("s3")
    host = drift.engine(ec2, "engine-0-1")
    volumes = [each["Ebs"]["VolumeId"] for each in host["BlockDeviceMappings"]]
    interfaces = [each["NetworkInterfaceId"] for each in host["NetworkInterfaces"]]
    (database,) = rds.describe_db_instances()["DBInstances"]
    vpc = venue.vpc["VpcId"]
    for resource in [vpc, host["InstanceId"], *volumes, *interfaces]:
        tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [resource]}])["Tags"]
        ec2.delete_tags(Resources=[resource], Tags=[{"Key": tag["Key"]} for tag in tags])
    keys = [tag["Key"] for tag in database["TagList"]]
    rds.remove_tags_from_resource(ResourceName=database["DBInstanceArn"], TagKeys=keys)
    s3.delete_bucket_tagging(Bucket=drift.BUCKET)
    beside = {tag["Key"]: tag["Value"] for tag in host["Tags"] if tag["Key"] not in {*TAGS, "Name"}}
    name = database["DBInstanceIdentifier"]
    return [
        {"kind": "vpc", "id": vpc, "name": PREFIX},
        {"kind": "instance", "id": host["InstanceId"], "name": "engine-0-1", "tags": beside},
        {"kind": "db_instance", "id": name, "name": name},
        {"kind": "s3_bucket", "id": drift.BUCKET, "name": drift.BUCKET},
    ]


@pytest.mark.feature("ORC-18", by="M", repaired="tags of NAT gateways and addresses")
def test_what_others_made_is_adopted_and_provision_makes_no_second_one(venue: Venue, ec2) -> None:
    there, vpc, host = count_resources(venue), venue.vpc["VpcId"], drift.engine(ec2, "engine-0-1")
    resources = forget(venue)
    given = f"adopt_resources: {json.dumps(resources)}"
    wrong = [*resources, {"kind": "vpc", "id": "vpc-0000000000000000a", "name": "x"}]
    refused = venue.play("adopt", variables=f"adopt_resources: {json.dumps(wrong)}")
    assert refused.returncode != 0 and "vpc vpc-0000000000000000a: there is none of that id" in refused.err
    assert not ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0].get("Tags")

    adopted = venue.must("adopt", variables=given)
    assert adopted.lines[-1].startswith("changed=1 ")
    assert venue.must("provision").changed == {}
    assert count_resources(venue) == there
    again = drift.engine(ec2, "engine-0-1")
    assert (venue.vpc["VpcId"], again["InstanceId"]) == (vpc, host["InstanceId"])
    assert tags_in(again["Tags"]) == tags_in(host["Tags"])
