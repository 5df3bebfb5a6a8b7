# SPDX-License-Identifier: GPL-3.0-or-later
"""The checker of histories finds what it should: each invariant has a history that breaks it and nothing else.

Journals are written here byte by byte, so that the reader is not measured against itself.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from history.check import Acceptance, Fill, History, Led, Order, StateTold, check, read_log, replay_of
from history.journal_bytes import JournalError, crc32c, read

SECOND = 1_000_000_000


def record(  # noqa: PLR0913, PLR0917  (a record has this many fields)
    kind: int, seq: int, payload: bytes, epoch: int = 1, shard: int = 0, time_ns: int | None = None
) -> bytes:
    """One record of docs/engine.md's table; the chain is not looked at."""
    when = 1000 + seq if time_ns is None else time_ns
    head = struct.pack(
        "<4sHHIIQQQQQI", b"JNL1", 3, kind, len(payload), shard, epoch, seq, when, 7 * seq, seq, crc32c(payload)
    )
    return head + struct.pack("<I", crc32c(head)) + payload


def command(  # noqa: PLR0913, PLR0917  (an order has this many fields)
    seq: int, kind: int = 3, session: int = 0, ref: int = 0, side: str = "B", quantity: int = 0, price: int = 0,
    data: bytes = b"", epoch: int = 1, value: int = 0,
) -> bytes:  # fmt: skip
    front = struct.pack(
        "<QQHHIIIqQBBBB", seq, 1000 + seq, kind, session, 0, ref, 0, price, quantity, " BS".index(side), 0, 0, 0
    )
    middle = (front.ljust(72, b"\0") + data).ljust(112, b"\0") + struct.pack("<Q", value)
    payload = middle.ljust(124, b"\0") + b"\1\1\1\1"
    return record(2, seq, payload, epoch)


def journal(directory: Path, commands: list[bytes], segments: tuple[int, ...] = (1,), spare: int = 1000) -> Path:
    """A directory of segments that begin at these numbers; the last one is reserved ahead."""
    directory.mkdir()
    for first, behind in zip(segments, (*segments[1:], len(commands) + 1), strict=True):
        data = record(1, first, bytes(64)) + b"".join(commands[first - 1 : behind - 1])
        if behind == len(commands) + 1:
            data += bytes(spare)
        (directory / f"{first:020}.journal").write_bytes(data)
    return directory


SESSIONS = [command(1, 2, data=b"MAKER1MAKR"), command(2, 2, session=1, data=b"TAKER1TAKR")]
ORDERS = [
    command(3, ref=1, side="B", quantity=100, price=50),
    command(4, session=1, ref=1, side="S", quantity=60, price=50),
    command(5, ref=2, side="B", quantity=10, price=40),
    command(6, 21, epoch=2, value=2),
    command(7, session=1, ref=2, side="S", quantity=5, price=90, epoch=2),
]
FILLS = (Fill(9, "MAKER1", 1, 50, 60), Fill(9, "TAKER1", 1, 50, 60))
LOG = [
    Order("MAKER1", 1, "B", 100, 50, 10, 20, "accepted", 31, "engine-0-0", FILLS[:1]),
    Order("TAKER1", 1, "S", 60, 50, 15, 30, "accepted", 32, "engine-0-0", FILLS[1:]),
    Order("MAKER1", 2, "B", 10, 40, 40, 50, "accepted", 33, "engine-0-0"),
    Order("TAKER1", 2, "S", 5, 90, 60, 2 * SECOND, "accepted", 35, "engine-0-1"),
    Order("MAKER1", 3, "B", 1, 1, 70),
]


@pytest.fixture
def history(tmp_path: Path) -> History:
    """What a failover leaves behind when all is well: the old primary's journal ends earlier."""
    survivor = read(journal(tmp_path / "one", [*SESSIONS, *ORDERS], segments=(1, 4)))
    old = read(journal(tmp_path / "zero", [*SESSIONS, *ORDERS[:3]]))
    return History(
        orders=list(LOG),
        journals={"engine-0-1": survivor, "engine-0-0": old},
        survivor="engine-0-1",
        states=[StateTold("engine-0-0", 5, "abc"), StateTold("replay", 5, "abc"), StateTold("replay", 7, "def")],
        replayed=[*FILLS, *(Acceptance(order.session, order.ref, order.order_ref) for order in LOG[:4])],
        budget_ns=3 * SECOND,
        led=[Led("engine-0-0", 1, 4), Led("engine-0-0", 1, 5), Led("engine-0-1", 2, 6), Led("engine-0-1", 2, 7)],
    )


def test_a_history_in_which_all_holds(history: History) -> None:
    assert check(history) == []


def changed(number: int, **change: object) -> Callable[[History], None]:
    def change_order(history: History) -> None:
        history.orders[number] = replace(history.orders[number], **change)  # type: ignore[arg-type]

    return change_order


def lost_end(history: History) -> None:
    history.journals["engine-0-1"].commands.pop()


