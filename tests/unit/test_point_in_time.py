# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal replayed to a sequence number or a time: each prefix against a matcher that was fed directly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ironbook import cli
from ironbook.core import Command, Journal, Matcher
from ironbook.core.matcher import Place
from ironbook.errors import CommandError
from ironbook.point_in_time import Moment, moment, state_at, time_text
from unit.core.test_binding import command_at

EPOCH_NS = 1_764_426_600_000_000_000  # 2025-11-29T14:30:00Z
STEP_NS = 250_000_001  # between two commands; every third has the time of the one before


def commands(count: int = 120) -> list[Command]:
    """Return commands of seven segments, with times."""
    return [command_at(seq)._replace(time_ns=EPOCH_NS + (seq - seq % 3 // 2) * STEP_NS) for seq in range(1, count + 1)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Write them."""
    with Journal(tmp_path, orders=64, segment_bytes=128 + 18 * 192) as writer:
        writer.append(commands())
    return tmp_path


@pytest.mark.feature("ENG-13", by="U", part="recovery to a sequence number and to a time, offline")
def test_every_sequence_number_and_every_time(journal: Path) -> None:
    """State hash, sums and book are those of a matcher that was given so many commands, and no more."""
    with Matcher(64) as matcher:
        for command, after in zip(commands(), [*commands()[1:], None], strict=True):
            matcher.apply([command])
            if command.seq % 7 and after is not None:
                continue
            state = state_at(journal, Moment(command.seq, None))
            assert state["seq"] == command.seq
            assert state["time"] == time_text(command.time_ns)
            assert state["state_hash"] == f"{matcher.totals().state_hash:016x}"
            live = matcher.live_orders()
            levels = [level for book in state["book"] for side in ("buy", "sell") for level in book[side]]
            assert sum(level["orders"] for level in levels) == len(live) == state["orders_open"]
            assert sum(level["remaining"] for level in levels) == sum(order.remaining for order in live)
            assert all(order.place == Place.VISIBLE for order in live)
            if after is None or after.time_ns > command.time_ns:  # the last one of its time
                assert state_at(journal, Moment(None, command.time_ns)) == state
                assert state_at(journal, Moment(None, command.time_ns + 1)) == state
            else:
                assert state_at(journal, Moment(None, command.time_ns))["seq"] > command.seq


def test_the_best_price_comes_first(journal: Path) -> None:
    """Bids fall, offers rise, and they do not cross."""
    [book] = state_at(journal, None)["book"]
    assert book["symbol"] == "AAPL"
    bids, offers = ([level["price"] for level in book[side]] for side in ("buy", "sell"))
    assert bids == sorted(bids, reverse=True)
    assert offers == sorted(offers)
    assert bids
    assert not offers or bids[0] < offers[0]


def test_moments() -> None:
    """A sequence number; a time with its offset, down to nanoseconds."""
    assert moment("17") == Moment(17, None)
    assert moment("2025-11-29T14:30:00Z") == Moment(None, EPOCH_NS)
    assert moment("2025-11-29T15:30:00.25+01:00") == Moment(None, EPOCH_NS + 250_000_000)
    assert moment("2025-11-29T14:30:00.000000001Z") == Moment(None, EPOCH_NS + 1)
    assert time_text(EPOCH_NS + 1) == "2025-11-29T14:30:00.000000001Z"
    assert moment(time_text(EPOCH_NS + 123_456_789)) == Moment(None, EPOCH_NS + 123_456_789)


@pytest.mark.parametrize("text", ["", "now", "2025-11-29T14:30:00", "2025-11-29", "-1", "14:30", "1e3"])
def test_what_is_no_moment_is_named(text: str) -> None:
    """One line with the remedy."""
    with pytest.raises(CommandError, match="give it a sequence number, or a time with its offset"):
        moment(text)


def test_the_command_line(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`replay --until`, and the same words at `hash`, `totals` and `dump`."""
    at = time_text(commands()[39].time_ns)
    assert cli.main(["journal", "replay", str(journal), "--until", at]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["seq"] in (39, 40, 41)
    assert cli.main(["journal", "hash", str(journal), "--until", at]) == 0
    assert capsys.readouterr().out.strip() == state["state_hash"]
    assert cli.main(["journal", "totals", str(journal), "--until", at]) == 0
    assert json.loads(capsys.readouterr().out)["seq"] == state["seq"]
    assert cli.main(["journal", "dump", str(journal), "--until", at]) == 0
    assert len(capsys.readouterr().out.splitlines()) == state["seq"]
    for until, named in (("2000-01-01T00:00:00Z", "begins at 2025-11-29T14:30"), ("121", "ends at sequence 120"),
                         ("0", "begin at 1"), ("soon", "give it a sequence number")):  # fmt: skip
        assert cli.main(["journal", "replay", str(journal), "--until", until]) == 1
        error = capsys.readouterr().err
        assert named in error
        assert error.count("\n") == 1


def test_an_instrument_that_is_defined_later_is_not_there_before(tmp_path: Path) -> None:
    """The book has the instruments of its moment."""
    with Journal(tmp_path, orders=64) as writer:
        writer.append([command_at(2)._replace(seq=1, time_ns=1), command_at(1)._replace(seq=2, time_ns=2)])
    assert [len(state_at(tmp_path, Moment(seq, None))["book"]) for seq in (1, 2)] == [0, 1]
