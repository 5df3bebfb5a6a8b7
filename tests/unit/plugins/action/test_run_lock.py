# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock is cleared where its holder has ended and has been named; tests/integration/test_life_lock.py has the rest."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from ansible_collections.ironbook.trading.plugins.action.run_lock import why_not
from ansible_collections.ironbook.trading.plugins.plugin_utils.run_lock import this_run

ALIVE = this_run(os.getpid())
DEAD = replace(ALIVE, started="1", id="1f2e3d4c")
AWAY = replace(DEAD, host="elsewhere")


@pytest.mark.parametrize(
    ("holder", "confirm", "gone", "said"),
    [
        (ALIVE, ALIVE.id, ALIVE.host, "that run is alive: wait for its end, or end it"),
        (DEAD, "", "", "that run has ended: to clear its lock, add -e run_lock_confirm=1f2e3d4c"),
        (DEAD, "another", "", "that run has ended: to clear its lock, add -e run_lock_confirm=1f2e3d4c"),
        (DEAD, "1f2e3d4c", "", ""),
        (AWAY, "1f2e3d4c", "", "whether it runs is seen on elsewhere alone: unlock there, or, where that machine is "
                               "gone, add -e run_lock_gone=elsewhere"),
        (AWAY, "", "elsewhere", "that run has ended: to clear its lock, add -e run_lock_confirm=1f2e3d4c"),
        (AWAY, "1f2e3d4c", "elsewhere", ""),
    ],
)  # fmt: skip
def test_a_lock_is_cleared_only_where_its_holder_is_dead_and_named(holder, confirm, gone, said) -> None:
    assert why_not(holder, confirm, gone) == said
