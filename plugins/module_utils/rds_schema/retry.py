# SPDX-License-Identifier: GPL-3.0-or-later
"""When to try again: jittered, growing pauses. Chance and the wait are arguments, so that a test needs neither."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator

LOCK_NOT_AVAILABLE = "55P03"
SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
RETRIED = frozenset({LOCK_NOT_AVAILABLE, SERIALIZATION_FAILURE, DEADLOCK_DETECTED})
"""SQLSTATEs (PostgreSQL manual, appendix A) after which the whole transaction is worth another try."""

PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 1.0


def pauses(count: int, chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield the pauses, in seconds, between ``count`` + 1 attempts.

    Each lies between half and the whole of a bound that doubles up to PAUSE_MAX_S: two runners, or a runner and a
    periodic reader, that met once do not meet in step again.
    """
    bound = PAUSE_FIRST_S
    for _attempt in range(count):
        yield bound * (0.5 + 0.5 * chance())
        bound = min(bound * 2, PAUSE_MAX_S)


def wait(seconds: float) -> None:
    """Wait; a signal ends it, as it ends the process."""
    threading.Event().wait(seconds)
