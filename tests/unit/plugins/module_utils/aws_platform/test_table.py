# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration store's table: what is planned, and against moto what it then is. Requests are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import table
from moto import mock_aws

KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/k"
OPTIONS = {"key_arn": KEY_ARN, "deletion_protection": True, "point_in_time_recovery": True, "tags": {"Team": "devops"}}
WANTED = table.Table.given(OPTIONS)


class Recorder:
    """A client of DynamoDB that keeps the name and arguments of each call."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", region_name="us-east-1")
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if name in {"exceptions", "get_paginator"}:
            return found

        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return found(**arguments)

        return call

    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """The calls that change something."""
        return [call for call in self.calls if not call[0].startswith("describe")]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """An account with nothing in it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Recorder()


def provide(client: Recorder, wanted: table.Table = WANTED) -> list[str]:
    """What the module does; return the actions."""
    actions = table.plan("t", wanted, table.read(client, "t"))
    table.apply(client, "t", wanted, actions)
    return actions


def test_out_of_nothing(client: Recorder) -> None:
    """Made, protected and backed up; the second time there is nothing to do."""
    assert table.read(client, "t") is None
    assert provide(client) == ["create", "back_up"]
    assert table.read(client, "t") == table.after(WANTED, None) == WANTED
    client.calls.clear()
    assert provide(client) == []
    assert client.changes() == []


def test_items_outlive_a_change_of_everything(client: Recorder) -> None:
    """Each difference is one step, and what is asked of AWS is that alone."""
    provide(client)
    client.client.put_item(TableName="t", Item={"item": {"S": "shard/0"}})
    client.client.update_table(
        TableName="t",
        DeletionProtectionEnabled=False,
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    client.client.update_continuous_backups(
        TableName="t", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    arn = client.client.describe_table(TableName="t")["Table"]["TableArn"]
    client.client.tag_resource(ResourceArn=arn, Tags=[{"Key": "Team", "Value": "x"}, {"Key": "Beside", "Value": "b"}])
    other = table.Table.given({**OPTIONS, "key_arn": f"{KEY_ARN}2"})
    client.calls.clear()
    assert provide(client, other) == ["bill", "encrypt", "protect", "back_up", "tag"]
    encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": f"{KEY_ARN}2"}
    assert client.changes() == [
        ("update_table", {"TableName": "t", "BillingMode": "PAY_PER_REQUEST"}),
        ("update_table", {"TableName": "t", "SSESpecification": encryption}),
        ("update_table", {"TableName": "t", "DeletionProtectionEnabled": True}),
        (
            "update_continuous_backups",
            {"TableName": "t", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
        ),
        ("tag_resource", {"ResourceArn": arn, "Tags": [{"Key": "Team", "Value": "devops"}]}),
    ]
    known = table.read(client, "t")
    assert known is not None
    assert known.tags == {"Team": "devops", "Beside": "b"} == table.after(other, known).tags
    assert client.client.get_item(TableName="t", Key={"item": {"S": "shard/0"}})["Item"] == {"item": {"S": "shard/0"}}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([("id", "S", "HASH")], r"has the key id \(S\), not item \(S\) alone: it is not ours"),
        ([("item", "N", "HASH")], r"has the key item \(N\)"),
        ([("item", "S", "HASH"), ("at", "N", "RANGE")], r"has the key item \(S\), at \(N\)"),
    ],
)
def test_somebody_elses_table_is_let_alone(client: Recorder, keys: list[tuple[str, str, str]], said: str) -> None:
    """Whatever is wrong with its key; nothing of it is changed."""
    client.client.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": name, "KeyType": part} for name, _, part in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(ValueError, match=said):
        provide(client)
    assert client.changes() == []


def test_without_protection_it_is_made_without(client: Recorder) -> None:
    """Both can be left out, and be taken away again."""
    bare = table.Table.given({**OPTIONS, "deletion_protection": False, "point_in_time_recovery": False})
    assert provide(client, bare) == ["create"]
    assert provide(client) == ["protect", "back_up"]
    assert provide(client, bare) == ["protect", "back_up"]
    assert table.read(client, "t") == bare


@pytest.mark.parametrize(
    ("states", "waits", "found"),
    [
        (["ACTIVE"], [], True),
        (["CREATING", "ACTIVE"], ["table_exists"], True),
        (["UPDATING", "ACTIVE"], ["table_exists"], True),
        (["DELETING"], ["table_not_exists"], False),
    ],
)
def test_a_table_that_is_being_changed_is_waited_for(
    client: Recorder, monkeypatch: pytest.MonkeyPatch, states: list[str], waits: list[str], found: bool
) -> None:
    """AWS takes seconds to make one, and minutes to change its key; moto none of both."""
    provide(client)
    described = client.client.describe_table(TableName="t")["Table"]
    left, waited = list(states), []

    class Waiter:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait(self, **_: str) -> None:
            waited.append(self.name)

    def describe_table(**_: Any) -> Any:
        return {"Table": described | {"TableStatus": left.pop(0)}}

    monkeypatch.setattr(client, "describe_table", describe_table, raising=False)
    monkeypatch.setattr(client, "get_waiter", Waiter, raising=False)
    assert table.read(client, "t") == (WANTED if found else None)
    assert (waited, left) == (waits, [])
