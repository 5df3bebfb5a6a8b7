# SPDX-License-Identifier: GPL-3.0-or-later
"""Events for tests that are about a few of their fields."""

from __future__ import annotations

from typing import Any

from ironbook.core.records import Event

_EMPTY = {**dict.fromkeys(Event._fields, 0), "client_data": b""}


def event(**what: Any) -> Event:
    """Return an event with these fields; all others that the struct has by now are empty."""
    return Event(**{**_EMPTY, **what})
