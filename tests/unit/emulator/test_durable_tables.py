# SPDX-License-Identifier: GPL-3.0-or-later
"""DynamoDB's tables outlive the emulator's process, however it ends, where it is given a file for them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from emulated_aws import emulator

TABLE = {
    "TableName": "t",
    "KeySchema": [{"AttributeName": "item", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "item", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
    "Tags": [{"Key": "Team", "Value": "devops"}],
}
ITEM = {"item": {"S": "shard/0"}, "version": {"N": "7"}, "in_sync": {"L": [{"S": "engine-0-0"}]}}


@contextmanager
def killed_emulator(directory: Path, *options: str) -> Iterator[Any]:
    """A client of an emulator's DynamoDB; it is killed at the end."""
    with emulator(directory, *options) as (process, url):
        yield boto3.client(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}),
        )
        process.kill()


def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    """The item, the tags, and a condition that holds against what was there before."""
    tables = tmp_path / "emulator" / "tables"
    with killed_emulator(tmp_path, "--tables-file", str(tables)) as client:
        client.create_table(**TABLE)
        client.put_item(TableName="t", Item=ITEM)
    assert stat.S_IMODE(tables.stat().st_mode) == 0o600
    with killed_emulator(tmp_path, "--tables-file", str(tables)) as client:
        assert client.get_item(TableName="t", Key={"item": {"S": "shard/0"}}, ConsistentRead=True)["Item"] == ITEM
        arn = client.describe_table(TableName="t")["Table"]["TableArn"]
        assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == TABLE["Tags"]
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.put_item(TableName="t", Item=ITEM, ConditionExpression="attribute_not_exists(in_sync)")
        client.delete_table(TableName="t")
    with killed_emulator(tmp_path, "--tables-file", str(tables)) as client:
        assert client.list_tables()["TableNames"] == []


def test_stock_moto_keeps_nothing(tmp_path: Path) -> None:
    """As moto has it: as soon as this fails, the repair goes."""
    with killed_emulator(tmp_path) as client:
        client.create_table(**TABLE)
    with killed_emulator(tmp_path) as client:
        assert client.list_tables()["TableNames"] == []
