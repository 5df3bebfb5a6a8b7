# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to DynamoDB, word for word, and what each of its answers means: by botocore's own stub."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from ironbook.store.client import Conflict, Patience, Unknown, Written
from ironbook.store.dynamodb import DynamoDbStore
from ironbook.store.errors import (
    MalformedItemError,
    StoreDeniedError,
    StoreError,
    StoreMissingError,
    StoreThrottledError,
    StoreUnreachableError,
)
from ironbook.store.items import Record

MEMBERS = ("engine-0-0", "engine-0-1")
FIRST = Record(0, 1, MEMBERS[0], MEMBERS, 1, "test:1")
SECOND = Record(0, 2, MEMBERS[1], MEMBERS, 2, "test:2")
CAPACITY = {"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 1.0}}


def item(record: Record) -> dict[str, Any]:
    return {
        "item": {"S": "shard/0"},
        "format": {"N": "1"},
        "shard": {"N": "0"},
        "epoch": {"N": str(record.epoch)},
        "primary": {"S": record.primary},
        "in_sync": {"L": [{"S": member} for member in record.in_sync]},
        "version": {"N": str(record.version)},
        "writer": {"S": record.writer},
    }


GET = {
    "TableName": "t",
    "Key": {"item": {"S": "shard/0"}},
    "ConsistentRead": True,
    "ReturnConsumedCapacity": "TOTAL",
}
CREATE = {
    "TableName": "t",
    "Item": item(FIRST),
    "ConditionExpression": "attribute_not_exists(#item)",
    "ExpressionAttributeNames": {"#item": "item"},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    "ReturnConsumedCapacity": "TOTAL",
}
REPLACE = CREATE | {
    "Item": item(SECOND),
    "ConditionExpression": "#version = :version AND #writer = :writer",
    "ExpressionAttributeNames": {"#version": "version", "#writer": "writer"},
    "ExpressionAttributeValues": {":version": {"N": "1"}, ":writer": {"S": "test:1"}},
}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    client = boto3.client("dynamodb", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(client)
    stub.activate()
    return stub


@pytest.fixture
def store(stub: Stubber) -> DynamoDbStore:
    return DynamoDbStore("t", Patience(0.001, 0.001), client=stub.client)  # so that nothing is asked twice


def test_a_read_is_consistent_and_a_write_conditional(stub: Stubber, store: DynamoDbStore) -> None:
    """The stub compares each request with what is expected, and fails where one word differs."""
    stub.add_response("get_item", CAPACITY, GET)
    stub.add_response("put_item", CAPACITY, CREATE)
    stub.add_response("get_item", CAPACITY | {"Item": item(FIRST)}, GET)
    stub.add_response("put_item", CAPACITY, REPLACE)
    assert store.record(0) is None
    assert store.create(FIRST) == Written(FIRST)
    assert store.record(0) == FIRST
    assert store.replace(FIRST, SECOND) == Written(SECOND)
    stub.assert_no_pending_responses()


def failed(stub: Stubber, call: str, code: str, status: int = 400, **more: Any) -> None:
    stub.add_client_error(call, code, "as AWS says", status, modeled_fields=more or None)


def test_a_condition_that_does_not_hold_brings_what_is_there(stub: Stubber, store: DynamoDbStore) -> None:
    failed(stub, "put_item", "ConditionalCheckFailedException", Item=item(SECOND))
    assert store.create(FIRST) == Conflict(SECOND)
    failed(stub, "put_item", "ConditionalCheckFailedException")
    assert DynamoDbStore("t", store.patience, client=stub.client).replace(FIRST, SECOND) == Conflict(None)
    failed(stub, "put_item", "ConditionalCheckFailedException", Item=item(SECOND))
    fresh = DynamoDbStore("t", store.patience, client=stub.client)
    assert fresh.replace(FIRST, SECOND) == Written(SECOND)  # our own write, whose answer was lost before


@pytest.mark.parametrize(
    ("code", "status", "error", "says"),
    [
        ("ProvisionedThroughputExceededException", 400, StoreThrottledError, "more than it was provisioned for"),
        ("ThrottlingException", 400, StoreThrottledError, "more than it was provisioned for"),
        ("RequestLimitExceeded", 400, StoreThrottledError, "more than it was provisioned for"),
        ("AccessDeniedException", 400, StoreDeniedError, "allow dynamodb:PutItem on the table t"),
        ("ExpiredTokenException", 400, StoreDeniedError, "allow dynamodb:PutItem on the table t"),
        ("UnrecognizedClientException", 400, StoreDeniedError, "allow dynamodb:PutItem on the table t"),
        ("ResourceNotFoundException", 400, StoreMissingError, "create the table"),
        ("ValidationException", 400, StoreMissingError, "a table of ours"),
        ("ItemCollectionSizeLimitExceededException", 400, StoreError, "as AWS says"),
    ],
)
def test_what_aws_says_was_not_done_was_not_done(  # noqa: PLR0913, PLR0917
    stub: Stubber, store: DynamoDbStore, code: str, status: int, error: type[StoreError], says: str
) -> None:
    failed(stub, "put_item", code, status)
    with pytest.raises(error, match=says) as said:
        store.replace(FIRST, SECOND)
    assert "\n" not in str(said.value) and "dynamodb:PutItem on t" in str(said.value)
    failed(stub, "get_item", code, status)
    with pytest.raises(error, match="dynamodb:GetItem on t"):
        store.record(0)


@pytest.mark.parametrize(("code", "status"), [("InternalServerError", 500), ("ServiceUnavailable", 503), ("502", 502)])
def test_what_aws_does_not_know_we_do_not_know(stub: Stubber, store: DynamoDbStore, code: str, status: int) -> None:
    failed(stub, "put_item", code, status)
    assert isinstance(store.replace(FIRST, SECOND), Unknown)
    failed(stub, "get_item", code, status)
    with pytest.raises(StoreUnreachableError):
        store.record(0)


def test_an_answer_that_names_no_table_is_no_success(stub: Stubber, store: DynamoDbStore) -> None:
    stub.add_response("put_item", {}, REPLACE)
    assert isinstance(store.replace(FIRST, SECOND), Unknown)
    stub.add_response("get_item", {}, GET)
    with pytest.raises(StoreUnreachableError):
        store.record(0)


@pytest.mark.parametrize(
    "attribute",
    [{"N": "1.0"}, {"N": "01"}, {"N": "1E2"}, {"BOOL": True}, {"NULL": True}, {"M": {}}, {"B": b"1"}, {"NS": ["1"]}],
)
def test_an_attribute_that_we_never_write_is_malformed(
    stub: Stubber, store: DynamoDbStore, attribute: dict[str, Any]
) -> None:
    stub.add_response("get_item", CAPACITY | {"Item": item(FIRST) | {"epoch": attribute}}, GET)
    with pytest.raises(MalformedItemError, match=r"the item shard/0 of DynamoDB's table t is malformed: epoch is"):
        store.record(0)


def test_botocore_itself_retries_nothing_and_waits_no_longer_than_we_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know which request is in doubt. Endpoint and region are the environment's."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    store = DynamoDbStore("t", Patience(0.7, 2.0))
    config = store._client.meta.config
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert (config.connect_timeout, config.read_timeout) == (0.7, 0.7)
    assert store._client.meta.endpoint_url == "http://127.0.0.1:1" and config.region_name == "eu-west-3"
