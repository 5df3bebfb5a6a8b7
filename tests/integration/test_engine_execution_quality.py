# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripted orders through a real engine: `ironbook execution-quality` gives what was computed by hand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from integration.engine_process import Engine, cancel, enter, environment, replace

pytestmark = pytest.mark.integration


@pytest.mark.feature("ENG-06", by="P", part="slippage and fill ratio from the journal; no metric of them is published")
def test_scripted_orders_have_the_slippage_and_fill_ratio_of_the_hand(tmp_path: Path) -> None:
    """The taker sweeps two levels, is hit at rest once and cancels what is left; the maker shrinks one order."""
    engine = Engine(tmp_path).start()
    try:
        maker, taker = engine.login("MAKER1"), engine.login("TAKER1")
        maker.send(enter(1, "S", 100, 1_000_000) + enter(2, "S", 100, 1_000_200))
        maker.next_user_ref()
        # The first arrives at 1,000,000: 100 there, 50 at 1,000,200, where the second one arrives. That one rests.
        taker.send(enter(1, "B", 150, 1_000_300) + enter(2, "B", 200, 999_900))
        taker.next_user_ref()
        # Arrives at the bid of 999,900 and gets it: 80 of the taker's second order, which had arrived at 1,000,200.
        maker.send(enter(3, "S", 80, 999_800, tif="3") + replace(2, 4, 70, 1_000_200))
        maker.next_user_ref()
        taker.send(cancel(2))
        taker.next_user_ref()
    finally:
        engine.kill(signal.SIGTERM)
    command = [sys.executable, "-m", "ironbook.cli", "execution-quality", str(engine.journal), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    taken = 100 * 0 + 50 * 200 + 80 * (999_900 - 1_000_200)
    taken_notional = 150 * 1_000_000 + 80 * 1_000_200
    assert json.loads(done.stdout) == {
        "MAKR": {
            "orders": 3,
            "accepted": 100 + 70 + 80,  # the second order's total size became 70
            "executed": 100 + 50 + 80,
            "unpriced": 150,  # there was no bid and no trade when its first two came
            "fill_ratio_millionths": 920_000,
            "slippage": "0",
            "slippage_bp_hundredths": 0,
        },
        "TAKR": {
            "orders": 2,
            "accepted": 350,
            "executed": 230,
            "unpriced": 0,
            "fill_ratio_millionths": 657_143,
            "slippage": str(taken),
            "slippage_bp_hundredths": -((-taken * 1_000_000 * 2 + taken_notional) // (2 * taken_notional)),
        },
    }
    assert taken == -14_000
    again = subprocess.run([*command[:-1]], capture_output=True, text=True, check=True, env=environment())
    assert [line.split()[:4] for line in again.stdout.splitlines()[1:]] == [
        ["MAKR", "3", "250", "230"],
        ["TAKR", "2", "350", "230"],
    ]


def test_a_damaged_journal_is_one_line(tmp_path: Path) -> None:
    """As with every reader of journals."""
    command = [sys.executable, "-m", "ironbook.cli", "execution-quality", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
