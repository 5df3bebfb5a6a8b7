# SPDX-License-Identifier: GPL-3.0-or-later
"""Two shards of real processes side by side, each of three engines and agents, their records in one cluster of etcd.

Whatever breaks in one of them, the other does not notice; and no member of one can take part in the other.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from integration.engine_process import Engine, enter
from integration.etcd_cluster import Cluster
from integration.shard import Shard, replicated_shard
from integration.stores import Etcd
from ironbook.store.client import Store
from local_processes import free_port, wait_for

KEYS = ("the-key-of-the-first-shard", "the-key-of-the-other-shard")
SYMBOLS = ("AAPL", "NVDA")
DIALS = 2  # the member that calls all others


class Two(NamedTuple):
    """Both of them, and a client of their store."""

    one: Shard
    other: Shard
    store: Store


@pytest.fixture(scope="module")
def two(cluster: Cluster) -> Iterator[Two]:
    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    numbers = backend.shard(), backend.shard()
    store = backend.open()
    changes = [
        {"instruments": [{"symbol": symbol, "tick": 1}], "replication": {"key": key}}
        for symbol, key in zip(SYMBOLS, KEYS, strict=True)
    ]
    with (
        replicated_shard(settings, store, numbers[0], **changes[0]) as one,
        replicated_shard(settings, store, numbers[1], **changes[1]) as other,
    ):
        one.in_sync()
        other.in_sync()
        yield Two(one, other, store)


def trades(shard: Shard) -> int:
    status = shard.status(shard.primary())
    assert status is not None
    return int(status["trades"])


def test_they_trade_side_by_side(two: Two) -> None:
    """Each its own symbols; records, epochs, sequence numbers and users' references are each one's own."""
    before = [trades(shard) for shard in two[:2]]
    for shard, mine, others in ((two.one, *SYMBOLS), (two.other, *reversed(SYMBOLS))):
        maker, taker = shard.login("MAKER1"), shard.login("TAKER1")
        ref = maker.next_user_ref()
        maker.send(enter(ref, "S", 100, 10000, symbol=mine))
        assert maker.report("A")
        taker.send(enter(taker.next_user_ref(), "B", 100, 10000, symbol=mine))
        assert taker.report("E") and maker.report("E")
        maker.send(enter(ref + 1, "S", 100, 10000, symbol=others))
        assert maker.report("J")[13:15] == b"\x00\x17"  # it is not traded here
        maker.close()
        taker.close()
    assert [trades(shard) for shard in two[:2]] == [count + 1 for count in before]
    records = [two.store.record(shard.number) for shard in two[:2]]
    assert [record.shard for record in records if record is not None] == [shard.number for shard in two[:2]]
    members = [set(record.in_sync) for record in records if record is not None]
    assert len(members[0]) == len(members[1]) == 3 and not members[0] & members[1]


def test_one_does_not_notice_that_the_other_fails_over(two: Two) -> None:
    """No order of the other waits, no connection ends, no record changes."""
    untouched = two.store.record(two.other.number)
    primary = two.other.primary()
    maker, taker = two.other.login("MAKER1"), two.other.login("TAKER1")
    ref, taken = maker.next_user_ref(), taker.next_user_ref()
    old = two.one.primary()
    record = two.store.record(two.one.number)
    two.one.engines[old].kill()
    for _ in range(100):
        maker.send(enter(ref, "S", 10, 10000, symbol="NVDA"))
        assert maker.report("A")
        taker.send(enter(taken, "B", 10, 10000, symbol="NVDA"))
        assert taker.report("E") and maker.report("E")
        ref, taken = ref + 1, taken + 1
    new = two.one.primary(other_than=[old])
    two.one.engines[old].start()
    assert two.one.in_sync() == new
    after = two.store.record(two.one.number)
    assert record is not None and after is not None and after.epoch == record.epoch + 1
    assert two.other.primary() == primary and two.store.record(two.other.number) == untouched
    assert maker.next_user_ref() == ref  # on the connection of before
    maker.close()
    taker.close()


def with_addresses_of(own: dict[str, Any], theirs: dict[str, Any], place: int) -> dict[str, Any]:
    """A member's replication as before, but for the addresses of the others: those are the other shard's."""
    members = [*theirs["members"]]
    members[place] = own["members"][place]  # where it can listen itself
    return {**own, "members": members}


def goes_on(shard: Shard) -> bool:
    """Whether it acknowledges an order."""
    maker = shard.login("MAKER1")
    maker.send(enter(maker.next_user_ref(), "S", 1, 10001, symbol=SYMBOLS[1]))
    answer = maker.report("A")
    maker.close()
    return bool(answer)


def test_a_member_at_the_other_shards_addresses_is_refused(two: Two) -> None:
    """The member that dials the others: they say that it is of another shard, also where it has their key."""
    two.one.in_sync()
    two.other.in_sync()
    stranger, own = two.one.engines[DIALS], two.one.engines[DIALS].config["replication"]
    theirs = two.other.engines[DIALS].config["replication"]
    before = two.store.record(two.other.number)
    said = "it is a member of another shard: correct the address"
    assert said not in two.other.logs()
    for key in (theirs["key"], own["key"]):
        stranger.kill()
        stranger.config["replication"] = with_addresses_of(own, theirs, DIALS) | {"key": key}
        stranger.start()
        wait_for(lambda: said in two.other.logs(), "a refusal")  # it is told once
        time.sleep(1.0)  # it dials ten times a second
        assert goes_on(two.other) and two.store.record(two.other.number) == before
        status = stranger.admin("status")
        assert (status["shard"], status["role"], status["replication"]["primary"]) == (two.one.number, "standby", None)
        assert [other["connected"] for other in status["replication"]["members"]] == [False, False, True]  # itself
    stranger.kill()
    stranger.config["replication"] = own
    stranger.start()
    two.one.in_sync()


def test_a_member_that_says_it_is_of_the_other_shard_is_refused_by_the_key(two: Two, tmp_path: Path) -> None:
    """With the other's number and addresses, its journal empty, and the key of its own shard."""
    two.other.in_sync()
    theirs = two.other.engines[DIALS].config["replication"]
    own = two.one.engines[DIALS].config["replication"]
    place = {"members": [{"host": "127.0.0.1", "port": free_port()}] * 3}
    replication = with_addresses_of(own | place, theirs, DIALS)
    stranger = Engine(tmp_path, shard=two.other.number, replica=DIALS, replication=replication,
                      instruments=[{"symbol": "NVDA", "tick": 1}])  # fmt: skip
    del stranger.config["epoch"]
    before = two.store.record(two.other.number)
    said = "it does not have this shard's key"
    assert said not in two.other.logs()
    stranger.start()
    try:
        wait_for(lambda: said in two.other.logs() + stranger.log.read_text(), "a refusal")
        assert goes_on(two.other) and two.store.record(two.other.number) == before
        assert stranger.admin("status")["seq"] == 0
    finally:
        stranger.kill()


