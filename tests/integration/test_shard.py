# SPDX-License-Identifier: GPL-3.0-or-later
"""A replicated shard of real processes: three engines, three agents, a real cluster of etcd."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from integration.engine_process import enter
from integration.etcd_cluster import Cluster, etcd_cluster
from integration.shard import Shard, replicated_shard
from integration.stores import Etcd


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with etcd_cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
def shard(cluster: Cluster) -> Iterator[Shard]:
    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    with replicated_shard(settings, backend.open(), backend.shard()) as shard:
        yield shard


def test_a_shard_begins_and_trades(shard: Shard) -> None:
    primary = shard.in_sync()
    maker, taker = shard.login("MAKER1"), shard.login("TAKER1")
    maker.send(enter(1, "S", 100, 10000))
    assert maker.report("A")
    taker.send(enter(1, "B", 100, 10000))
    assert taker.report("E") and maker.report("E")
    print(shard.status(primary))


def test_a_killed_primary_is_replaced_and_nothing_is_lost(shard: Shard) -> None:
    first = shard.in_sync()
    maker = shard.login("MAKER1")
    for ref in range(1, 101):
        maker.send(enter(ref, "S", 100, 10000 + ref))
    reports = maker.wait_for(100)
    began = time.monotonic()
    shard.engines[first].kill()
    second = shard.primary(other_than=[first])
    took = time.monotonic() - began
    again = shard.login("MAKER1")
    assert again.wait_for(100) == reports
    print(f"{took * 1000:.0f} ms")
    assert second != first
    shard.engines[first].start()
    assert shard.in_sync() == second
