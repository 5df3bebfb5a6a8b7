# SPDX-License-Identifier: GPL-3.0-or-later
"""A script of orders, written down and replayed from its journal, gives the fills that were worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from ironbook.core import Command, Event, Journal, events, replay
from ironbook.core.records import CommandType, EventType, OrderType, Side, TimeInForce, instrument_add, session_add

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "core"
SYMBOLS = ["AAPL", "MSFT"]
SESSIONS = ["MAKER1", "MAKER2", "TAKER1"]
PRICE_UNIT = 10_000


def lines(name: str) -> list[str]:
    """Return the lines of a fixture that are no comments."""
    text = (FIXTURES / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def units(price: str) -> int:
    """Return a price of the script in units of 10^-4."""
    return int(Decimal(price) * PRICE_UNIT)


def parse(line: str, seq: int) -> Command:
    """Return the command of a line of the script."""
    kind, session, *rest = line.split()
    index = SESSIONS.index(session)
    if kind == "cancel":
        return Command(seq, seq, CommandType.CANCEL, index, user_ref=int(rest[0]), quantity=int(rest[1]))
    if kind == "replace":
        old, new, quantity, price = rest
        return Command(
            seq, seq, CommandType.REPLACE, index, user_ref=int(new), user_ref_original=int(old), price=units(price),
            quantity=int(quantity), order_type=OrderType.LIMIT,
        )  # fmt: skip
    ref, side, quantity, symbol, price, *more = rest
    market = price == "market"
    return Command(
        seq, seq, CommandType.ENTER, index, SYMBOLS.index(symbol), int(ref), price=0 if market else units(price),
        quantity=int(quantity), side=Side[side.upper()],
        time_in_force=TimeInForce.IOC if more == ["ioc"] else TimeInForce.DAY,
        order_type=OrderType.MARKET if market else OrderType.LIMIT,
    )  # fmt: skip


def fills(stream: list[Event]) -> list[str]:
    """Return each trade as a line of fills.txt, from its two reports."""
    executed = [event for event in stream if event.type == EventType.EXECUTED]
    result = []
    for resting, incoming in zip(executed[::2], executed[1::2], strict=True):
        assert (resting.match_ref, resting.quantity, resting.price) == (
            incoming.match_ref, incoming.quantity, incoming.price,
        )  # fmt: skip
        price = Decimal(resting.price) / PRICE_UNIT
        parties = f"{SESSIONS[resting.session]} {resting.user_ref} / {SESSIONS[incoming.session]} {incoming.user_ref}"
        result.append(f"{resting.match_ref}: {parties}: {resting.quantity} {SYMBOLS[resting.instrument]} @ {price:.2f}")
    return result


def write(directory: Path, script: list[str]) -> None:
    """Write a journal: definitions, then the script."""
    commands = [instrument_add(1 + i, 0, i, symbol, 100) for i, symbol in enumerate(SYMBOLS)]
    commands += [session_add(len(SYMBOLS) + 1 + i, 0, i, name, "FIRM") for i, name in enumerate(SESSIONS)]
    commands += [parse(line, len(commands) + 1 + i) for i, line in enumerate(script)]
    with Journal(directory) as journal:
        journal.append(commands)


@pytest.mark.feature("ENG-01", by="U")
def test_replay_of_the_order_script_gives_the_golden_fills(tmp_path: Path) -> None:
    """Read from the journal, through the core, the script gives exactly the fills of fills.txt, twice."""
    write(tmp_path / "journal", lines("orders.txt"))
    golden = lines("fills.txt")
    assert fills(list(events(tmp_path / "journal"))) == golden
    assert list(events(tmp_path / "journal")) == list(events(tmp_path / "journal"))
    totals = replay(tmp_path / "journal")
    assert totals.trades == len(golden)
    assert totals.quantity == sum(int(line.split(": ")[2].split()[0]) for line in golden)
    assert totals.orders_open == 1  # TAKER1 7 waits at 200.00


def test_another_script_gives_other_fills(tmp_path: Path) -> None:
    """Negative control: without one of its orders the script does not give the golden fills."""
    script = lines("orders.txt")
    write(tmp_path / "journal", script[:1] + script[2:])
    assert fills(list(events(tmp_path / "journal"))) != lines("fills.txt")