def test_the_other_shards_journal_is_refused(two: Two) -> None:
    primary = two.one.in_sync()
    standby = two.one.engines[(primary + 1) % 3]
    theirs = two.other.engines[standby.config["replica"]]
    standby.kill()
    theirs.kill()
    held = standby.journal.rename(standby.directory / "held")
    shutil.copytree(theirs.journal, standby.journal)
    assert "another shard's or another member's" in standby.refused()
    shutil.rmtree(standby.journal)
    held.rename(standby.journal)
    standby.start()
    theirs.start()
    two.one.in_sync()
    two.other.in_sync()


def test_an_agent_of_the_other_shard_is_no_store(two: Two) -> None:
    """A standby whose agent says another shard's record takes nothing from it, and never leads by it."""
    primary = two.one.in_sync()
    number = (primary + 1) % 3
    agent = two.one.agents[number]
    right = agent.config.read_text()
    agent.end(signal.SIGKILL)
    agent.config.write_text(json.dumps(json.loads(right) | {"shard": two.other.number}))
    before = two.store.record(two.other.number)
    agent.start()
    engine = two.one.engines[number]
    wait_for(lambda: engine.admin("status")["replication"]["store_fault"], "that it is told")
    assert engine.admin("status")["role"] == "standby"
    assert two.store.record(two.other.number) == before
    agent.end(signal.SIGKILL)
    agent.config.write_text(right)
    agent.start()
    wait_for(lambda: engine.admin("status")["replication"]["store_fault"] is None, "the right store again")
    assert two.one.in_sync() == primary
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(agent.socket))
