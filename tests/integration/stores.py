# SPDX-License-Identifier: GPL-3.0-or-later
"""The two configuration stores as tests have them: DynamoDB of our emulator, and a real cluster of etcd."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from emulated_aws import emulator
from integration.etcd_cluster import Cluster
from integration.store_proxy import Answer, Request
from ironbook.store.client import Patience, Store
from ironbook.store.dynamodb import DynamoDbStore
from ironbook.store.etcd import EtcdStore
from ironbook.store.etcd_gateway import Gateway

TABLE = "ironbook-configuration"
CALM = Patience(request=5.0, total=20.0)  # costs nothing where an answer comes
HASTY = Patience(request=0.4, total=0.8)  # where none does
AWS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Backend(Protocol):
    """A running store, and how to say to it what it says to its clients."""

    url: str
    # What it answers where it is asked too much, where it does not allow it, and where it fails: HTTP status and body.
    throttles: tuple[int, bytes]
    denies: tuple[int, bytes]
    fails: tuple[int, bytes]

    def shard(self) -> int:
        """A shard that no test has used."""

    def open(self, url: str | None = None, patience: Patience = CALM) -> Store:
        """A client of its own; `url`: of a proxy."""

    def put_raw(self, key: str, document: Any) -> None:
        """Write anything at a key, under no condition."""

    def accepted(self, request: Request, answer: Answer) -> tuple[int, str] | None:
        """Version and writer of what a request wrote by the store's own answer; None where it wrote nothing."""


class DynamoDb:
    """The emulator's DynamoDB, with a table of ours."""

    _shards = iter(range(1, 100))

    throttles = (400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate exceeded"}')
    denies = (400, b'{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: arn:aws:iam::1:user/x '
              b'is not authorized"}')  # fmt: skip
    fails = (500, b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"Internal error"}')

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = url
        self._monkeypatch = monkeypatch
        for name, value in AWS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    def shard(self) -> int:
        """A shard that no test has used."""
        return next(self._shards)

    def open(self, url: str | None = None, patience: Patience = CALM) -> Store:
        """A client of its own; where it goes, the environment says."""
        self._monkeypatch.setenv("AWS_ENDPOINT_URL", url or self.url)
        store = DynamoDbStore(TABLE, patience, poll_seconds=0.05)
        self._monkeypatch.setenv("AWS_ENDPOINT_URL", self.url)
        return store

    def put_raw(self, key: str, document: Any) -> None:
        """Write an item; what DynamoDB has no word for, as text."""

        def attribute(value: Any) -> dict[str, Any]:
            if isinstance(value, list):
                return {"L": [attribute(one) for one in value]}
            return {"N": str(value)} if isinstance(value, int) else {"S": str(value)}

        if not isinstance(document, dict):
            document = {"value": document}
        item = {"item": {"S": key}} | {name: attribute(value) for name, value in document.items()}
        boto3.client("dynamodb", endpoint_url=self.url).put_item(TableName=TABLE, Item=item)

    def accepted(self, request: Request, answer: Answer) -> tuple[int, str] | None:
        """Read it of the bytes."""
        if not request.writes or answer[0] != 200:
            return None
        item = json.loads(request.body)["Item"]
        return int(item["version"]["N"]), item["writer"]["S"]


class Etcd:
    """A real cluster."""

    throttles = (429, b'{"error":"etcdserver: too many requests","message":"etcdserver: too many requests","code":8}')
    denies = (403, b'{"error":"etcdserver: permission denied","message":"etcdserver: permission denied","code":7}')
    fails = (503, b'{"error":"etcdserver: request timed out","message":"etcdserver: request timed out","code":14}')

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.url = cluster.leader().client_url

    def shard(self) -> int:
        """A shard that no test has used."""
        return next(self.cluster.shards)

    def open(self, url: str | None = None, patience: Patience = CALM) -> Store:
        """A client of its own, of all members or of the proxy alone."""
        endpoints = [url] if url else self.cluster.leader_first()
        return EtcdStore(Gateway(endpoints), patience=patience, poll_seconds=0.05)

    def put_raw(self, key: str, document: Any) -> None:
        """Write a value; text as it is, all else as JSON."""
        value = document if isinstance(document, str) else json.dumps(document)
        etcd_call(self.url, "/v3/kv/put", {"key": encoded(f"/ironbook/{key}"), "value": encoded(value)})

    def accepted(self, request: Request, answer: Answer) -> tuple[int, str] | None:
        """Read it of the bytes."""
        if not request.writes or json.loads(answer[2]).get("succeeded") is not True:
            return None
        item = json.loads(base64.b64decode(json.loads(request.body)["success"][0]["request_put"]["value"]))
        return item["version"], item["writer"]


def encoded(text: str) -> str:
    """As the gateway wants its bytes."""
    return base64.b64encode(text.encode()).decode()


def etcd_call(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """One request to etcd that shares no code with the client under test."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body).encode())
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


@contextmanager
def emulated_dynamodb(directory: Path) -> Iterator[str]:
    """The URL of our emulator, with the table in it."""
    with emulator(directory) as (_, url):
        client = boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            # Once: the emulator loads the service first, and a table that is asked for a second time is there already.
            config=Config(read_timeout=300, retries={"total_max_attempts": 1}),
        )
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield url
