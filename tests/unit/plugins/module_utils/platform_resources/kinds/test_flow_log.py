# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow logs to CloudWatch Logs and to S3, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds.flow_log import KIND
from platform_resources import BUCKET, ROLE, TAGS, Case, Client, converge, first, told

TO_GROUP = {"vpc": "trading", "log_group": "/beside", "role_arn": ROLE}
CASE = Case(
    variants=(
        TO_GROUP,
        {**TO_GROUP, "traffic": "REJECT", "interval_seconds": 60},
        {"vpc": "other", "bucket_arn": BUCKET, "format": "${srcaddr} ${dstaddr} ${action}"},
    ),
    drifts=(
        lambda client, log: client("ec2").delete_flow_logs(FlowLogIds=[log]),
        lambda client, log: client("ec2").delete_tags(Resources=[log], Tags=[{"Key": "CostCenter"}]),
        lambda client, log: client("ec2").create_tags(Resources=[log], Tags=[{"Key": "Team", "Value": "other"}]),
    ),
    beside={"log_groups": [{"name": "/beside"}]},
)


def log(client: Client, name: str) -> dict[str, Any]:
    (there,) = client("ec2").describe_flow_logs(Filters=[{"Name": "tag:Name", "Values": [name]}])["FlowLogs"]
    return there


@pytest.mark.slow
@pytest.mark.feature(
    "NET-15", by="M", part="a VPC's flow log of all traffic, made by platform_resources; not in the site yet"
)
def test_to_cloudwatch(served: Client) -> None:
    (vpc,) = served("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["trading"]}])["Vpcs"]
    options = {"log_groups": [{"name": "/flow"}], "flow_logs": [{"name": "cw", **TO_GROUP, "log_group": "/flow"}]}
    first(served, options)
    there = log(served, "cw")
    assert (there["ResourceId"], there["TrafficType"], there["MaxAggregationInterval"]) == (vpc["VpcId"], "ALL", 600)
    assert (there["LogDestinationType"], there["LogGroupName"]) == ("cloud-watch-logs", "/flow")
    assert there["DeliverLogsStatus"] == "SUCCESS"  # the emulator says FAILED where the group is made too late
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "cw"}


@pytest.mark.slow
@pytest.mark.feature(
    "NET-16", by="M", part="a VPC's flow log to a bucket, made by platform_resources; not in the site yet"
)
def test_to_s3(served: Client) -> None:
    first(served, {"flow_logs": [{"name": "s3", "vpc": "trading", "bucket_arn": BUCKET}]})
    there = log(served, "s3")
    assert (there["TrafficType"], there["LogDestinationType"], there["LogDestination"]) == ("ALL", "s3", BUCKET)
    outcome = converge(served, {"flow_logs": [{"name": "lost", "vpc": "trading", "bucket_arn": f"{BUCKET}-not"}]})
    assert outcome.problems == [
        "flow_log lost: creating it failed: LogDestination: trading-flow-not does not exist (400): "
        "correct what CreateFlowLogs was given, and run again"
    ]


@pytest.mark.slow
def test_a_change_makes_it_anew(served: Client) -> None:
    """The old one goes first: AWS takes no second flow log with the same destination."""
    served("s3").create_bucket(Bucket="anew")
    options = {"name": "anew", "vpc": "trading", "bucket_arn": "arn:aws:s3:::anew"}
    old = first(served, {"flow_logs": [options]})
    outcome = converge(served, {"flow_logs": [{**options, "traffic": "REJECT"}]})
    assert (told(outcome), outcome.problems) == (["replace flow_log anew traffic"], [])
    assert log(served, "anew")["TrafficType"] == "REJECT" and log(served, "anew")["FlowLogId"] != old


ROLE_WITH_GROUP = "give role_arn with log_group, and only there: it is who writes into the log group"
ONE_DESTINATION = "give either log_group or bucket_arn: a flow log has one destination"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"log_group": "/a"}, ROLE_WITH_GROUP),
        ({"bucket_arn": BUCKET, "role_arn": ROLE}, ROLE_WITH_GROUP),
        ({}, ONE_DESTINATION),
        ({**TO_GROUP, "bucket_arn": BUCKET}, ONE_DESTINATION),
    ],
)
def test_what_is_refused(given: dict[str, str], line: str) -> None:
    assert list(KIND.problems({"log_group": None, "bucket_arn": None, "role_arn": None, **given})) == [line]
