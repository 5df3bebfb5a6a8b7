# SPDX-License-Identifier: GPL-3.0-or-later
"""The matching core in Python: typed, in batches, never on the path of an order.

`replay` and `events` say what a journal stands for; `Matcher` runs commands in this process; every failure of the core
is one exception of `ironbook.core.errors`.
"""

from ironbook.core.errors import CoreError
from ironbook.core.journal import (
    Journal,
    JournalReport,
    event_batches,
    events,
    journal_dump,
    journal_verify,
    replay,
)
from ironbook.core.matcher import Matcher, Totals
from ironbook.core.records import Command, Event
from ironbook.core.snapshot import SnapshotReport, snapshot_look, snapshot_take, snapshot_verify, snapshots

__all__ = [
    "Command",
    "CoreError",
    "Event",
    "Journal",
    "JournalReport",
    "Matcher",
    "SnapshotReport",
    "Totals",
    "event_batches",
    "events",
    "journal_dump",
    "journal_verify",
    "replay",
    "snapshot_look",
    "snapshot_take",
    "snapshot_verify",
    "snapshots",
]
