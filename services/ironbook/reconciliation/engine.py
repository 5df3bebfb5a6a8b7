# SPDX-License-Identifier: GPL-3.0-or-later
"""The running engine against the journal that lies on the disk.

The engine does not read its journal again: a file that was written anew, sums and chain included, and put in the place
of the one that the engine has open, is sound in itself. Two things tell it from the engine's own. The state hash at the
engine's sequence number covers all that is live: open orders with owner, client data and account, positions, limits,
instruments, counters. The event log has every event that the engine released, so also what became of the orders that
are gone. What neither sees is a command that changes no state and gives no event.
"""

from __future__ import annotations

from ironbook import admin, core
from ironbook.core.records import Event
from ironbook.errors import CommandError
from ironbook.event_log import EventLog, EventLogLostError
from ironbook.reconciliation.figures import Differences, Figures
from ironbook.reconciliation.journal import Truth
from ironbook.settlement import Config

_READ_SECONDS = 10.0


def engine_figures(config: Config, truth: Truth, differences: Differences) -> Figures:
    """Return the running engine's totals, after comparing its state and its events with the journal's."""
    totals = admin.request(config.admin_socket, "totals")
    _check_state(config, truth, totals["seq"], totals["state_hash"], differences)
    _check_events(config, truth, totals["event_count"], differences)
    return Figures("engine", int(totals["trades"]), int(totals["quantity"]), int(totals["notional"]))


def _check_state(config: Config, truth: Truth, seq: int, state_hash: str, differences: Differences) -> None:
    """Compare the engine's state with what the journal leads to at the same sequence number."""
    end = truth.view.totals.seq
    if end > seq:
        differences.add(f"journal: it ends at sequence {end}, after the engine's last one, {seq}")
    try:
        # The engine may have gone on since the journal was read: then the file has gone on too.
        replayed = truth.view.totals if end == seq else core.replay(config.journal_directory, seq)
    except core.CoreError as error:
        differences.add(f"journal: it does not lead to the engine's sequence number {seq}: {error}")
        return
    if f"{replayed.state_hash:016x}" != state_hash:
        differences.add(
            f"journal: at sequence {seq} it leads to the state {replayed.state_hash:016x}, the engine has "
            f"{state_hash}: what lies in {config.journal_directory} is not what the engine wrote"
        )


def _check_events(config: Config, truth: Truth, count: int, differences: Differences) -> None:
    """Compare the engine's first `count` events, field by field, with the journal's; their number is in the hash."""
    journal = truth.view.events
    done = 0
    try:
        with EventLog(config.events_socket, config.shard) as log:
            while done < min(count, len(journal)):
                batch = log.read(_READ_SECONDS)
                if not batch:
                    raise CommandError(f"{config.events_socket}: the engine did not send its events in time")
                mine = journal[done : done + len(batch)]
                if batch[: len(mine)] != mine:
                    _name_event(batch, mine, differences)
                    return
                done += len(batch)
    except EventLogLostError as error:
        raise CommandError(str(error)) from error


def _name_event(engine: list[Event], journal: list[Event], differences: Differences) -> None:
    theirs, ours = next((a, b) for a, b in zip(engine, journal, strict=False) if a != b)
    name = next(name for name in Event._fields if getattr(theirs, name) != getattr(ours, name))
    differences.add(
        f"journal: event ({ours.seq}, {ours.index}): {name} {getattr(ours, name)!r}, the engine says "
        f"{getattr(theirs, name)!r}"
    )
