# SPDX-License-Identifier: GPL-3.0-or-later
"""The pauses between tries: growing, bounded, and never in step."""

from __future__ import annotations

from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.retry import (
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    pauses,
)


def test_pauses_double_up_to_the_bound() -> None:
    longest = list(pauses(8, chance=lambda: 1.0))
    assert longest[:3] == [PAUSE_FIRST_S, 2 * PAUSE_FIRST_S, 4 * PAUSE_FIRST_S]
    assert longest[-1] == PAUSE_MAX_S and len(longest) == 8


def test_chance_takes_up_to_half_of_each() -> None:
    shortest = list(pauses(3, chance=lambda: 0.0))
    assert shortest == [bound / 2 for bound in pauses(3, chance=lambda: 1.0)]
    assert len(set(pauses(2))) == 2


def test_no_retry_is_no_pause() -> None:
    assert list(pauses(0)) == []
