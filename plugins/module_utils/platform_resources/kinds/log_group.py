# SPDX-License-Identifier: GPL-3.0-or-later
"""A log group of CloudWatch Logs. amazon.aws knows a list of retentions without the seven years of an audit (2557)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import NEVER, Field, Found, Kind

# API_PutRetentionPolicy of CloudWatch Logs; 0 stands for a group that keeps its events for ever.
RETENTIONS = (
    0,
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find those that begin as all the names do: CloudWatch Logs takes a beginning, and no list of names."""
    prefix = os.path.commonprefix(list(names)) if names else ""  # noqa: RUF071 (a beginning, and no path)
    asked = {"logGroupNamePrefix": prefix} if prefix else {}
    for group in aws.pages("describe_log_groups", "logGroups", **asked):
        if names is None or group["logGroupName"] in names:
            fields = {
                "retention_days": group.get("retentionInDays", 0),
                "kms_key_arn": group.get("kmsKeyId"),
                "log_class": group.get("logGroupClass", "STANDARD"),
            }
            arn = arn_of(group)
            tags = aws.unless_gone(lambda arn=arn: aws.call("list_tags_for_resource", resourceArn=arn), None)
            if tags is not None:  # deleted since it was listed
                yield Found(group["logGroupName"], group["logGroupName"], fields, tags["tags"])


def arn_of(group: Mapping[str, Any]) -> str:
    """Return its ARN as tags want it, without the asterisk that a listing has behind it."""
    return str(group["arn"]).removesuffix(":*")


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it; how long it keeps events is set by a call of its own."""
    key = {"kmsKeyId": fields["kms_key_arn"]} if fields["kms_key_arn"] else {}
    aws.call("create_log_group", logGroupName=name, logGroupClass=fields["log_class"], tags=dict(tags), **key)
    if fields["retention_days"]:
        retain(aws, name, fields["retention_days"])
    return name


def update(aws: Any, found: Found, fields: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Set how long it keeps events, and under which key it encrypts those to come."""
    if "retention_days" in changed:
        retain(aws, found.name, fields["retention_days"])
    if "kms_key_arn" in changed and fields["kms_key_arn"]:
        aws.call("associate_kms_key", logGroupName=found.name, kmsKeyId=fields["kms_key_arn"])
    elif "kms_key_arn" in changed:
        aws.call("disassociate_kms_key", logGroupName=found.name)


def retain(aws: Any, name: str, days: int) -> None:
    """Keep events for that many days; 0: for ever."""
    if days:
        aws.call("put_retention_policy", logGroupName=name, retentionInDays=days)
    else:
        aws.call("delete_retention_policy", logGroupName=name)


def delete(aws: Any, found: Found) -> None:
    """Delete it with all that stands in it."""
    aws.call("delete_log_group", logGroupName=found.name)


def tag(aws: Any, found: Found, tags: Mapping[str, str]) -> None:
    """Set tags; they hang on its ARN."""
    listed = aws.pages("describe_log_groups", "logGroups", logGroupNamePrefix=found.name)
    arn = next(arn_of(group) for group in listed if group["logGroupName"] == found.name)
    aws.call("tag_resource", resourceArn=arn, tags=dict(tags))


KIND = Kind(
    name="log_group",
    says="A log group of CloudWatch Logs.",
    service="logs",
    fields=(
        Field("retention_days", "Days that events are kept; V(0) keeps them for ever.", "int", default=0,
              choices=RETENTIONS),
        Field("kms_key_arn", "The KMS key under which it is encrypted; without one, CloudWatch's own."),
        Field("log_class", "What can be done with the events, and what they cost.", change=NEVER, default="STANDARD",
              choices=("STANDARD", "INFREQUENT_ACCESS", "DELIVERY")),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag,
    not_found=("ResourceNotFoundException",),
    arn="log-group:{id}",
    name_is_unique=True,
    id_is_name=True,
    example={"name": "/trading/audit", "retention_days": 2557},
)  # fmt: skip
