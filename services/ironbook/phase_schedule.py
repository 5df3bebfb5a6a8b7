# SPDX-License-Identifier: GPL-3.0-or-later
"""Phase schedules: at which times of day, on which days and in which time zone an instrument changes its phase.

The engine knows no calendar. It is given the moments themselves, in nanoseconds since the Unix epoch, for as long ahead
as it may run without a restart; what a time zone does to them is settled here, by this machine's time zone data.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Back: over the longest pause of trading that an engine may have slept through. Ahead: five years without a restart.
DAYS_BACK, DAYS_AHEAD = 14, 1827
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\Z")


@dataclass(frozen=True)
class Step:
    """Into `phase` (enum ib_phase) at `at`, HH:MM:SS, on `days` (0 = Monday)."""

    at: str
    phase: int
    days: frozenset[int]


@dataclass(frozen=True)
class Schedule:
    """A named list of steps in one time zone."""

    name: str
    time_zone: str
    steps: tuple[Step, ...]

    def times(self, today: datetime.date) -> list[tuple[int, int]]:
        """Return the changes around `today`, (ns since the Unix epoch, phase), in order of time, each moment once.

        A time of day that a zone skips in spring is that much later, as PEP 495 has it; one that it has twice in autumn
        is the first of both. Of two steps at one moment the later in the list counts.
        """
        zone = zoneinfo.ZoneInfo(self.time_zone)
        moments: dict[int, int] = {}
        for day, step in self._steps(today):
            local = datetime.datetime.combine(day, datetime.time.fromisoformat(step.at), zone)
            moments[int(local.timestamp()) * 10**9] = step.phase
        return sorted(moments.items())

    def _steps(self, today: datetime.date) -> Iterator[tuple[datetime.date, Step]]:
        for offset in range(-DAYS_BACK, DAYS_AHEAD + 1):
            day = today + datetime.timedelta(days=offset)
            for step in self.steps:
                if day.weekday() in step.days:
                    yield day, step


def is_time_of_day(text: str) -> bool:
    """Whether it is HH:MM:SS."""
    return _TIME.match(text) is not None


def is_time_zone(name: str) -> bool:
    """Whether this machine's time zone data has it."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
