# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard as it was: the state that its journal leads to at a sequence number or at a time, and the book there."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ironbook import core
from ironbook.core.matcher import LiveOrder, Place
from ironbook.core.records import Command, CommandType, pack_commands
from ironbook.errors import CommandError

_BATCH = 4096  # commands
_SEQ = re.compile(r"[0-9]{1,15}")
_FRACTION = re.compile(r"(.*T\d\d:\d\d:\d\d)\.(\d{1,9})(.*)")


class Moment(NamedTuple):
    """Up to where a journal is looked at: a sequence number, or a time in nanoseconds since the Unix epoch."""

    seq: int | None
    time_ns: int | None


def moment(text: str) -> Moment:
    """Read SEQ, or an ISO 8601 time with its offset, down to nanoseconds. CommandError for anything else."""
    if _SEQ.fullmatch(text):
        return Moment(int(text), None)
    fraction = _FRACTION.fullmatch(text)
    whole, nanoseconds = (fraction[1] + fraction[3], int(fraction[2].ljust(9, "0"))) if fraction else (text, 0)
    try:
        time = datetime.datetime.fromisoformat(whole)
        if time.tzinfo is None:
            raise ValueError("no offset")
    except ValueError as error:
        raise CommandError(
            f"until {text!r}: give it a sequence number, or a time with its offset, for instance "
            "2026-11-29T14:30:00.25+00:00 or 2026-11-29T14:30:00Z"
        ) from error
    return Moment(None, int(time.timestamp()) * 1_000_000_000 + nanoseconds)


def time_text(time_ns: int) -> str:
    """Write nanoseconds since the Unix epoch as ISO 8601 in UTC, all nine digits."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def commands_until(directory: Path, until: Moment | None, shard: int | None = None) -> Iterator[Command]:
    """Yield a journal's commands up to a moment, that one included. Raises as `core.journal_dump`."""
    for command in core.journal_dump(directory, shard):
        if until is not None and (
            (until.seq is not None and command.seq > until.seq)
            or (until.time_ns is not None and command.time_ns > until.time_ns)
        ):
            return
        yield command


def sequence_at(directory: Path, until: Moment | None) -> int | None:
    """Return the last sequence number of a moment, None for the journal's end. CommandError for a time before it."""
    if until is None or until.seq is not None:
        return until.seq if until is not None else None
    last = 0
    first_ns = None
    for command in core.journal_dump(directory):
        first_ns = command.time_ns if first_ns is None else first_ns
        if until.time_ns is not None and command.time_ns > until.time_ns:
            break
        last = command.seq
    if last == 0:
        began = f"it begins at {time_text(first_ns)}" if first_ns is not None else "it has no command"
        raise CommandError(f"{directory}: nothing is in this journal at that time: {began}")
    return last


def _level(orders: list[LiveOrder]) -> dict[str, int]:
    return {
        "price": orders[0].price,
        "shown": sum(order.shown for order in orders),
        "remaining": sum(order.remaining for order in orders),
        "orders": len(orders),
    }


def _side(orders: list[LiveOrder], side: int) -> list[dict[str, int]]:
    """Return a side's levels, the best price first; hidden quantity counts as remaining, parked orders not at all."""
    levels: dict[int, list[LiveOrder]] = {}
    for order in orders:
        if order.side == side and order.place in (Place.VISIBLE, Place.HIDDEN):
            levels.setdefault(order.price, []).append(order)
    return [_level(levels[price]) for price in sorted(levels, reverse=side == 1)]


def state_at(directory: Path, until: Moment | None) -> dict[str, Any]:
    """Replay a journal to a moment: the sums, the state hash and the book of each instrument, as plain values.

    The sums are the core's own replay's, and the book is that of a second one, which has to come to the same hash.
    """
    seq = sequence_at(directory, until)
    totals = core.replay(directory, seq)
    symbols: list[str] = []
    last_ns = 0
    with core.Matcher(core.journal_verify(directory).orders) as matcher:
        batch: list[Command] = []
        for command in commands_until(directory, Moment(totals.seq, None)):
            if command.type == CommandType.INSTRUMENT_ADD and command.instrument == len(symbols):
                symbols.append(command.client_data[:8].decode("ascii", "replace").strip())
            last_ns = command.time_ns
            batch.append(command)
            if len(batch) == _BATCH:
                matcher.apply_packed(pack_commands(batch))
                batch.clear()
        matcher.apply_packed(pack_commands(batch))
        if matcher.totals() != totals:
            raise CommandError(f"{directory}: two replays do not come to the same state: this is a defect")
        orders = matcher.live_orders()
    book = []
    for number, symbol in enumerate(symbols):
        mine = [order for order in orders if order.instrument == number]
        parked = sum(order.place in (Place.STOP, Place.AT_CLOSE) for order in mine)
        book.append({"symbol": symbol, "buy": _side(mine, 1), "sell": _side(mine, 2), "parked": parked})
    return {
        "seq": totals.seq,
        "time": time_text(last_ns),
        **totals._asdict(),
        "notional": str(totals.notional),
        "state_hash": f"{totals.state_hash:016x}",
        "book": book,
    }
