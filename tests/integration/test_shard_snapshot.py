# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of a replicated shard that begin with a snapshot: what they read, serve, compare, and refuse."""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from history.journal_bytes import crc32c
from integration.engine_process import Engine, enter
from integration.etcd_cluster import Cluster
from integration.shard import Shard, replicated_shard
from integration.stores import Etcd
from ironbook import core
from local_processes import wait_for

SEGMENT = 100_000  # some 500 commands


@pytest.fixture
def shard(cluster: Cluster) -> Iterator[Shard]:
    """A replicated shard whose journals have many segments."""
    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    journal = {"segment_bytes": SEGMENT}
    with replicated_shard(settings, backend.open(), backend.shard(), journal=journal) as shard:
        yield shard


def trade(shard: Shard, first: int, last: int) -> None:
    """Both sessions send orders of these numbers, which trade with each other, and every report has come out."""
    clients = {name: shard.login(name, sequence=0) for name in ("MAKER1", "TAKER1")}
    for name, side in (("MAKER1", "S"), ("TAKER1", "B")):
        clients[name].send(b"".join(enter(ref, side, 1 + ref % 7, 10000 + ref % 5) for ref in range(first, last)))
        clients[name].next_user_ref()
    for client in clients.values():
        client.close()


def stream(shard: Shard, sequence: int = 1) -> list[bytes]:
    """Return the reports of MAKER1 from a number on, up to the last one, from whichever member is primary."""
    primary = shard.engines[shard.primary()]
    client = shard.login("MAKER1", sequence=sequence)
    views = {view["username"]: view for view in primary.admin("status")["sessions"]}
    reports = list(client.wait_for(views["MAKER1"]["session_seq"] - sequence + 1))
    client.close()
    return reports


def snapshot_of_what_is_committed(engine: Engine) -> core.SnapshotReport:
    """Take one on a running member as `engine_snapshot` does: of what is committed, and no more."""
    seq = engine.admin("status")["replication"]["commit_seq"]
    wait_for(lambda: core.journal_verify(engine.journal).seq >= seq, "a journal that has what is committed")
    return core.snapshot_take(engine.journal, seq, engine.config["shard"])


def begun_with(engine: Engine) -> list[tuple[int, int]]:
    """Return what the log says of each start with a snapshot: its sequence number, and the commands behind it."""
    said = re.findall(r"begins with the snapshot of sequence (\d+), and the (\d+) commands", engine.log.read_text())
    return [(int(seq), int(count)) for seq, count in said]


def told(engine: Engine) -> dict[str, int]:
    """Return the section `replication` of a member's status."""
    replication: dict[str, int] = engine.admin("status")["replication"]
    return replication


