# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module takes; what it does is tested against real shards (test_shard_move.py)."""

from __future__ import annotations

from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move.plan import STEPS
from ansible_collections.ironbook.trading.plugins.modules import symbol_move


def test_it_takes_every_step_there_is() -> None:
    assert symbol_move.ARGUMENTS["step"]["choices"] == list(STEPS)
    assert all(symbol_move.ARGUMENTS[name]["required"] for name in ("symbol", "source", "target", "map_version"))
