# SPDX-License-Identifier: GPL-3.0-or-later
"""A replicated shard one of whose disks fails, is full, or writes half of what it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.engine_process import Engine, compiled_shim, enter
from integration.etcd_cluster import Cluster
from integration.shard import Shard, replicated_shard
from integration.stores import Etcd
from integration.trader import Trader
from local_processes import wait_for

SEGMENT = 65536
COMMANDS = (SEGMENT - 128) // 192  # that fit into a segment


@pytest.fixture
def shard(cluster: Cluster, tmp_path: Path) -> Iterator[Shard]:
    """Every member's disk does what the shim says: of each, the files `DIRECTORY/broken` and `full`."""
    library = str(compiled_shim(tmp_path))

    def with_shim(engine: Engine) -> None:
        engine.variables = {
            "LD_PRELOAD": library,
            "SHIM_BROKEN_SYNC_FILE": str(engine.directory / "broken"),
            "SHIM_FULL_FILE": str(engine.directory / "full"),
        }

    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    journal = {"fsync": "group", "segment_bytes": SEGMENT}
    with replicated_shard(settings, backend.open(), backend.shard(), before=with_shim, journal=journal) as shard:
        yield shard


def has_ended(engine: Engine) -> bool:
    """Whether its process has, by itself and not well."""
    assert engine.process is not None
    return engine.process.poll() not in {None, 0}


def test_a_standby_whose_disk_fails_ends_and_the_others_go_on(shard: Shard) -> None:
    """R6: a failed sync is never tried again; what was not synced was never acknowledged."""
    primary = shard.in_sync()
    standby = shard.engines[(primary + 1) % 3]
    client = shard.login()
    client.send(enter(1, "S", 100, 10000))
    assert client.report("A")
    (standby.directory / "broken").touch()
    client.send(enter(2, "S", 100, 10000))
    assert client.report("A")
    wait_for(lambda: has_ended(standby), "the standby's end")
    assert standby.log.read_text().splitlines()[-1].count("Input/output error: see to journal_directory") == 1
    (standby.directory / "broken").unlink()
    standby.start()
    assert shard.in_sync() == primary
    wait_for(shard.equal_states, "three equal states")


def test_what_no_standby_has_on_its_disk_is_not_acknowledged(shard: Shard) -> None:
    """R1, R6: both standbys hear of an order and neither gets it onto its disk."""
    primary = shard.in_sync()
    standbys = [engine for replica, engine in enumerate(shard.engines) if replica != primary]
    client = shard.login()
    for standby in standbys:
        (standby.directory / "broken").touch()
    client.send(enter(1, "S", 100, 10000))
    for standby in standbys:
        wait_for(lambda: has_ended(standby), "a standby's end")  # noqa: B023
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.report("A")
    for standby in standbys:
        (standby.directory / "broken").unlink()
        standby.start()
    client.socket.settimeout(20)
    assert client.report("A")
    assert shard.in_sync() == primary


def test_a_primary_whose_disk_fails_is_replaced(shard: Shard) -> None:
    first = shard.in_sync()
    trader = Trader("MAKER1", shard.login)
    for price in range(10000, 10050):
        trader.send("S", 100, price)
    trader.settle()
    (shard.engines[first].directory / "broken").touch()
    for price in range(10050, 10100):
        trader.send("S", 100, price)
    trader.settle_somewhere()
    wait_for(lambda: has_ended(shard.engines[first]), "the end of the member whose disk fails")
    second = shard.primary(other_than=[first])
    told = {ref: order.order_ref for ref, order in trader.orders.items()}
    trader.again()
    trader.drain(100)
    assert told == {ref: order.order_ref for ref, order in trader.orders.items()}
    (shard.engines[first].directory / "broken").unlink()
    shard.engines[first].start()
    assert shard.in_sync() == second
    wait_for(shard.equal_states, "three equal states")


def test_a_standby_whose_disk_is_full_is_left_out_until_there_is_room(shard: Shard) -> None:
    primary = shard.in_sync()
    standby = (primary + 1) % 3
    full = shard.engines[standby].directory / "full"
    full.touch()
    client = shard.login()
    count = 4 * COMMANDS
    client.send(b"".join(enter(ref, "S", 1, 10000) for ref in range(1, count + 1)))
    client.wait_for(count)
    status = shard.status(primary)
    assert status is not None and standby not in status["replication"]["in_sync"]
    full.unlink()
    assert shard.in_sync() == primary
    wait_for(shard.equal_states, "three equal states")


def test_half_writes_change_nothing(cluster: Cluster, tmp_path: Path) -> None:
    library = str(compiled_shim(tmp_path))

    def with_shim(engine: Engine) -> None:
        engine.variables = {"LD_PRELOAD": library, "SHIM_SHORT_WRITES": "1", "SHIM_SYNC_DELAY_US": "2000"}

    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    journal = {"fsync": "group"}
    with replicated_shard(settings, backend.open(), backend.shard(), before=with_shim, journal=journal) as shard:
        first = shard.in_sync()
        trader = Trader("MAKER1", shard.login)
        for price in range(10000, 10200):
            trader.send("S", 100, price)
        shard.engines[first].kill()
        trader.settle_somewhere()
        shard.engines[first].start()
        shard.in_sync()
        wait_for(shard.equal_states, "three equal states")
