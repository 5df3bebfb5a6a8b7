# SPDX-License-Identifier: GPL-3.0-or-later
"""A log group is made, read back from the emulator over HTTP, and brought back after a change by hand."""

from __future__ import annotations

import pytest
from platform_resources import KEY, TAGS, Case, Client, converge, first, told

CASE = Case(
    variants=(
        {"retention_days": 2557},
        {"retention_days": 90, "kms_key_arn": KEY},
        {"kms_key_arn": f"{KEY[:-1]}6"},
    ),
    drifts=(
        lambda client, name: client("logs").delete_log_group(logGroupName=name),
        lambda client, name: client("logs").put_retention_policy(logGroupName=name, retentionInDays=7),
        lambda client, name: client("logs").delete_retention_policy(logGroupName=name),
        lambda client, name: client("logs").disassociate_kms_key(logGroupName=name),
        lambda client, name: client("logs").untag_log_group(logGroupName=name, tags=["Team"]),
    ),
)


def group(client: Client, name: str) -> dict:
    (there,) = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return there


@pytest.mark.slow
def test_it_is_read_back_over_http(served: Client) -> None:
    """With seven years, which amazon.aws does not know, the key and the six tags."""
    options = {"log_groups": [{"name": "/read/back", "retention_days": 2557, "kms_key_arn": KEY}]}
    first(served, options)
    there = group(served, "/read/back")
    assert (there["retentionInDays"], there["kmsKeyId"]) == (2557, KEY)
    assert served("logs").list_tags_for_resource(resourceArn=there["logGroupArn"])["tags"] == TAGS
    options = {"log_groups": [{"name": "/read/back"}]}
    assert told(converge(served, options)) == ["update log_group /read/back retention_days kms_key_arn"]
    there = group(served, "/read/back")
    assert "retentionInDays" not in there and "kmsKeyId" not in there


def test_what_it_stores_cannot_be_lost_by_a_change(moto: Client) -> None:
    first(moto, {"log_groups": [{"name": "/never"}]})
    outcome = converge(moto, {"log_groups": [{"name": "/never", "log_class": "INFREQUENT_ACCESS"}]})
    assert outcome.problems == [
        "log_group /never: log_class is STANDARD and cannot become INFREQUENT_ACCESS: "
        "give the new one another name, or remove this one (state: absent) first"
    ]
