# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard whose members hear each other late, in part, damaged, in one direction only, or not at all, while it trades.

Each connection between two members goes through a proxy; afterwards the clients' logs are held against the journals.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from history.check import check
from integration.engine_process import Engine
from integration.etcd_cluster import Cluster
from integration.link_proxy import LinkProxy, Way, link_proxy
from integration.shard import Shard, replicated_shard
from integration.shard_history import USERS, ended, led, trade
from integration.stores import Etcd
from integration.trader import Trader
from local_processes import free_port, wait_for

NO_FRAME = "what came of it is no frame, or was damaged on its way; the connection begins anew"


class Linked(NamedTuple):
    """A shard, and the proxies by the numbers of their members: who dials, and whom."""

    shard: Shard
    proxies: dict[tuple[int, int], LinkProxy]

    def way(self, sender: int, receiver: int) -> Way:
        """What happens to what one member sends another; the one with the higher number has dialled."""
        proxy = self.proxies[max(sender, receiver), min(sender, receiver)]
        return proxy.ways["there" if sender > receiver else "back"]

    def of(self, member: int) -> list[LinkProxy]:
        """The proxies of a member's connections."""
        return [proxy for pair, proxy in self.proxies.items() if member in pair]

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()

    def lines(self) -> int:
        """How often a member has said that what came is no frame."""
        return self.shard.logs().count(NO_FRAME)


@pytest.fixture
def linked(cluster: Cluster) -> Iterator[Linked]:
    proxies: dict[tuple[int, int], LinkProxy] = {}
    with contextlib.ExitStack() as stack:

        def through_proxies(engine: Engine) -> None:
            """It dials the members with lower numbers, and knows them by their proxies' ports."""
            own = engine.config["replica"]
            members = [dict(member) for member in engine.config["replication"]["members"]]
            for target in range(own):
                port = free_port()
                proxy = link_proxy(port, ("127.0.0.1", members[target]["port"]), seed=10 * own + target)
                proxies[own, target] = stack.enter_context(proxy)
                members[target]["port"] = port
            engine.config["replication"] = {**engine.config["replication"], "members": members}

        backend = Etcd(cluster)
        settings = {"kind": "etcd", "endpoints": cluster.endpoints}
        shard = stack.enter_context(replicated_shard(settings, backend.open(), backend.shard(), before=through_proxies))
        yield Linked(shard, proxies)


# ---- what is wrong with the links; each begins it, and returns when it has had its effect ----


def late(linked: Linked, primary: int) -> None:
    for proxy in linked.proxies.values():
        proxy.slow(0.02, jitter=0.04)


def reset(linked: Linked, primary: int) -> None:
    for proxy in linked.proxies.values():
        proxy.reset()


def cut_short(linked: Linked, primary: int) -> None:
    """In the middle of a frame, on each link, twice."""
    for proxy in linked.proxies.values():
        proxy.cuts = 2
    wait_for(lambda: all(proxy.cuts == 0 for proxy in linked.of(primary)), "frames that were cut short")


def damaged(linked: Linked, primary: int) -> None:
    before = {number: linked.way(primary, number).damaged for number in range(3) if number != primary}
    for proxy in linked.proxies.values():
        for way in proxy.ways.values():
            way.damage = 3
    wait_for(lambda: all(linked.way(primary, n).damaged > count for n, count in before.items()), "damaged frames")


def one_standby_hears_nothing(linked: Linked, primary: int) -> None:
    linked.way(primary, (primary + 1) % 3).stalled = True


def one_standby_is_not_heard(linked: Linked, primary: int) -> None:
    linked.way((primary + 1) % 3, primary).stalled = True


def no_standby_is_heard(linked: Linked, primary: int) -> None:
    """For so long as nobody is given up yet; nothing is acknowledged meanwhile."""
    for standby in ((primary + 1) % 3, (primary + 2) % 3):
        linked.way(standby, primary).stalled = True


FAULTS: tuple[Callable[[Linked, int], None], ...] = (
    late,
    reset,
    cut_short,
    damaged,
    one_standby_hears_nothing,
    one_standby_is_not_heard,
)


def test_nothing_acknowledged_is_lost_however_bad_the_links_are(linked: Linked) -> None:
    """And after each of them all members are in sync again, with one state."""
    luck = random.Random(11)
    shard = linked.shard
    shard.in_sync()
    traders = [Trader(user, shard.login) for user in USERS]
    leaders = []
    for fault in FAULTS:
        primary = shard.in_sync()
        leaders.append(led(shard, primary))
        trade(traders, luck, 60)
        fault(linked, primary)
        began = time.monotonic()
        trade(traders, luck, 60)
        for trader in traders:
            trader.settle_somewhere()
        took = time.monotonic() - began
        if fault is late:
            assert took > 2 * 0.02  # there and back: the members' words do go through the proxies
        linked.heal()
        shard.in_sync()
        wait_for(shard.equal_states, f"three equal states after {fault.__name__}")
        print(f"{fault.__name__}: {took:.2f} s")
    assert all(proxy.connections >= 4 for proxy in linked.proxies.values())
    history = ended(shard, traders, leaders)
    assert check(history) == [], shard.logs()
    assert sum(len(order.fills) for order in history.orders) > len(FAULTS) * 20


def test_a_damaged_frame_is_one_line_and_a_connection_made_anew(linked: Linked) -> None:
    shard = linked.shard
    primary = shard.in_sync()
    standby = (primary + 1) % 3
    (proxy,) = [proxy for proxy in linked.of(primary) if proxy in linked.of(standby)]
    connections = proxy.connections
    linked.way(primary, standby).damage = 1
    wait_for(lambda: linked.lines() > 0, "a line")
    wait_for(lambda: proxy.connections > connections, "a new connection")
    assert linked.way(primary, standby).damaged == 1
    shard.in_sync()
    assert linked.lines() == 1 and f"refused member {primary}: {NO_FRAME}" in shard.engines[standby].log.read_text()
    wait_for(shard.equal_states, "three equal states")


def test_nothing_is_acknowledged_of_what_no_standby_has_confirmed(linked: Linked) -> None:
    """R1, where both hear the primary and it hears neither: they do not take over, and it does not go on alone."""
    shard = linked.shard
    primary = shard.in_sync()
    trader = Trader("MAKER1", shard.login)
    no_standby_is_heard(linked, primary)
    trader.send("S", 100, 10000)
    trader.client.socket.settimeout(0.7)  # less than the silence after which a member is given up
    with pytest.raises(TimeoutError):
        trader.settle()
    trader.client.socket.settimeout(10)
    assert trader.orders[1].acked_ns is None
    linked.heal()
    trader.settle_somewhere()
    shard.in_sync()
    wait_for(shard.equal_states, "three equal states")