def forked(history: History) -> None:
    commands = history.journals["engine-0-0"].commands
    commands[3] = replace(commands[3], payload=b"another")


def other_state(history: History) -> None:
    history.states.append(StateTold("engine-0-2", 7, "xyz"))


def not_replayed(history: History) -> None:
    assert history.replayed is not None
    history.replayed[0] = replace(FILLS[0], price=51)


def epoch_back(history: History) -> None:
    commands = history.journals["engine-0-1"].commands
    commands[6] = replace(commands[6], epoch=1)


def epoch_stays(history: History) -> None:
    """As if the header did not follow the EPOCH command."""
    commands = history.journals["engine-0-1"].commands
    commands[5:] = [replace(one, epoch=1) for one in commands[5:]]
    history.orders[3] = replace(history.orders[3], member="engine-0-0")


def epoch_of_nobody(history: History) -> None:
    """The EPOCH command and all behind it say another epoch than the primary did."""
    commands = history.journals["engine-0-1"].commands
    commands[5:] = [replace(one, epoch=3, value=3) for one in commands[5:]]


def led(who: str, epoch: int, commit_seq: int) -> Callable[[History], None]:
    return lambda history: history.led.append(Led(who, epoch, commit_seq))


def impatient(history: History) -> None:
    history.budget_ns = SECOND


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (
            lost_end,
            [
                "I1: order 2 of TAKER1 was acknowledged (accepted) and is not in the journal of engine-0-1",
                "I6: engine-0-1 had committed 7 commands in epoch 2, which are not there",
            ],
        ),
        (changed(2, order_ref=34), ["I1: order 2 of MAKER1 was accepted as 34, and is accepted as 33 in the replay"]),
        (
            changed(2, quantity=11),
            ["I1: order 2 of MAKER1 was sent as B 11 at 40, and the journal has B 10 at 40"],
        ),
        (
            changed(2, result="rejected", order_ref=0),
            ["I1: order 2 of MAKER1 was rejected as 0, and is accepted as 33 in the replay"],
        ),
        (changed(4, acked_ns=80, result="rejected"), ["I1: order 3 of MAKER1 was acknowledged (rejected) and is not"]),
        (
            changed(1, order_ref=31, invoked_ns=11),
            ["I1: order 1 of TAKER1 was accepted as 31", "I2: two orders were acknowledged as 31"],
        ),
        (
            changed(1, order_ref=30, invoked_ns=11),
            ["I1: order 1 of TAKER1 was accepted as 30", "I2: order 1 of TAKER1 has number 30, and stands in the"],
        ),
        (forked, ["I2: engine-0-0 and engine-0-1 have different commands 4, acknowledged up to 7"]),
        (other_state, ["I3: at 7 replay has the state def, and engine-0-2 xyz"]),
        (changed(0, fills=()), ["I4: trade 9 has the sides S"]),
        (
            changed(0, fills=(replace(FILLS[0], quantity=50),)),
            ["I4: trade 9 has two sides of different terms: [(50, 50), (50, 60)]", "I5: MAKER1 saw"],
        ),
        (
            changed(1, fills=(FILLS[1], replace(FILLS[1], match=10))),
            ["I4: order 1 of TAKER1 was for 60, and 120 of it", "I4: trade 10 has the sides S", "I5: TAKER1 saw"],
        ),
        (not_replayed, ["I5: MAKER1 saw"]),
        (
            epoch_back,
            [
                "I6: command 7 of engine-0-1 is of epoch 1, and epoch 2 had begun",
                "I6: engine-0-1 led epoch 2 at command 7, which is of epoch 1",
                "I6: command 7 is of epoch 1, behind one of epoch 2",
                "I6: in epoch 1 engine-0-0, engine-0-1",
            ],
        ),
        (
            epoch_stays,
            [
                "I6: command 6 of engine-0-1 is of epoch 1, and epoch 2 had begun",
                "I6: engine-0-1 led epoch 2 at command 6, which is of epoch 1",
                "I6: engine-0-1 led epoch 2 at command 7, which is of epoch 1",
            ],
        ),
        (
            epoch_of_nobody,
            [
                "I6: engine-0-1 led epoch 2 at command 6, which is of epoch 3",
                "I6: engine-0-1 led epoch 2 at command 7, which is of epoch 3",
            ],
        ),
        (led("engine-0-2", 2, 7), ["I6: epoch 2 was led by engine-0-1, engine-0-2"]),
        (led("engine-0-1", 2, 8), ["I6: engine-0-1 had committed 8 commands in epoch 2, which are not there"]),
        (changed(2, member="engine-0-1"), ["I6: in epoch 1 engine-0-0, engine-0-1 acknowledged"]),
        (
            changed(0, invoked_ns=35, acked_ns=36),
            ["I7: order 1 of MAKER1 has number 31, and was sent after the acknowledgement of 32"],
        ),
        (impatient, ["I8: no acknowledgement for 2.000 s, budget 1.000 s"]),
    ],
)
def test_each_invariant_is_missed_when_it_is_broken(
    history: History, broken: Callable[[History], None], says: list[str]
) -> None:
    broken(history)
    found = check(history)
    assert len(found) == len(says), found
    for line, wanted in zip(found, says, strict=True):
        assert line.startswith(wanted)


