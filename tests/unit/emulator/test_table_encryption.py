# SPDX-License-Identifier: GPL-3.0-or-later
"""UpdateTable changes a table's key; stock moto keeps the old one."""

from __future__ import annotations

from typing import Any

KEYS = [f"arn:aws:kms:us-east-1:123456789012:key/{name}" for name in ("old", "new")]


def key_after_update(client: Any) -> dict[str, Any]:
    """Make a table under the one key, put it under the other, and return what DescribeTable says."""
    client.create_table(
        TableName="keys",
        KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEYS[0]},
    )
    wanted = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEYS[1]}
    client.update_table(TableName="keys", SSESpecification=wanted)
    answer: dict[str, Any] = client.describe_table(TableName="keys")
    return answer


def test_a_table_moves_to_another_key(repaired, conforms) -> None:
    client = repaired("dynamodb")
    answer = key_after_update(client)
    # AWS, too, answers 0 decreases of the throughput, which its own service model does not allow.
    described = {name: value for name, value in answer["Table"].items() if name != "ProvisionedThroughput"}
    conforms(client, "DescribeTable", {"Table": described})
    assert answer["Table"]["SSEDescription"]["KMSMasterKeyArn"] == KEYS[1]
    client.update_table(TableName="keys", DeletionProtectionEnabled=True)
    assert client.describe_table(TableName="keys")["Table"]["SSEDescription"]["KMSMasterKeyArn"] == KEYS[1]


def test_stock_moto_needs_it(stock) -> None:
    """As soon as this fails, the repair goes."""
    assert key_after_update(stock("dynamodb"))["Table"]["SSEDescription"]["KMSMasterKeyArn"] == KEYS[0]
