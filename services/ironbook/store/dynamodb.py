# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration store in a table of DynamoDB: one item each, whose keys are its attributes.

The table's only key is the text `item`. A write is one PutItem under a condition on what is there, version and writer;
where it does not hold, the answer brings what is there (ReturnValuesOnConditionCheckFailure). A read is one GetItem,
ConsistentRead. Endpoint, region and credentials come from the environment alone, as everywhere (AWS_ENDPOINT_URL,
AWS_DEFAULT_REGION). botocore itself retries nothing: only client.py knows what may be sent again.

Each request asks for its consumed capacity: an answer that does not name the table is not DynamoDB's, whatever its
status says, since botocore takes any body of a 200 for an empty answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ironbook.store.client import POLL_SECONDS, AnswerLostError, Done, Patience, Refused, Store, Stored
from ironbook.store.errors import (
    MalformedItemError,
    StoreDeniedError,
    StoreError,
    StoreMissingError,
    StoreThrottledError,
    StoreUnreachableError,
)
from ironbook.store.items import Item

KEY = "item"

# DynamoDB Developer Guide, "Error handling with DynamoDB": which errors mean that nothing was done, and why.
_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "LimitExceededException",
     "TransactionConflictException", "TransactionInProgressException"}
)  # fmt: skip
_DENIED = frozenset(
    {"AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException",
     "MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidClientTokenId",
     "KMSAccessDeniedException"}
)  # fmt: skip
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,37})\Z")


class DynamoDbStore(Store):
    """A store in one table; `client` is botocore's, made here unless a test gives one."""

    def __init__(
        self, table: str, patience: Patience | None = None, poll_seconds: float = POLL_SECONDS, client: Any = None
    ) -> None:
        """Nothing is asked of AWS yet. Raises StoreError where the environment names no region."""
        super().__init__(patience, poll_seconds)
        self.table = table
        self.name = f"DynamoDB's table {table}"
        self._client = client or _client(self.patience)

    def _get(self, key: str, seconds: float) -> Stored | None:
        answer = self._call(
            "GetItem",
            self._client.get_item,
            writes=False,
            TableName=self.table,
            Key={KEY: {"S": key}},
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
        )
        return self._stored(key, answer.get("Item"))

    def _put(self, key: str, item: Item, known: Item | None, seconds: float) -> Done | Refused:
        condition: dict[str, Any] = {
            "ConditionExpression": "attribute_not_exists(#item)",
            "ExpressionAttributeNames": {"#item": KEY},
        }
        if known is not None:
            condition = {
                "ConditionExpression": "#version = :version AND #writer = :writer",
                "ExpressionAttributeNames": {"#version": "version", "#writer": "writer"},
                "ExpressionAttributeValues": {":version": {"N": str(known.version)}, ":writer": {"S": known.writer}},
            }
        attributes = {name: _attribute(value) for name, value in item.document().items()}
        answer = self._call(
            "PutItem",
            self._client.put_item,
            writes=True,
            TableName=self.table,
            Item={KEY: {"S": key}, **attributes},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ReturnConsumedCapacity="TOTAL",
            **condition,
        )
        if "refused" in answer:
            return Refused(self._stored(key, answer["refused"]))
        return Done(0)

    def _stored(self, key: str, attributes: Mapping[str, Any] | None) -> Stored | None:
        if not attributes:
            return None
        where = f"the item {key} of {self.name}"
        values = {name: _value(where, name, attribute) for name, attribute in attributes.items()}
        if (found := values.pop(KEY, None)) != key:
            raise MalformedItemError(f"{where} is malformed: it came under the key {found!r}")
        return Stored(values, 0)

    def _call(self, action: str, function: Any, *, writes: bool, **arguments: Any) -> dict[str, Any]:
        """Make one request; {"refused": attributes} where its condition did not hold."""
        from botocore import exceptions  # type: ignore[import-untyped]  # noqa: PLC0415

        nothing_sent = (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError)
        try:
            answer: dict[str, Any] = function(**arguments)
        except exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                return {"refused": error.response.get("Item")}
            raise self._meaning(action, error, writes) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise StoreDeniedError(f"dynamodb:{action} on {self.table}: {_line(error)}") from error
        except nothing_sent as error:
            raise StoreUnreachableError(f"{self.name} cannot be reached: {_line(error)}") from error
        except exceptions.ParamValidationError as error:
            raise StoreError(f"dynamodb:{action} on {self.table}: {_line(error)}") from error
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
            raise self._lost(action, _line(error), writes) from error
        except (
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:  # botocore meets a body that is not DynamoDB's
            raise self._lost(action, f"what answered is not DynamoDB ({_line(error)})", writes) from error
        if (answer.get("ConsumedCapacity") or {}).get("TableName") is None:
            raise self._lost(action, "what answered is not DynamoDB: it names no table", writes)
        return answer

    def _meaning(self, action: str, error: Any, writes: bool) -> Exception:
        """Say what an error that DynamoDB itself reports means for the item."""
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        line = f"dynamodb:{action} on {self.table}: {_line(error)}"
        if code in _THROTTLED:
            return StoreThrottledError(f"{line}; it is asked more than it was provisioned for")
        if code in _DENIED:
            return StoreDeniedError(f"{line}; allow dynamodb:{action} on the table {self.table}")
        if code == "ResourceNotFoundException":
            return StoreMissingError(f"{line}; create the table, with the text {KEY!r} as its key")
        if code == "ValidationException":
            return StoreMissingError(f"{line}; is it a table of ours, with the text {KEY!r} as its only key?")
        if status >= 500 or not code:
            return self._lost(action, _line(error), writes)
        return StoreError(line)

    def _lost(self, action: str, reason: str, writes: bool) -> Exception:
        line = f"dynamodb:{action} on {self.table} had no answer to go by: {reason}"
        return AnswerLostError(line) if writes else StoreUnreachableError(line)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _client(patience: Patience) -> Any:
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  (whoever has etcd needs no boto3)
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # noqa: PLC0415

    config = Config(
        connect_timeout=patience.request,
        read_timeout=patience.request,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    try:
        return boto3.session.Session().client("dynamodb", config=config)  # boto3's own session is not for threads
    except (BotoCoreError, ValueError) as error:
        raise StoreError(f"DynamoDB: {_line(error)} Set AWS_DEFAULT_REGION and, off AWS, AWS_ENDPOINT_URL") from error


def _attribute(value: Any) -> dict[str, Any]:
    """A value of a document as DynamoDB has it."""
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    return {"L": [_attribute(one) for one in value]}


def _value(where: str, name: str, attribute: Any) -> Any:
    """Read an attribute: N whole numbers, S text, L and SS lists; nothing else is ever written."""
    if isinstance(attribute, dict) and len(attribute) == 1:
        ((kind, value),) = attribute.items()
        if kind == "N" and isinstance(value, str) and _NUMBER.match(value):
            return int(value)
        if kind == "S" and isinstance(value, str):
            return value
        if kind == "SS" and isinstance(value, list):
            return sorted(value)
        if kind == "L" and isinstance(value, list):
            return [_value(where, name, one) for one in value]
    raise MalformedItemError(f"{where} is malformed: {name} is {attribute!r:.80}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