def test_it_reads_only_what_is_behind_leads_and_serves_a_new_disk(shard: Shard) -> None:
    primary = shard.in_sync()
    engine = shard.engines[(primary + 1) % 3]
    third = shard.engines[(primary + 2) % 3]
    trade(shard, 1, 1500)
    taken = snapshot_of_what_is_committed(engine)
    assert taken.seq > 2 * 500 and taken.entry_epoch == 1
    trade(shard, 1500, 1600)
    wait_for(shard.equal_states, "three equal states")
    end = engine.admin("status")["seq"]
    engine.kill()
    trade(shard, 1600, 1700)
    reports = stream(shard)

    engine.start()
    assert begun_with(engine) == [(taken.seq, end - taken.seq)]
    assert shard.in_sync() == primary
    wait_for(shard.equal_states, "three equal states")
    assert told(engine)["snapshot_seq"] == taken.seq

    assert "accepted" in shard.engines[primary].admin(f"switch_over {engine.config['replica']}")
    assert shard.primary(other_than=[primary]) == engine.config["replica"]
    shard.in_sync()
    assert stream(shard) == reports  # of before the snapshot, too
    for sequence in (2, len(reports) // 2, len(reports)):
        assert stream(shard, sequence) == reports[sequence - 1 :]
    assert shard.login("MAKER1", sequence=len(reports) + 1).next_user_ref() == 1700

    third.kill()
    shutil.rmtree(third.journal)
    third.start()
    assert shard.in_sync() == engine.config["replica"]
    trade(shard, 1700, 1750)
    wait_for(shard.equal_states, "three equal states")
    assert told(engine)["reads_from"] == 1
    assert core.replay(third.journal).state_hash == core.replay(engine.journal, whole=False).state_hash
    assert stream(shard)[: len(reports)] == reports


def test_all_of_them_begin_with_snapshots(shard: Shard) -> None:
    """One of them of the shard's very first entry, which has no events; another of one before the shard traded."""
    shard.in_sync()
    trade(shard, 1, 800)
    core.snapshot_take(shard.engines[0].journal, 1, shard.number)
    core.snapshot_take(shard.engines[1].journal, 3, shard.number)
    snapshot_of_what_is_committed(shard.engines[2])
    trade(shard, 800, 900)
    reports = stream(shard)
    for _ in range(2):
        for engine in shard.engines:
            engine.kill()
        for engine in shard.engines:
            engine.start()
        shard.in_sync()
        assert stream(shard) == reports
    trade(shard, 900, 1000)
    wait_for(shard.equal_states, "three equal states")
    assert [len(begun_with(engine)) for engine in shard.engines] == [2, 2, 2]
    assert [begun_with(engine)[-1][0] for engine in shard.engines[:2]] == [1, 3]
    assert [told(engine)["reads_from"] for engine in shard.engines] == [1, 1, 1]


def test_what_it_alone_has_is_cut_off_behind_its_snapshot_and_with_it(shard: Shard) -> None:
    """R5: the snapshot of what was committed is used again; the one of what was not goes with what is cut off."""
    first = shard.in_sync()
    engine = shard.engines[first]
    trade(shard, 1, 700)
    wait_for(shard.equal_states, "three equal states")
    good = snapshot_of_what_is_committed(engine)
    standbys = [other for other in shard.engines if other is not engine]
    maker = shard.login("MAKER1", sequence=0)
    for standby in standbys:
        standby.kill()
    maker.send(b"".join(enter(ref, "S", 100, 10000 + ref) for ref in range(700, 720)))
    wait_for(lambda: told(engine)["durable_seq"] >= told(engine)["commit_seq"] + 20, "orders on one disk alone")
    engine.kill()
    bad = core.snapshot_take(engine.journal, shard=shard.number)  # by hand: of all that is there
    assert bad.seq >= good.seq + 20
    for standby in standbys:
        standby.start()
    second = shard.primary(other_than=[first])
    trade(shard, 700, 710)
    engine.start()
    assert shard.in_sync() == second
    wait_for(shard.equal_states, "three equal states")
    begun = [seq for seq, _ in begun_with(engine)]
    assert begun == [bad.seq, good.seq]
    assert core.snapshots(engine.journal) == [engine.journal / good.file]
    assert "discards its state" in engine.log.read_text()


def rewritten(journal: Path, to: Path, shard: int) -> Path:
    """A journal of the same commands, whose groups, and so whose chain, are others."""
    with core.Journal(to, shard=shard, orders=core.journal_verify(journal).orders, segment_bytes=SEGMENT) as written:
        for command in core.journal_dump(journal):
            written.append([command])
    return to


def test_one_that_does_not_fit_is_named_and_an_older_one_is_used(shard: Shard, tmp_path: Path) -> None:
    primary = shard.in_sync()
    engine = shard.engines[(primary + 1) % 3]
    trade(shard, 1, 500)
    wait_for(shard.equal_states, "three equal states")
    sound = snapshot_of_what_is_committed(engine)
    trade(shard, 500, 600)
    wait_for(shard.equal_states, "three equal states")
    engine.kill()
    damaged = core.snapshot_take(engine.journal, sound.seq + 100, shard.number)
    data = bytearray((engine.journal / damaged.file).read_bytes())
    data[len(data) // 2] ^= 1
    (engine.journal / damaged.file).write_bytes(data)
    other = rewritten(engine.journal, tmp_path / "other", shard.number)
    foreign = core.snapshot_take(other, sound.seq + 150, shard.number)
    shutil.copy(other / foreign.file, engine.journal / foreign.file)
    engine.start()
    assert [seq for seq, _ in begun_with(engine)] == [sound.seq]
    log = engine.log.read_text()
    assert f"{foreign.file}: one of them does not belong here, so it is passed over" in log
    assert f"{damaged.file}: its content does not fit its SHA-256, so it is passed over" in log
    assert shard.in_sync() == primary
    wait_for(shard.equal_states, "three equal states")


def test_one_of_another_chain_of_entries_is_set_aside(shard: Shard) -> None:
    """Its sums fit, and the journal's own chain: only who reads the journal from its first entry can tell."""
    primary = shard.in_sync()
    engine = shard.engines[(primary + 1) % 3]
    trade(shard, 1, 700)
    taken = snapshot_of_what_is_committed(engine)
    path = engine.journal / taken.file
    engine.kill()
    data = bytearray(path.read_bytes())
    assert struct.unpack_from("<QQ", data, 76) == (taken.entry_epoch, taken.entry_chain)
    data[84] ^= 1
    struct.pack_into("<I", data, 92, crc32c(bytes(data[76:92])))
    data[-32:] = hashlib.sha256(data[:-32]).digest()
    path.write_bytes(data)
    assert core.snapshot_verify(path).entry_chain == taken.entry_chain ^ 1
    engine.start()
    wait_for(lambda: not path.exists(), "a snapshot that is set aside")
    assert shard.in_sync() == primary
    trade(shard, 700, 800)
    wait_for(shard.equal_states, "three equal states")
    log = engine.log.read_text()
    assert "leads to another chain of entries at sequence" in log and "ends in .refused now" in log
    assert [seq for seq, _ in begun_with(engine)] == [taken.seq]  # and then out of the whole journal
    assert told(engine)["snapshot_seq"] == 0 and told(engine)["reads_from"] == 1
    assert path.with_name(path.name + ".refused").exists()


def test_where_the_beginning_of_the_journal_is_gone_it_says_whom_it_cannot_serve(shard: Shard) -> None:
    """It starts, leads and trades; who has an empty disk gets everything from another one that leads."""
    primary = shard.in_sync()
    engine = shard.engines[(primary + 1) % 3]
    third = shard.engines[(primary + 2) % 3]
    trade(shard, 1, 1500)
    taken = snapshot_of_what_is_committed(engine)
    engine.kill()
    segments = sorted(engine.journal.glob("*.journal"))
    assert len(segments) > 3
    for segment in segments[:2]:
        segment.unlink()
    engine.start()
    assert begun_with(engine)[0][0] == taken.seq
    wait_for(lambda: "cannot have them from here" in engine.log.read_text(), "the line that says so")
    assert shard.in_sync() == primary
    to = engine.config["replica"]  # whose leaving and coming back may still be under way: then it is to be asked again
    wait_for(lambda: "accepted" in shard.engines[primary].admin(f"switch_over {to}"), "a switchover")
    shard.primary(other_than=[primary])
    shard.in_sync()
    third.kill()
    shutil.rmtree(third.journal)
    third.start()
    trade(shard, 1500, 1600)
    assert told(engine)["reads_from"] == taken.seq and third.admin("status")["seq"] == 0
    assert third.config["replica"] not in engine.admin("status")["replication"]["in_sync"]
    wait_for(lambda: "accepted" in engine.admin(f"switch_over {primary}"), "a switchover")
    assert shard.in_sync() == primary
    wait_for(shard.equal_states, "three equal states")
