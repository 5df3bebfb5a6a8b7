# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of a log group can be changed and taken away."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

KEYS = [f"arn:aws:kms:us-east-1:123456789012:key/{uuid.UUID(int=number)}" for number in (1, 2)]


def group(logs: Any) -> str:
    name = f"/keys/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=name, kmsKeyId=KEYS[0])
    return name


def key_of(logs: Any, name: str) -> str | None:
    (there,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    key: str | None = there.get("kmsKeyId")
    return key


def test_stock_moto_changes_no_key(stock) -> None:
    logs = stock("logs")
    name = group(logs)
    with pytest.raises(ClientError):
        logs.associate_kms_key(logGroupName=name, kmsKeyId=KEYS[1])
    with pytest.raises(ClientError):
        logs.disassociate_kms_key(logGroupName=name)


def test_the_key_is_changed_and_taken_away(repaired) -> None:
    """The service model knows no answer of either, so there is nothing in it."""
    logs = repaired("logs")
    name = group(logs)
    assert key_of(logs, name) == KEYS[0]
    assert logs.associate_kms_key(logGroupName=name, kmsKeyId=KEYS[1]).keys() == {"ResponseMetadata"}
    assert key_of(logs, name) == KEYS[1]
    logs.disassociate_kms_key(logGroupName=name)
    assert key_of(logs, name) is None


def test_a_group_that_is_not_there_is_refused(repaired) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        repaired("logs").associate_kms_key(logGroupName="/nobody", kmsKeyId=KEYS[0])
