# SPDX-License-Identifier: GPL-3.0-or-later
"""Failovers of a real shard under load, of every kind; then the clients' logs against the journals (tests/history).

`make failovers-long` is the long run (bench/long_proofs.py): FAILOVERS says how many, FAILOVERS_REPORT names the file
for what came of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from history.check import History, Led, check
from integration.shard import Shard
from integration.shard_history import USERS, ended, led, trade
from integration.trader import Trader
from local_processes import wait_for

ROUNDS = int(os.environ.get("FAILOVERS", "20"))


# ---- what breaks, and how it is mended; each returns the member that must not be primary after it, or None ----


def kill_the_primary(shard: Shard, primary: int) -> Callable[[], object]:
    shard.engines[primary].kill()
    shard.primary(other_than=[primary])
    return shard.engines[primary].start


def kill_a_standby(shard: Shard, primary: int) -> Callable[[], object]:
    standby = (primary + 1) % 3
    shard.engines[standby].kill()
    return shard.engines[standby].start


def pause_the_primary(shard: Shard, primary: int) -> Callable[[], object]:
    """Longer than the silence after which others take over: what it does when it wakes, a zombie does."""
    process = shard.engines[primary].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    shard.primary_unless(primary)
    return lambda: process.send_signal(signal.SIGCONT)


def pause_a_standby(shard: Shard, primary: int) -> Callable[[], object]:
    process = shard.engines[(primary + 2) % 3].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    return lambda: process.send_signal(signal.SIGCONT)


def switch_over(shard: Shard, primary: int) -> Callable[[], object]:
    to = (primary + 1) % 3
    assert wait_for(lambda: "accepted" in shard.engines[primary].admin(f"switch_over {to}"), "a switchover")
    shard.primary(other_than=[primary])
    return lambda: None


def kill_the_agents(shard: Shard, primary: int) -> Callable[[], object]:
    """Nobody can ask the store; trading goes on while the set is whole."""
    for agent in shard.agents:
        agent.end()
    return lambda: [agent.start() for agent in shard.agents]


def kill_primary_and_agents(shard: Shard, primary: int) -> Callable[[], object]:
    """No takeover before an agent is back; and then one."""
    kill_the_agents(shard, primary)
    shard.engines[primary].kill()
    for agent in shard.agents:
        agent.start()
    shard.primary(other_than=[primary])
    return shard.engines[primary].start


FAULTS = (
    kill_the_primary,
    kill_a_standby,
    switch_over,
    pause_the_primary,
    kill_the_primary,
    pause_a_standby,
    kill_the_agents,
    kill_primary_and_agents,
)


def report(history: History, faults: list[str], waits: dict[str, list[float]], seed: int) -> None:
    """Say what came of it, where FAILOVERS_REPORT names a file."""
    kinds = {
        name: {"rounds": len(times), "p50_s": round(statistics.median(times), 2), "worst_s": round(max(times), 2)}
        for name, times in sorted(waits.items())
    }
    acked = [order for order in history.orders if order.acked_ns is not None]
    found = {
        "rounds": sum(len(times) for times in waits.values()),
        "seed": seed,
        "kinds": kinds,
        "epochs": history.journals[history.survivor].commands[-1].epoch,
        "sent": len(history.orders),
        "acknowledged": len(acked),
        "fills": sum(len(order.fills) for order in acked),
        "lost_doubled_or_changed": sum(line.startswith(("I1", "I2", "I4", "I5")) for line in faults),
        "faults": faults,
    }
    if path := os.environ.get("FAILOVERS_REPORT"):
        Path(path).write_text(json.dumps(found))


@pytest.mark.timeout(300 + 5 * ROUNDS)
def test_nothing_acknowledged_is_lost_whatever_breaks(shard: Shard) -> None:
    luck = random.Random(ROUNDS)
    shard.in_sync()
    traders = [Trader(user, shard.login) for user in USERS]
    waits: dict[str, list[float]] = {}
    leaders: list[Led] = []
    for number in range(ROUNDS):
        fault = FAULTS[number % len(FAULTS)] if number < len(FAULTS) else luck.choice(FAULTS)
        primary = shard.in_sync()
        leaders.append(led(shard, primary))
        trade(traders, luck, 60)  # on their way while it breaks
        began = time.monotonic()
        mend = fault(shard, primary)
        trade(traders, luck, 20)
        for trader in traders:
            trader.settle_somewhere()
        took = time.monotonic() - began
        waits.setdefault(fault.__name__, []).append(took)
        print(f"failover {number + 1} of {ROUNDS}: {fault.__name__}, {took:.2f} s", file=sys.stderr, flush=True)
        mend()
    history = ended(shard, traders, leaders)
    faults = check(history)
    report(history, faults, waits, ROUNDS)
    assert faults == [], shard.logs()
    assert sum(len(order.fills) for order in history.orders) > ROUNDS * 20
