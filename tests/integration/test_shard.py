# SPDX-License-Identifier: GPL-3.0-or-later
"""A replicated shard of real processes: three engines, three agents, a real cluster of etcd."""

from __future__ import annotations

import shutil
import signal
import struct
import time

import pytest
from history.journal_bytes import read
from integration.engine_process import Engine, enter, used
from integration.etcd_cluster import Cluster
from integration.shard import Shard
from integration.stores import Etcd
from ironbook import core
from ironbook.core.records import Command, CommandType
from ironbook.store.client import Written
from local_processes import wait_for


def test_a_shard_begins_and_trades(shard: Shard) -> None:
    primary = shard.in_sync()
    maker, taker = shard.login("MAKER1"), shard.login("TAKER1")
    maker.send(enter(1, "S", 100, 10000))
    assert maker.report("A")
    taker.send(enter(1, "B", 100, 10000))
    assert taker.report("E") and maker.report("E")
    status = shard.status(primary)
    assert status is not None and status["trades"] == 1 and status["epoch"] == status["replication"]["epoch"] == 1
    standby = shard.engines[(primary + 1) % 3]
    wait_for(lambda: standby.admin("status")["trades"] == 1, "a standby that matches what the primary does")
    assert standby.admin("halt") == {"error": f"this member is standby: ask replica {primary}, the primary"}
    with pytest.raises(OSError):
        standby.login()
    assert shard.engines[primary].admin("switch_over 7")["error"].startswith("switch_over to which replica?")
    assert shard.engines[primary].admin(f"switch_over {primary}")["error"].startswith("this member is the primary")


def test_nothing_is_acknowledged_that_one_member_alone_has(shard: Shard) -> None:
    """R1: with both standbys paused an order waits; when one is back it is acknowledged."""
    primary = shard.in_sync()
    maker = shard.login("MAKER1")
    standbys = [shard.engines[number].process for number in range(3) if number != primary]
    for process in standbys:
        assert process is not None
        process.send_signal(signal.SIGSTOP)
    maker.send(enter(1, "S", 100, 10000))
    maker.socket.settimeout(0.8)
    with pytest.raises(TimeoutError):
        maker.report("A")
    status = shard.status(primary)
    assert status is not None and status["replication"]["commit_seq"] < status["replication"]["durable_seq"]
    maker.socket.settimeout(20)
    assert standbys[0] is not None and standbys[1] is not None
    standbys[0].send_signal(signal.SIGCONT)
    assert maker.report("A")
    standbys[1].send_signal(signal.SIGCONT)


def test_a_primary_that_slept_through_a_takeover_acknowledges_nothing(shard: Shard) -> None:
    """R2, R5: the zombie finds orders in its sockets, journals them, is refused, and discards what it has alone."""
    first = shard.in_sync()
    maker = shard.login("MAKER1")
    maker.send(enter(1, "S", 100, 10000))
    assert maker.report("A")
    process = shard.engines[first].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    second = shard.primary_unless(first)
    for ref in range(2, 12):
        maker.send(enter(ref, "S", 100, 10000 + ref))
    taker = shard.login("TAKER1")
    taker.send(enter(1, "B", 40, 10000))
    assert taker.report("E")
    process.send_signal(signal.SIGCONT)
    assert [found for found in maker.packets() if found[:2] == b"SA"] == []  # to the end of the connection
    assert shard.in_sync() == second
    again = shard.login("MAKER1")
    assert [report[:1] for report in again.wait_for(2)] == [b"A", b"E"]
    assert again.next_user_ref() == 2  # of what the zombie had nothing is left
    wait_for(shard.equal_states, "three equal states")


def test_what_a_primary_alone_has_is_taken_back(shard: Shard) -> None:
    """R5: it is on its disk and was never committed; the next primary has not got it, and the member discards it."""
    first = shard.in_sync()
    maker = shard.login("MAKER1")
    maker.send(enter(1, "S", 100, 10000))
    assert maker.report("A")
    standbys = [shard.engines[number] for number in range(3) if number != first]
    for standby in standbys:
        standby.kill()
    maker.send(b"".join(enter(ref, "S", 100, 10000 + ref) for ref in range(2, 22)))

    def has_alone() -> bool:
        status = shard.status(first)
        return status is not None and (told := status["replication"])["durable_seq"] >= told["commit_seq"] + 20

    wait_for(has_alone, "orders that are on one disk alone")
    shard.engines[first].kill()
    for standby in standbys:
        standby.start()
    second = shard.primary(other_than=[first])
    again = shard.login("MAKER1")
    assert again.next_user_ref() == 2
    again.send(enter(2, "B", 40, 10000))
    assert [report[:1] for report in again.wait_for(2)] == [b"A", b"A"]
    shard.engines[first].start()
    assert shard.in_sync() == second
    wait_for(shard.equal_states, "three equal states")
    assert "discards its state" in shard.engines[first].log.read_text()


