# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock against an emulated table: who comes second learns who was first, and only the holder gives it back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils import run_lock
from ansible_collections.ironbook.trading.plugins.plugin_utils.run_lock import LockError, NoTableError, Place
from platform_resources import Client, clients, in_this_process

PLACE = Place("trading-run-lock", "trading", "trading-state")


@pytest.fixture
def client() -> Iterator[Client]:
    with in_this_process():
        client = clients()
        client("dynamodb").create_table(
            TableName=PLACE.table,
            KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


@pytest.mark.slow
def test_one_run_holds_the_lock_of_an_environment_and_the_next_learns_who(client: Client) -> None:
    dynamodb, first, second = client("dynamodb"), run_lock.this_run(os.getpid()), run_lock.this_run(os.getppid())
    run_lock.acquire(dynamodb, PLACE, first)
    with pytest.raises(LockError, match=rf"trading is being changed by {first.user}@.*process {os.getpid()}, since"):
        run_lock.acquire(dynamodb, PLACE, second)
    run_lock.acquire(dynamodb, replace(PLACE, environment="another"), second)
    assert run_lock.read(dynamodb, PLACE) == first
    with pytest.raises(LockError, match="ConditionalCheckFailed"):
        run_lock.release(dynamodb, PLACE, second.id)
    run_lock.release(dynamodb, PLACE, first.id)
    assert run_lock.read(dynamodb, PLACE) is None
    run_lock.acquire(dynamodb, PLACE, second)


@pytest.mark.slow
def test_a_lock_without_a_table_names_what_makes_it(client: Client) -> None:
    with pytest.raises(
        NoTableError, match=r"the lock of trading \(table none, .*: ironbook.trading.bootstrap makes it"
    ):
        run_lock.read(client("dynamodb"), replace(PLACE, table="none"))


@pytest.mark.slow
def test_a_run_is_recorded_with_its_end(client: Client) -> None:
    s3, holder = client("s3"), run_lock.this_run(os.getpid())
    s3.create_bucket(Bucket=PLACE.bucket)
    run_lock.record(s3, PLACE, holder)
    (listed,) = s3.list_objects_v2(Bucket=PLACE.bucket)["Contents"]
    assert listed["Key"] == f"runs/trading/{holder.since}-{holder.id}.json"
    told = json.loads(s3.get_object(Bucket=PLACE.bucket, Key=listed["Key"])["Body"].read())
    assert (told["id"], told["pid"]) == (holder.id, os.getpid()) and told["ended"] >= holder.since


def test_a_holder_is_alive_as_long_as_its_very_process_runs() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        holder = run_lock.this_run(process.pid)
        assert holder.is_alive() is True
        # A number that the kernel has given to another process since, and one of before the last boot.
        assert replace(holder, started="1").is_alive() is False
        assert replace(holder, boot="another").is_alive() is False
        assert replace(holder, host="elsewhere").is_alive() is None
    assert holder.is_alive() is False
