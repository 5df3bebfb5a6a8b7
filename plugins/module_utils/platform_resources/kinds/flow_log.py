# SPDX-License-Identifier: GPL-3.0-or-later
"""A flow log of a VPC: who talked to whom, to a log group or a bucket. AWS changes none of its fields but the tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..calls import settle
from ..kind import REPLACE, Field, Found, Kind, named, specification, tag_ec2, tags_of, unchangeable

# What AWS writes where no format is asked for (VPC User Guide, "Flow log records").
DEFAULT_FORMAT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} "
    "${bytes} ${start} ${end} ${action} ${log-status}"
)


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """One place for the records, and a role where CloudWatch needs one."""
    if bool(fields["log_group"]) == bool(fields["bucket_arn"]):
        yield "give either log_group or bucket_arn: a flow log has one destination"
    if bool(fields["log_group"]) != bool(fields["role_arn"]):
        yield "give role_arn with log_group, and only there: it is who writes into the log group"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find those of VPCs."""
    for log in aws.pages("describe_flow_logs", "FlowLogs", **named(names)):
        tags = tags_of(log.get("Tags"))
        fields = {
            "vpc": log["ResourceId"],
            "traffic": log["TrafficType"],
            "log_group": log.get("LogGroupName"),
            "bucket_arn": log.get("LogDestination") if log.get("LogDestinationType") == "s3" else None,
            "role_arn": log.get("DeliverLogsPermissionArn"),
            "interval_seconds": log["MaxAggregationInterval"],
            "format": log["LogFormat"],
        }
        if log["ResourceId"].startswith("vpc-"):
            yield Found(tags.get("Name", ""), log["FlowLogId"], fields, tags)


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it. What is wrong with the destination stands in an answer that says success."""
    if fields["bucket_arn"]:
        destination = {"LogDestinationType": "s3", "LogDestination": fields["bucket_arn"]}
    else:
        destination = {
            "LogDestinationType": "cloud-watch-logs",
            "LogGroupName": fields["log_group"],
            "DeliverLogsPermissionArn": fields["role_arn"],
        }
    answer = aws.call(
        "create_flow_logs",
        ResourceType="VPC",
        ResourceIds=[fields["vpc"]],
        TrafficType=fields["traffic"],
        MaxAggregationInterval=fields["interval_seconds"],
        LogFormat=fields["format"],
        TagSpecifications=specification("vpc-flow-log", name, tags),
        **destination,
    )
    settle(answer)
    return str(answer["FlowLogIds"][0])


def delete(aws: Any, found: Found) -> None:
    """Delete it; the records stay."""
    aws.call("delete_flow_logs", FlowLogIds=[found.id])


KIND = Kind(
    name="flow_log",
    says="A flow log of a VPC, to CloudWatch Logs or to S3. One whose fields change is deleted and made anew.",
    service="ec2",
    fields=(
        Field("vpc", "Name or id of the VPC.", change=REPLACE, required=True, to="vpc"),
        Field("traffic", "Which traffic is recorded.", change=REPLACE, default="ALL",
              choices=("ALL", "ACCEPT", "REJECT")),
        Field("log_group", "Name of the log group that records go to.", change=REPLACE, to="log_group"),
        Field("bucket_arn", "ARN of the bucket that records go to, with a path where one is wanted.", change=REPLACE),
        Field("role_arn", "ARN of the role that writes into the log group.", change=REPLACE),
        Field("interval_seconds", "Seconds that one record covers at most.", "int", change=REPLACE, default=600,
              choices=(60, 600)),
        Field("format", "Fields of a record, as the VPC User Guide lists them.", change=REPLACE,
              default=DEFAULT_FORMAT),
    ),
    find=find, create=create, update=unchangeable, delete=delete, tag=tag_ec2,
    not_found=("InvalidFlowLogId.NotFound", "InvalidVpcId.NotFound", "InvalidVpcID.NotFound"),
    arn="vpc-flow-log/{id}",
    problems=problems,
    example={"name": "trading-flow", "vpc": "trading", "log_group": "/trading/flow",
             "role_arn": "arn:aws:iam::111122223333:role/flow-logs"},
)  # fmt: skip
