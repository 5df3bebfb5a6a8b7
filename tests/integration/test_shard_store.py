# SPDX-License-Identifier: GPL-3.0-or-later
"""A replicated shard whose configuration store was set back to a copy of before: nothing acknowledged is lost by it."""

from __future__ import annotations

import random
import signal
import time

from history.check import check
from integration.etcd_cluster import Cluster
from integration.shard import Shard, replicated_shard
from integration.shard_history import USERS, ended, led, trade
from integration.stores import Etcd
from integration.trader import Trader
from ironbook.store.client import Store
from local_processes import wait_for


def settled(traders: list[Trader], count: int) -> None:
    """So many orders, each acknowledged."""
    trade(traders, random.Random(count), count)
    for trader in traders:
        trader.settle()


def pause(shard: Shard, replica: int, number: signal.Signals = signal.SIGSTOP) -> None:
    process = shard.engines[replica].process
    assert process is not None
    process.send_signal(number)


def shrunk(store: Store, number: int) -> bool:
    record = store.record(number)
    return record is not None and len(record.in_sync) == 2


def test_a_member_that_was_told_of_a_newer_record_does_not_lead_by_an_older_one(cluster: Cluster) -> None:
    """It was left out, and the copy says that it is in sync. The two that have everything are gone meanwhile."""
    backend, settings = Etcd(cluster), {"kind": "etcd", "endpoints": cluster.endpoints}
    store, number = backend.open(), backend.shard()
    with replicated_shard(settings, store, number) as shard:
        primary = shard.in_sync()
        other, late = (primary + 1) % 3, (primary + 2) % 3
        traders = [Trader(user, shard.login) for user in USERS]
        copy = store.record(number)
        assert copy is not None
        pause(shard, late)
        wait_for(lambda: shrunk(store, number), "a set without the one that is paused")
        time.sleep(shard.engines[late].config["replication"]["silence_ms"] / 1000 + 0.5)  # nothing is on its way to it
        settled(traders, 200)
        leaders = [led(shard, primary)]
        for gone in (primary, other):
            shard.engines[gone].kill()
        newest = store.record(number)
        backend.put_raw(copy.key, copy.document())
        pause(shard, late, signal.SIGCONT)

        def refuses() -> bool:
            status = shard.status(late)
            return status is not None and "is an older one" in str(status["replication"]["store_fault"])

        wait_for(refuses, "a member that does not believe the store")
        assert newest is not None
        backend.put_raw(newest.key, newest.document())  # as the runbook says
        shard.engines[other].start()
        shard.engines[primary].start()
        found = check(ended(shard, traders, leaders))
        assert found == [], shard.logs()
