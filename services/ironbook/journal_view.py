# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard's journal as the reconciliation reads it: offline, through the core, without a running engine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ironbook import core
from ironbook.core.records import CommandType, Event, unpack_events
from ironbook.errors import CommandError
from ironbook.trades import Names

_SYMBOL = slice(0, 8)  # of INSTRUMENT_ADD's client_data
_USERNAME, _FIRM = slice(0, 6), slice(6, 10)  # of SESSION_ADD's client_data


@dataclass(frozen=True)
class JournalView:
    """All events of a journal, what their indexes stand for, and the core's own sums."""

    events: list[Event]
    names: Names
    usernames: list[str]
    totals: core.Totals


def _text(data: bytes, part: slice) -> str:
    return data[part].decode("ascii", "replace").strip()


def _definitions(directory: Path, shard: int) -> tuple[Names, list[str]]:
    """Return the names that the journal itself defines, after checking every one of its records."""
    symbols, firms, usernames = [], [], []
    for command in core.journal_dump(directory, shard):
        if command.type == CommandType.INSTRUMENT_ADD:
            symbols.append(_text(command.client_data, _SYMBOL))
        elif command.type == CommandType.SESSION_ADD:
            usernames.append(_text(command.client_data, _USERNAME))
            firms.append(_text(command.client_data, _FIRM))
    return Names(symbols, firms), usernames


def read_journal(directory: Path, shard: int) -> JournalView:
    """Read and replay the whole journal; CommandError names the file and the place where it is damaged."""
    try:
        names, usernames = _definitions(directory, shard)
        totals = core.replay(directory)
        batches = core.event_batches(directory, totals.seq) if totals.seq else []
        events = list(chain.from_iterable(unpack_events(batch) for batch in batches))
    except core.CoreError as error:
        raise CommandError(f"journal: {error}") from error
    return JournalView(events, names, usernames, totals)
