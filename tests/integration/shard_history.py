# SPDX-License-Identifier: GPL-3.0-or-later
"""Trading while a shard has its faults, and what it leaves behind, for the checker in tests/history."""

from __future__ import annotations

import random
import signal

from history.check import History, Led, StateTold
from history.journal_bytes import read
from integration.shard import Shard
from integration.trader import Trader, replayed
from ironbook import core
from local_processes import wait_for

USERS = ("MAKER1", "TAKER1")


def trade(traders: list[Trader], luck: random.Random, orders: int) -> None:
    """Send so many orders, of whom and of what kind chance says, and wait for nothing."""
    for _ in range(orders):
        trader = luck.choice(traders)
        trader.send(luck.choice("BS"), luck.randrange(1, 50), 10000 + luck.randrange(20))


def led(shard: Shard, primary: int) -> Led:
    """What a primary says of itself."""
    told = shard.engines[primary].admin("status")["replication"]
    return Led(f"engine-{primary}", told["epoch"], told["commit_seq"])


def ended(shard: Shard, traders: list[Trader], leaders: list[Led]) -> History:
    """Wait until all is well, have the traders told everything, end the engines, and read what they leave."""
    survivor = shard.in_sync()
    leaders = [*leaders, led(shard, survivor)]
    for trader in traders:
        trader.again()
    sessions = shard.engines[survivor].admin("status")["sessions"]
    for trader in traders:
        trader.drain(next(one["session_seq"] for one in sessions if one["username"] == trader.username))
    live = shard.engines[survivor].admin("totals")
    wait_for(shard.equal_states, "three equal states")
    states = [StateTold(f"engine-{i}", live["seq"], live["state_hash"]) for i in range(3)]
    for engine in shard.engines:
        engine.kill(signal.SIGTERM)
    for replica, engine in enumerate(shard.engines):
        state = core.replay(engine.journal, live["seq"])
        states.append(StateTold(f"replay-{replica}", state.seq, f"{state.state_hash:016x}"))
    directories = {f"engine-{replica}": engine.journal for replica, engine in enumerate(shard.engines)}
    journals = {name: read(directory) for name, directory in directories.items()}
    name = f"engine-{survivor}"
    return History(
        orders=[order for trader in traders for order in trader.orders.values()],
        journals=journals,
        survivor=name,
        states=states,
        replayed=replayed(directories[name], journals[name]),
        led=leaders,
    )
