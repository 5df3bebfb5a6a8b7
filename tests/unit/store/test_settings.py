# SPDX-License-Identifier: GPL-3.0-or-later
"""A store as a configuration file describes it, and each way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ironbook.errors import CommandError
from ironbook.store.dynamodb import DynamoDbStore
from ironbook.store.etcd import EtcdStore
from ironbook.store.settings import open_store

ETCD = {"kind": "etcd", "endpoints": ["http://127.0.0.1:2379", "https://etcd-2:2379"]}


def test_both_stores_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = open_store({"kind": "dynamodb", "table": "t", "request_seconds": 2, "total_seconds": 5}, "it")
    assert isinstance(store, DynamoDbStore) and (store.patience.request, store.patience.total) == (2.0, 5.0)
    assert isinstance(open_store(ETCD, "it"), EtcdStore)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "'kind' is None: give it one of dynamodb, etcd"),
        ("etcd", "'kind' is None"),
        ({"kind": "zookeeper"}, "'kind' is 'zookeeper'"),
        ({"kind": "dynamodb"}, "key 'table' is missing"),
        ({"kind": "dynamodb", "table": "t", "region": "us-east-1"}, "unknown key 'region'"),
        ({"kind": "dynamodb", "table": "t", "endpoint": "http://x"}, "unknown key 'endpoint'"),
        ({"kind": "dynamodb", "table": "t", "total_seconds": 0}, "'total_seconds' is 0: give it seconds above 0"),
        ({"kind": "etcd", "endpoints": []}, "one at least"),
        ({"kind": "etcd", "endpoints": ["http://a:1", "http://a:1"]}, "each member of etcd once"),
        ({"kind": "etcd", "endpoints": ["10.0.0.1:2379"]}, "'10.0.0.1:2379' is no client URL"),
        ({"kind": "etcd", "endpoints": ["http://a:99999"]}, "is no client URL"),
        ({"kind": "etcd", "endpoints": ["http://user:secret@a:1"]}, "is no client URL"),
        ({"kind": "etcd", "endpoints": [7]}, "7 is no client URL"),
        (ETCD | {"user": "ironbook"}, "go together"),
        (
            {"kind": "etcd", "endpoints": ["http://10.0.0.1:2379"], "user": "u", "password_file": "/f"},
            "not go over http",
        ),
        (ETCD | {"cert_file": "/f"}, "'cert_file' and 'key_file' go together"),
        (ETCD | {"ca_file": "/no/such/file"}, "the TLS files /no/such/file cannot be used: No such file"),
    ],
)
def test_each_mistake_is_one_line(value: Any, says: str) -> None:
    with pytest.raises(CommandError, match=r"^agent\.json: store: ") as refused:
        open_store(value, "agent.json: store")
    assert says in str(refused.value) and "\n" not in str(refused.value)


def test_a_certificate_file_that_holds_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(CommandError, match=r"ca\.pem cannot be used"):
        open_store(ETCD | {"ca_file": str(tmp_path / "ca.pem")}, "it")


def test_without_a_region_dynamodb_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(CommandError, match="Set AWS_DEFAULT_REGION"):
        open_store({"kind": "dynamodb", "table": "t"}, "it")