def test_a_member_catches_up_over_thousands_of_epochs(shard: Shard, cluster: Cluster) -> None:
    """Each begins with a state that is compared: a shard may have had more of them than orders, and a new disk all."""
    shard.in_sync()
    wait_for(shard.equal_states, "three equal states")
    for engine in shard.engines:
        engine.kill()
    for engine in shard.engines[:2]:
        journal = core.Journal(engine.journal, shard=shard.number, orders=engine.config["limits"]["orders"], epoch=0)
        seq, epoch = journal.seq, journal.recovered.epoch
        time_ns = journal.recovered.time_ns
        for first in range(1, 12001, 4000):
            numbers = range(first, first + 4000)
            journal.append([Command(seq + n, time_ns, CommandType.EPOCH, value=epoch + n) for n in numbers])
        journal.close()
    store = Etcd(cluster).open()
    known = store.record(shard.number)  # whoever led an epoch had written it to the record before
    assert known is not None and isinstance(store.replace(known, known.next("test", epoch=epoch + 12000)), Written)
    for engine in shard.engines[:2]:
        engine.start()
    shard.primary()
    shard.engines[2].start()
    new = shard.engines[2].process
    assert new is not None

    def has_all_or_ended() -> bool:
        return new.poll() is not None or (shard.status(2) or {"seq": 0})["seq"] > seq + 12000

    wait_for(has_all_or_ended, "a member that has caught up")
    assert new.poll() is None, shard.engines[2].log.read_text()
    shard.in_sync()
    wait_for(shard.equal_states, "three equal states")


def promised_on_disk(engine: Engine) -> int:
    """The epoch in replica.state."""
    return int(struct.unpack_from("<Q", (engine.journal / "replica.state").read_bytes(), 16)[0])


def test_what_a_member_promised_is_on_its_disk(shard: Shard) -> None:
    """R3: nobody leads an epoch that a member, were it to start anew, would know nothing of."""
    primary = shard.in_sync()
    for _ in range(2):
        status = shard.status(primary)
        assert status is not None
        epoch = status["replication"]["epoch"]
        assert [promised_on_disk(engine) for engine in shard.engines] == [epoch] * 3
        to = (primary + 1) % 3
        wait_for(lambda: "accepted" in shard.engines[primary].admin(f"switch_over {to}"), "a switchover")  # noqa: B023
        shard.primary(other_than=[primary])
        primary = shard.in_sync()
        assert primary == to and (shard.status(to) or {})["replication"]["epoch"] > epoch
    last = (shard.status(primary) or {})["replication"]["epoch"]
    wait_for(shard.equal_states, "three equal states")
    for engine in shard.engines:
        engine.kill()
    assert [read(engine.journal).commands[-1].epoch for engine in shard.engines] == [last] * 3  # of each record


def test_a_member_whose_journal_was_torn_is_in_doubt_until_it_has_everything(shard: Shard) -> None:
    """R7: what was cut off may be what it had acknowledged, so it does not lead, nor help anybody to."""
    shard.in_sync()
    maker = shard.login("MAKER1")
    for ref in range(1, 101):
        maker.send(enter(ref, "S", 100, 10000 + ref))
    reports = maker.wait_for(100)
    wait_for(shard.equal_states, "three equal states")
    for engine in shard.engines:
        engine.kill()
    torn = shard.engines[0]
    segment = max(torn.journal.glob("*.journal"))
    segment.write_bytes(used(segment)[:-40])
    for engine, is_in_doubt in ((torn, True), (shard.engines[1], False)):
        engine.start()
        assert engine.admin("status")["replication"]["in_doubt"] is is_in_doubt
    shard.engines[2].start()
    shard.in_sync()
    assert shard.login("MAKER1").wait_for(100) == reports
    wait_for(shard.equal_states, "three equal states")
    wait_for(lambda: not torn.admin("status")["replication"]["in_doubt"], "a member that has everything")


def test_all_members_are_killed_at_once(shard: Shard) -> None:
    shard.in_sync()
    maker = shard.login("MAKER1")
    for ref in range(1, 301):
        maker.send(enter(ref, "S", 100, 10000 + ref))
    reports = maker.wait_for(300)
    for engine in shard.engines:
        engine.kill()
    for engine in shard.engines:
        engine.start()
    shard.in_sync()
    assert shard.login("MAKER1").wait_for(300) == reports


