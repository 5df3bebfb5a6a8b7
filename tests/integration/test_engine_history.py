# SPDX-License-Identifier: GPL-3.0-or-later
"""The checker of histories, on a real engine: killed while two raw clients trade, it keeps what it acknowledged.

And the checker's own reader agrees with the engine's about a real journal.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from history.check import History, StateTold, check
from history.journal_bytes import read
from integration.engine_process import Engine
from integration.trader import Trader, replayed
from ironbook import core

USERS = ("MAKER1", "TAKER1")


def trade(engine: Engine) -> list[Trader]:
    """Two clients trade, and twice the engine is killed with orders on their way."""
    luck = random.Random(3)
    traders = [Trader(user, engine.login) for user in USERS]
    for _ in range(3):
        for _ in range(120):
            trader = luck.choice(traders)
            trader.send(luck.choice("BS"), luck.randrange(1, 50), 10000 + luck.randrange(20))
        traders[0].step()
        engine.kill()
        engine.start()
        for trader in traders:
            trader.again()
        for trader in traders:
            trader.settle()
    for trader, session in zip(traders, engine.admin("status")["sessions"], strict=True):
        trader.drain(session["session_seq"])
    return traders


def test_what_clients_were_told_is_what_the_journal_has(engine: Engine, tmp_path: Path) -> None:
    traders = trade(engine)
    live = engine.admin("totals")
    engine.kill()
    journal = read(engine.journal)
    assert len(journal.commands) == live["seq"] and journal.sessions() == list(USERS)
    orders = [order for trader in traders for order in trader.orders.values()]
    state = core.replay(engine.journal)
    history = History(
        orders=orders,
        journals={"engine-0-0": journal},
        survivor="engine-0-0",
        states=[
            StateTold("engine", live["seq"], live["state_hash"]),
            StateTold("replay", state.seq, f"{state.state_hash:016x}"),
        ],
        replayed=replayed(engine.journal, journal),
        budget_ns=30_000_000_000,
    )
    assert check(history) == []
    assert len(orders) == 360 and sum(len(order.fills) for order in orders) > 100
    # The control, with the real thing: without its last segment's end it is found.
    cut = tmp_path / "cut"
    shutil.copytree(engine.journal, cut)
    last = sorted(cut.glob("*.journal"))[-1]
    last.write_bytes(last.read_bytes().rstrip(b"\0")[: -192 * 5])  # what is reserved behind the last record is zero
    history.journals = {"engine-0-0": read(cut)}
    assert any(line.startswith("I1: ") for line in check(history))
