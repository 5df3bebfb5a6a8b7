# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens by the clock, and what a lost connection leaves.

Phases by schedule, the end of a volatility auction, indicative prices. All of it is sequenced: a replay of the journal
leads to the same state.
"""

from __future__ import annotations

import datetime
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.engine_process import Engine, cancel, enter
from ironbook import core
from ironbook.core.records import CommandType, Event, EventFlag, EventType, Phase, Reason

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that is not started yet, with a quick tick."""
    process = Engine(tmp_path, heartbeat_seconds=1)
    yield process
    process.kill()


def clock(seconds: float) -> str:
    """The time of day, so many seconds from now, UTC."""
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).strftime("%H:%M:%S")


def events(engine: Engine, kind: EventType) -> list[Event]:
    """What the journal leads to, of one type."""
    return [event for event in core.events(engine.journal) if event.type == kind]


def phases(engine: Engine) -> list[Phase]:
    """Each change so far."""
    return [Phase(event.phase) for event in events(engine, EventType.PHASE)]


def wait(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What the condition says, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def same_after_a_kill(engine: Engine) -> None:
    """Kill, replay, start again: one state hash."""
    engine.admin("totals")
    before = engine.admin("totals")
    engine.kill()
    replayed = core.replay(engine.journal, before["seq"])
    assert f"{replayed.state_hash:016x}" == before["state_hash"]
    engine.start()


def test_an_opening_auction_by_schedule(engine: Engine) -> None:
    """Pre-open, auction, continuous at their times: orders wait, are indicated, and cross at one price."""
    steps = [
        {"at": "00:00:00", "phase": "pre_open"},
        {"at": clock(5), "phase": "opening_auction"},
        {"at": clock(7), "phase": "continuous"},
    ]
    engine.config["schedules"] = [{"name": "day", "steps": steps}]
    engine.config["instruments"][0]["schedule"] = "day"
    engine.config["indicate_seconds"] = 0.2
    engine.start()
    wait(lambda: phases(engine) == [Phase.PRE_OPEN])
    maker, taker = engine.login("MAKER1"), engine.login("TAKER1")
    maker.send(enter(1, "S", 100, 1_000_000))
    taker.send(enter(1, "B", 60, 1_000_200))
    maker.report("A")
    taker.report("A")
    executed = struct.unpack_from("!IQ", maker.report("E"), 13)
    assert executed == struct.unpack_from("!IQ", taker.report("E"), 13)
    assert executed[0] == 60
    assert phases(engine) == [Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.CONTINUOUS]
    indicated = events(engine, EventType.INDICATIVE)
    assert {(event.price, event.quantity, event.remaining) for event in indicated} == {(executed[1], 60, 40)}
    assert len(indicated) == 1  # nothing changed after it: a quiet auction fills no journal
    assert {e.flags & EventFlag.AUCTION for e in events(engine, EventType.EXECUTED)} == {EventFlag.AUCTION}
    # At its moment: the engine stamps what it sequences, and the schedule named whole seconds.
    changes = [event.time_ns for event in events(engine, EventType.PHASE)]
    assert 0 <= changes[2] % 10**9 < 300_000_000
    same_after_a_kill(engine)
    assert len(phases(engine)) == 3


def test_a_restart_catches_up_and_leaves_what_came_later(engine: Engine) -> None:
    """Down over a change: it is made at the start. A halt by hand after the last change stands, until the close."""
    engine.config["schedules"] = [{"name": "day", "steps": [{"at": "00:00:00", "phase": "continuous"}]}]
    for instrument in engine.config["instruments"]:
        instrument["schedule"] = "day"
    engine.config["instruments"][1]["phase"] = "closed"
    engine.start()
    wait(lambda: phases(engine) == [Phase.CONTINUOUS])  # of MSFT, which began closed
    engine.admin("phase AAPL halted")
    engine.admin("phase MSFT pre_open")
    by_hand = [Phase.CONTINUOUS, Phase.HALTED, Phase.PRE_OPEN]
    engine.kill()
    engine.start()
    time.sleep(0.5)  # several ticks
    assert phases(engine) == by_hand
    engine.kill()
    engine.config["schedules"] = [
        {"name": "day", "steps": [{"at": "00:00:00", "phase": "continuous"}, {"at": clock(1), "phase": "closed"}]}
    ]
    time.sleep(2)
    engine.start()
    wait(lambda: phases(engine) == [*by_hand, Phase.CLOSED, Phase.CLOSED])
    client = engine.login()
    client.send(enter(1, "B", 1, 100))
    client.report("J")
    engine.kill()
    engine.start()
    time.sleep(0.5)
    assert len(phases(engine)) == 5


@pytest.mark.feature("ENG-10", by="P", part="in the running engine: the breaker, and how it opens again by rule")
def test_a_band_that_breaks_starts_an_auction_that_ends_by_itself(engine: Engine) -> None:
    """Over a kill in the middle of it, too: its length counts from its beginning, which is in the journal."""
    engine.config["instruments"][0].update(reference_price=1_000_000, static_band=100)
    engine.config["volatility_auction_seconds"] = 2
    engine.start()
    maker, taker = engine.login("MAKER1"), engine.login("TAKER1")
    maker.send(enter(1, "S", 10, 1_020_000))
    maker.report("A")
    taker.send(enter(1, "B", 10, 1_020_000))
    taker.report("A")
    (begun,) = wait(lambda: events(engine, EventType.PHASE))
    assert (begun.phase, begun.reason) == (Phase.VOLATILITY_AUCTION, Reason.PRICE_BAND)
    engine.kill()
    engine.start()
    ended = wait(lambda: events(engine, EventType.PHASE)[1:])[0]
    assert ended.phase == Phase.CONTINUOUS
    assert 2 * 10**9 <= ended.time_ns - begun.time_ns < 4 * 10**9
    executed = [(e.price, e.quantity) for e in events(engine, EventType.EXECUTED)]
    assert executed == [(1_020_000, 10)] * 2
    same_after_a_kill(engine)


def test_an_instrument_that_is_defined_in_an_auction_leaves_it(engine: Engine) -> None:
    """By the configuration or by hand: its length counts from the definition."""
    engine.config["instruments"].append({"symbol": "BEGUN", "tick": 1, "phase": "volatility_auction"})
    engine.config["volatility_auction_seconds"] = 1
    engine.start()
    engine.admin("instrument_add ADDED tick=1 phase=volatility_auction")
    wait(lambda: events(engine, EventType.PHASE)[1:])
    ended = {(event.instrument, event.phase) for event in events(engine, EventType.PHASE)}
    assert ended == {(2, Phase.CONTINUOUS), (3, Phase.CONTINUOUS)}


def test_cancel_on_disconnect(engine: Engine) -> None:
    """A lost connection, a kill of the engine, a logout: the session's orders go, another's stay."""
    engine.config["sessions"][0]["cancel_on_disconnect"] = True
    engine.start()
    for ref, ended in enumerate(("close", "kill", "logout"), 1):
        client, other = engine.login("MAKER1", sequence=0), engine.login("TAKER1", sequence=0)
        client.send(enter(ref, "B", 10, 100))
        client.report("A")
        other.send(enter(ref, "B", 10, 200))
        other.report("A")
        if ended == "kill":
            engine.kill()
            engine.start()
        elif ended == "logout":
            client.send(b"\0\1O")
        else:
            client.close()
        wait(lambda ref=ref: engine.admin("totals")["orders_open"] == ref)
        other.close()
        wait(lambda: not any(s["connected"] for s in engine.admin("status")["sessions"]))
    client = engine.login("MAKER1", sequence=1)
    assert [report[:1] for report in client.wait_for(6)] == [b"A", b"C"] * 3
    assert client.sequenced[1][17:] == b"U"
    canceled = [c for c in core.journal_dump(engine.journal, 0) if c.type == CommandType.MASS_CANCEL]
    assert [c.session for c in canceled] == [0, 0, 0]
    # Nothing to cancel: a new start sequences nothing.
    seq = engine.admin("totals")["seq"]
    client.send(cancel(1))
    engine.kill(signal.SIGTERM)
    engine.start()
    assert engine.admin("totals")["seq"] <= seq + 2
    same_after_a_kill(engine)