def test_a_primary_that_is_ended_hands_over_first(shard: Shard) -> None:
    """SIGTERM: the record says that the old primary had everything, and what it acknowledged is there."""
    first = shard.in_sync()
    before = shard.status(first)
    maker = shard.login("MAKER1")
    maker.send(b"".join(enter(ref, "S", 100, 10000 + ref) for ref in range(1, 2001)))
    maker.wait_for(500)
    process = shard.engines[first].process
    assert before is not None and process is not None
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    for _ in maker.packets():
        pass
    assert process.wait(10) == 0
    assert time.monotonic() - began < 2.5
    second = shard.primary(other_than=[first])
    assert second == (first + 1) % 3
    assert f"replica {first}: standby, epoch {before['epoch']}" in shard.engines[first].log.read_text()
    assert "handed over" in shard.engines[first].log.read_text()

    def shrunk() -> bool:
        status = shard.status(second)
        return status is not None and len(status["replication"]["in_sync"]) == 2

    wait_for(shrunk, "a set without the member that has ended")
    after = shard.status(second)
    assert after is not None and after["epoch"] == before["epoch"] + 1
    # One write by which the other one leads, with the old primary in the set; and one by which it leaves it.
    assert after["replication"]["version"] == before["replication"]["version"] + 2
    reports = shard.login("MAKER1").wait_for(len(maker.sequenced))
    assert reports[: len(maker.sequenced)] == maker.sequenced
    shard.engines[first].start()
    assert shard.in_sync() == second
    wait_for(shard.equal_states, "three equal states")


def waiting(shard: Shard, primary: int) -> bool:
    """Whether something is sequenced there and not committed."""
    status = shard.status(primary)
    return status is not None and status["replication"]["commit_seq"] < status["replication"]["last_seq"]


def test_a_primary_that_is_ended_waits_for_nobody_for_long(shard: Shard) -> None:
    """Not for standbys that are paused, with an order that nobody has acknowledged; nor for any that are dead."""
    first = shard.in_sync()
    primary, *standbys = (shard.engines[(first + number) % 3] for number in range(3))
    maker = shard.login("MAKER1")
    for standby in standbys:
        assert standby.process is not None
        standby.process.send_signal(signal.SIGSTOP)
    maker.send(enter(1, "S", 100, 10000))
    wait_for(lambda: waiting(shard, first), "an order that nobody acknowledges")
    began = time.monotonic()
    primary.kill(signal.SIGTERM)
    assert 0.5 < time.monotonic() - began < 3
    assert primary.process is not None and primary.process.returncode == 0
    for standby in standbys:
        assert standby.process is not None
        standby.process.send_signal(signal.SIGCONT)
    primary.start()
    alone = shard.engines[shard.in_sync()]
    for engine in shard.engines:
        if engine is not alone:
            engine.kill()
    began = time.monotonic()
    alone.kill(signal.SIGTERM)
    assert time.monotonic() - began < 1.5
    assert alone.process is not None and alone.process.returncode == 0


def test_a_member_with_a_new_disk_gets_everything(shard: Shard) -> None:
    """Also what the primary has only in its segments: more entries than its ring holds."""
    primary = shard.in_sync()
    victim = shard.engines[(primary + 1) % 3]
    victim.kill()
    maker = shard.login("MAKER1")
    count = 34_000
    for first in range(1, count, 1000):
        maker.send(b"".join(enter(ref, "S", 100, 10000 + ref % 50) for ref in range(first, first + 1000)))
        maker.wait_for(first + 999)
    shutil.rmtree(victim.journal)
    victim.start()
    assert shard.in_sync() == primary
    wait_for(shard.equal_states, "three equal states")
    assert victim.admin("status")["seq"] > count
    # … and it may lead.
    assert "accepted" in shard.engines[primary].admin(f"switch_over {victim.config['replica']}")
    assert shard.primary(other_than=[primary]) == victim.config["replica"]
    assert len(shard.login("MAKER1").wait_for(count)) == count


def test_a_member_without_the_key_is_refused(shard: Shard) -> None:
    primary = shard.in_sync()
    stranger = shard.engines[(primary + 1) % 3]
    stranger.kill()
    key = stranger.config["replication"]["key"]
    stranger.config["replication"] = {**stranger.config["replication"], "key": "another-key-of-this-length"}
    stranger.start()
    wait_for(lambda: "does not have this shard's key" in shard.logs(), "a refusal")
    maker = shard.login("MAKER1")
    maker.send(enter(1, "S", 100, 10000))
    assert maker.report("A")
    status = shard.status(primary)
    assert status is not None and stranger.config["replica"] not in status["replication"]["in_sync"]
    stranger.kill()
    stranger.config["replication"]["key"] = key
    stranger.start()
    assert shard.in_sync() == primary


def test_a_journal_of_another_shard_or_member_is_refused(shard: Shard) -> None:
    primary = shard.in_sync()
    one, other = (shard.engines[(primary + step) % 3] for step in (1, 2))
    one.kill()
    other.kill()
    held = one.journal.rename(one.directory / "held")
    shutil.copytree(other.journal, one.journal)
    assert "another member's: give this one a journal_directory of its own" in one.refused()
    shutil.rmtree(one.journal)
    held.rename(one.journal)
    one.config["shard"] = shard.number + 1
    assert "another shard's or another member's" in one.refused()
    one.config["shard"] = shard.number
    one.start()
    other.start()
    assert shard.in_sync() == primary
