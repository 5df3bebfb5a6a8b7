# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of DynamoDB that is the configuration store: what it is, what it should be, and how it becomes that.

Its one key is the text `item` (services/ironbook/store/dynamodb.py). It is paid for by request, encrypted under the
platform's key, and protected: from deletion, and by backups to any point in time. A table that is there keeps its items
whatever is changed of it; one with another key is not ours and is let alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

KEY = "item"
# What both modules take.
NAME = {"name": {"type": "str", "required": True}}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **NAME,
    "key_arn": {"type": "str", "required": True, "no_log": False},
    "deletion_protection": {"type": "bool", "default": True},
    "point_in_time_recovery": {"type": "bool", "default": True},
    "tags": {"type": "dict", "required": True},
}


@dataclass(frozen=True)
class Table:
    """A table, as it is or as it should be. `keys`: (attribute, its type, HASH or RANGE) of each part of its key."""

    keys: tuple[tuple[str, str, str], ...] = ((KEY, "S", "HASH"),)
    on_demand: bool = True
    key_arn: str = ""
    deletion_protection: bool = True
    point_in_time_recovery: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def given(cls, options: Mapping[str, Any]) -> Table:
        """From the options of the module."""
        return cls(
            key_arn=options["key_arn"],
            deletion_protection=options["deletion_protection"],
            point_in_time_recovery=options["point_in_time_recovery"],
            tags={key: str(value) for key, value in options["tags"].items()},
        )

    def shown(self) -> dict[str, Any]:
        """What a diff and the report show."""
        return {
            "billing_mode": "PAY_PER_REQUEST" if self.on_demand else "PROVISIONED",
            "key_arn": self.key_arn,
            "deletion_protection": self.deletion_protection,
            "point_in_time_recovery": self.point_in_time_recovery,
            "tags": dict(self.tags),
        }


def plan(name: str, wanted: Table, known: Table | None) -> list[str]:
    """Return what is to be done, in order: create, bill, encrypt, protect, back_up, tag. ValueError: it is not ours."""
    if known is None:
        return ["create", *(["back_up"] if wanted.point_in_time_recovery else [])]
    if known.keys != wanted.keys:
        has = ", ".join(f"{attribute} ({kind})" for attribute, kind, _part in known.keys)
        raise ValueError(f"the table {name} has the key {has}, not {KEY} (S) alone: it is not ours, give another name")
    actions = {
        "bill": known.on_demand != wanted.on_demand,
        "encrypt": known.key_arn != wanted.key_arn,
        "protect": known.deletion_protection != wanted.deletion_protection,
        "back_up": known.point_in_time_recovery != wanted.point_in_time_recovery,
        "tag": any(known.tags.get(key) != value for key, value in wanted.tags.items()),
    }
    return [action for action, lacking in actions.items() if lacking]


def after(wanted: Table, known: Table | None) -> Table:
    """Return what the table is once the plan is done: it keeps tags that nobody here asked for."""
    tags = {**(known.tags if known else {}), **wanted.tags}
    return Table(
        wanted.keys, wanted.on_demand, wanted.key_arn, wanted.deletion_protection, wanted.point_in_time_recovery, tags
    )


def read(client: Any, name: str) -> Table | None:
    """Return the table as it is, None where there is none; one that is being deleted is waited for."""
    table = _settled(client, name)
    if table is None:
        return None
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    keys = tuple((part["AttributeName"], types[part["AttributeName"]], part["KeyType"]) for part in table["KeySchema"])
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    return Table(
        keys=keys,
        on_demand=table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST",
        key_arn=table.get("SSEDescription", {}).get("KMSMasterKeyArn", ""),
        deletion_protection=table.get("DeletionProtectionEnabled", False),
        point_in_time_recovery=recovery == "ENABLED",
        tags=_tags(client, table["TableArn"]),
    )


def apply(client: Any, name: str, wanted: Table, actions: Iterable[str]) -> None:
    """Do what is planned, and wait after each step: DynamoDB changes one thing of a table at a time."""
    encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": wanted.key_arn}
    tags = [{"Key": key, "Value": value} for key, value in wanted.tags.items()]
    steps: dict[str, Callable[[], Any]] = {
        "create": lambda: client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": attribute, "KeyType": part} for attribute, _kind, part in wanted.keys],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind, _part in wanted.keys],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification=encryption,
            DeletionProtectionEnabled=wanted.deletion_protection,
            Tags=tags,
        ),
        "bill": lambda: client.update_table(TableName=name, BillingMode="PAY_PER_REQUEST"),
        "encrypt": lambda: client.update_table(TableName=name, SSESpecification=encryption),
        "protect": lambda: client.update_table(TableName=name, DeletionProtectionEnabled=wanted.deletion_protection),
        "back_up": lambda: client.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": wanted.point_in_time_recovery},
        ),
        "tag": lambda: client.tag_resource(
            ResourceArn=client.describe_table(TableName=name)["Table"]["TableArn"], Tags=tags
        ),
    }
    for action in actions:
        steps[action]()
        if _settled(client, name) is None:
            raise ValueError(f"the table {name} was deleted while it was being provided: run again")


def _settled(client: Any, name: str) -> Mapping[str, Any] | None:
    """Return the table's description once nothing of it is being changed; None where there is none.

    Raises botocore's WaiterError where that takes longer than its waiters wait, minutes.
    """
    try:
        table: Mapping[str, Any] = client.describe_table(TableName=name)["Table"]
        if table["TableStatus"] == "DELETING":
            client.get_waiter("table_not_exists").wait(TableName=name)
            return None
        if table["TableStatus"] != "ACTIVE":
            client.get_waiter("table_exists").wait(TableName=name)
            table = client.describe_table(TableName=name)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None
    return table


def _tags(client: Any, arn: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for page in client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn):
        found |= {tag["Key"]: tag["Value"] for tag in page["Tags"]}
    return found
