# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of all traffic of production's VPC, and where it goes, read back through boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from integration.production_site import ACCOUNT, PREFIX, TAGS, Venue, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

BUCKET = f"{PREFIX}-logs-{ACCOUNT}"
GROUP = f"/{PREFIX}/flow-logs"
ROLE = f"{PREFIX}-flow-logs"
SOURCE = {
    "StringEquals": {"aws:SourceAccount": ACCOUNT},
    "ArnLike": {"aws:SourceArn": f"arn:aws:logs:us-east-1:{ACCOUNT}:*"},
}
# VPC User Guide, "Amazon S3 bucket permissions for flow logs", after the one statement that all our buckets have.
STATEMENTS = [
    {
        "Sid": "RefuseWhatIsNotEncryptedInTransit",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    },
    {
        "Sid": "AWSLogDeliveryWrite",
        "Effect": "Allow",
        "Principal": {"Service": "delivery.logs.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/AWSLogs/{ACCOUNT}/*",
        "Condition": {
            "StringEquals": {**SOURCE["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"},
            "ArnLike": SOURCE["ArnLike"],
        },
    },
    {
        "Sid": "AWSLogDeliveryAclCheck",
        "Effect": "Allow",
        "Principal": {"Service": "delivery.logs.amazonaws.com"},
        "Action": "s3:GetBucketAcl",
        "Resource": f"arn:aws:s3:::{BUCKET}",
        "Condition": SOURCE,
    },
]
PARTS = ("aws_log_storage", "aws_network:isolation")


def flow_logs(venue: Venue) -> dict[str, dict[str, Any]]:
    """The flow logs of the VPC by their type of destination."""
    asked = [{"Name": "resource-id", "Values": [venue.vpc["VpcId"]]}]
    listed = venue.client("ec2").describe_flow_logs(Filters=asked)["FlowLogs"]
    there = {each["LogDestinationType"]: each for each in listed}
    assert len(there) == len(listed)
    return there


@pytest.fixture
def both(venue: Venue) -> Iterator[Venue]:
    """The venue with the second destination, which the inventory may ask for; it is taken away again."""
    wanted = "aws_network_flow_logs: [s3, cloudwatch]\nironbook_retention: {log_days: 30}"
    changed = venue.apply(*PARTS, variables=wanted)
    assert (changed.returncode, changed.changed) == (0, {"localhost": 4}), changed.output
    again = venue.apply(*PARTS, variables=wanted)
    assert (again.returncode, again.changed) == (0, {}), again.output
    yield venue
    back = venue.apply(*PARTS)
    assert (back.returncode, back.changed) == (0, {"localhost": 2}), back.output
    assert sorted(flow_logs(venue)) == ["s3"]
    # What is taken off the list leaves its records behind, and who writes them.
    venue.client("logs").delete_log_group(logGroupName=GROUP)
    venue.client("iam").delete_role_policy(RoleName=ROLE, PolicyName="flow-logs")
    venue.client("iam").delete_role(RoleName=ROLE)


@pytest.mark.feature("NET-16", by="M")
def test_all_traffic_is_recorded_in_the_bucket_of_logs(venue: Venue) -> None:
    """The emulator refuses a flow log to a bucket that is not there: so the bucket was first."""
    (log,) = flow_logs(venue).values()
    assert (log["TrafficType"], log["FlowLogStatus"], log["MaxAggregationInterval"]) == ("ALL", "ACTIVE", 600)
    assert (log["LogDestinationType"], log["LogDestination"]) == ("s3", f"arn:aws:s3:::{BUCKET}")
    assert tags_in(log["Tags"]) == {**TAGS, "Name": f"{PREFIX}-s3"}
    assert {"localhost", "log_storage"} <= set(venue.first.changed)
    assert venue.second.changed == {}
    s3 = venue.client("s3")
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"] == STATEMENTS
    answer = venue.client("ec2").create_flow_logs(
        ResourceType="VPC", ResourceIds=[log["ResourceId"]], TrafficType="ALL",
        LogDestinationType="s3", LogDestination=f"arn:aws:s3:::{BUCKET}-not",
    )  # fmt: skip
    assert answer.get("FlowLogIds", []) == []
    assert "does not exist" in answer["Unsuccessful"][0]["Error"]["Message"]


def test_the_bucket_of_logs_is_closed_and_keeps_them_for_ninety_days(venue: Venue) -> None:
    s3 = venue.client("s3")
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    (encryption,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    closed = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert len(closed) == 4 and all(closed.values())
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert (rule["Status"], rule["Expiration"]) == ("Enabled", {"Days": 90})
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert tags_in(s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]) == {**TAGS, "Name": BUCKET}


@pytest.mark.feature("NET-15", by="M")
def test_the_inventory_may_ask_for_cloudwatch_as_well(both: Venue) -> None:
    there = flow_logs(both)
    assert sorted(there) == ["cloud-watch-logs", "s3"]
    assert there["s3"]["LogDestination"] == f"arn:aws:s3:::{BUCKET}"
    cloudwatch = there["cloud-watch-logs"]
    assert [log["TrafficType"] for log in there.values()] == ["ALL", "ALL"]
    assert (cloudwatch["LogGroupName"], cloudwatch["DeliverLogsStatus"]) == (GROUP, "SUCCESS")
    role = both.client("iam").get_role(RoleName=ROLE)["Role"]
    assert cloudwatch["DeliverLogsPermissionArn"] == role["Arn"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    policy = both.client("iam").get_role_policy(RoleName=ROLE, PolicyName="flow-logs")["PolicyDocument"]
    writes = policy["Statement"][0]
    assert writes["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{GROUP}"
    assert writes["Resource"] == [group, f"{group}:*"]
    (kept,) = both.client("logs").describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert kept["retentionInDays"] == 30
    # One number of the inventory: the bucket follows it as well.
    (rule,) = both.client("s3").get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["Expiration"] == {"Days": 30}