def test_an_order_that_is_resent_counts_where_it_is_first(tmp_path: Path) -> None:
    """A repeated UserRefNum is ignored by the venue: what it says the second time is nobody's order."""
    other = [*SESSIONS, ORDERS[0], command(4, ref=1, side="S", quantity=7, price=1)]
    assert check(History([replace(LOG[0], fills=())], {"a": read(journal(tmp_path / "j", other))}, "a")) == []
    swapped = [*SESSIONS, command(3, ref=1, side="S", quantity=7, price=1), command(4, ref=1, quantity=100, price=50)]
    (line,) = check(History([replace(LOG[0], fills=())], {"a": read(journal(tmp_path / "k", swapped))}, "a"))
    assert line == "I1: order 1 of MAKER1 was sent as B 100 at 50, and the journal has S 7 at 1"


def test_a_quiet_time_in_which_nobody_waits_is_no_outage(tmp_path: Path) -> None:
    late = [LOG[0], replace(LOG[2], invoked_ns=100 * SECOND, acked_ns=100 * SECOND + 5)]
    quiet = History([replace(o, fills=()) for o in late], {"a": read(journal(tmp_path / "j", SESSIONS + ORDERS))}, "a")
    quiet.budget_ns = SECOND
    assert check(quiet) == []


def test_a_log_is_read_as_it_was_written_and_refused_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("".join(f"{json.dumps(asdict(order))}\n" for order in LOG))
    assert read_log(file) == LOG
    for line in ("nothing", "[]", '{"session": "A"}', json.dumps(asdict(LOG[0]) | {"colour": 1})):
        file.write_text(line)
        with pytest.raises(ValueError, match=r"log:1: no order"):
            read_log(file)


def test_events_become_what_a_client_knows() -> None:
    fill = {"type": 3, "match_ref": 9, "session": 1, "user_ref": 1, "order_ref": 32, "price": 50, "quantity": 60}
    found = replay_of([fill | {"type": 1}, fill, fill | {"type": 4}], ["MAKER1", "TAKER1"])
    assert found == [Acceptance("TAKER1", 1, 32), FILLS[1]]


def test_crc32c_is_that_of_the_rfc() -> None:
    """RFC 3720, B.4: 32 bytes of zeros, of ones, and counting up."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_each_byte_of_a_journal_is_checked(tmp_path: Path) -> None:
    """A flipped bit anywhere but in the chain and the group, whose sum covers them too, is found, or is a torn tail."""
    directory = journal(tmp_path / "j", [*SESSIONS, ORDERS[0]], spare=0)
    whole = read(directory)
    (file,) = directory.iterdir()
    data = file.read_bytes()
    for offset in range(len(data)):
        file.write_bytes(data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :])
        with pytest.raises(JournalError, match=rf"{file.name} at \d+: "):
            read(directory)
    for length in range(len(data)):
        for spare in (b"", bytes(300)):
            file.write_bytes(data[:length] + spare)
            try:
                found = read(directory)
            except JournalError:
                assert length < 128  # not even the segment's own record
                continue
            assert found.commands == whole.commands[: len(found.commands)]
            assert len(found.commands) == max(0, length - 128) // 192


@pytest.mark.parametrize(
    ("commands", "says"),
    [
        ([SESSIONS[0], ORDERS[0]], "sequence number 3, where 2 is to come"),
        ([SESSIONS[0], record(2, 2, bytes(128), shard=1)], "of shard 1, behind records of shard 0"),
        ([command(1, epoch=2), command(2, epoch=1)], "of epoch 1, behind one of epoch 2"),
        ([SESSIONS[0], record(2, 2, bytes(128), time_ns=1)], "of an earlier time"),
        ([record(2, 1, bytes(128))], "another sequence number or time than its header"),
        ([record(7, 1, bytes(128))], "type 7"),
    ],
)
def test_sound_records_that_do_not_belong_together_are_found(tmp_path: Path, commands: list[bytes], says: str) -> None:
    with pytest.raises(JournalError, match=says):
        read(journal(tmp_path / "j", [*commands, command(len(commands) + 1)], spare=0))


def test_a_segment_that_is_missing_or_ends_early_is_found(tmp_path: Path) -> None:
    directory = journal(tmp_path / "j", [*SESSIONS, *ORDERS], segments=(1, 3, 6))
    (directory / f"{3:020}.journal").rename(tmp_path / "away")
    with pytest.raises(JournalError, match="sequence number 6, where 3 is to come"):
        read(directory)
    (directory / f"{3:020}.journal").write_bytes((tmp_path / "away").read_bytes()[:-192] + bytes(192))
    with pytest.raises(JournalError, match="it is not the last segment"):
        read(directory)
