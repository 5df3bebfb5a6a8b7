# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules become moments: time zones, weekdays, the nights when clocks change."""

from __future__ import annotations

import datetime

from ironbook.phase_schedule import Schedule, Step, is_time_of_day, is_time_zone

WORKDAYS = frozenset(range(5))


def utc(time_ns: int) -> str:
    """A moment as people write it."""
    return datetime.datetime.fromtimestamp(time_ns // 10**9, datetime.UTC).strftime("%a %Y-%m-%d %H:%M:%S")


def around(schedule: Schedule, today: str, days: int = 4) -> list[tuple[str, int]]:
    """The changes from `today` on, for some days."""
    day = datetime.date.fromisoformat(today)
    begin = int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp()) * 10**9
    end = begin + days * 86_400 * 10**9
    return [(utc(time_ns), phase) for time_ns, phase in schedule.times(day) if begin <= time_ns < end]


def test_a_time_zone_moves_with_its_summer() -> None:
    """09:30 in New York is 14:30 UTC in winter and 13:30 in summer; the weekend is left out."""
    schedule = Schedule("day", "America/New_York", (Step("09:30:00", 0, WORKDAYS),))
    assert around(schedule, "2026-03-06") == [("Fri 2026-03-06 14:30:00", 0), ("Mon 2026-03-09 13:30:00", 0)]


def test_a_time_that_a_spring_night_skips_and_one_that_an_autumn_night_has_twice() -> None:
    """02:30 of 8 March 2026 is not there: an hour later; 01:30 of 1 November is there twice: the first."""
    every = frozenset(range(7))
    spring = Schedule("s", "America/New_York", (Step("02:30:00", 1, every),))
    assert around(spring, "2026-03-08", 1) == [("Sun 2026-03-08 07:30:00", 1)]
    autumn = Schedule("s", "America/New_York", (Step("01:30:00", 1, every),))
    assert around(autumn, "2026-11-01", 1) == [("Sun 2026-11-01 05:30:00", 1)]


def test_order_and_reach() -> None:
    """Steps in any order come in order of time; the last of two at one moment counts; days back and years ahead."""
    every = frozenset(range(7))
    steps = (Step("16:00:00", 1, every), Step("09:00:00", 2, every), Step("09:00:00", 0, every))
    schedule = Schedule("s", "UTC", steps)
    assert around(schedule, "2026-01-05", 1) == [("Mon 2026-01-05 09:00:00", 0), ("Mon 2026-01-05 16:00:00", 1)]
    times = schedule.times(datetime.date(2026, 1, 20))
    assert utc(times[0][0]) == "Tue 2026-01-06 09:00:00"
    assert utc(times[-1][0]) == "Tue 2031-01-21 16:00:00"


def test_what_is_a_time_and_a_zone() -> None:
    """And what is not."""
    assert all(map(is_time_of_day, ("00:00:00", "23:59:59")))
    assert not any(map(is_time_of_day, ("24:00:00", "9:00:00", "09:00", "09:00:00 ", "")))
    assert all(map(is_time_zone, ("UTC", "Europe/Berlin")))
    assert not any(map(is_time_zone, ("", "Mars/Base", "../etc/passwd", "/etc/localtime", "a\0b")))
