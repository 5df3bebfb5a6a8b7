# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard whose members have each a network of their own: lost hosts, cables cut in parts, and the fenced primary."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from integration.engine_process import PASSWORD, Client, enter, login_request
from integration.etcd_cluster import LACKING
from integration.networks import HUB, Networks, networks
from integration.shard import Shard, replicated_shard
from integration.trader import Trader
from ironbook.order_entry import Endpoint, OrderEntry
from ironbook.protocols import ouch50
from ironbook.store.etcd import EtcdStore
from ironbook.store.etcd_gateway import Gateway
from local_processes import wait_for

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="networks of their own need root"),
    pytest.mark.skipif(shutil.which("etcd") is None, reason=LACKING),
]

ETCD = f"http://{HUB}:2379"
# Sends bytes to an address, and prints what comes within four seconds.
ASK = """
import contextlib, socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
connection.sendall(bytes.fromhex(sys.argv[3]))
connection.settimeout(4)
data = b""
with contextlib.suppress(OSError):
    while more := connection.recv(4096):
        data += more
print(data.hex())
"""
OWNER_SECONDS = 30  # the promise of row ENG-15


class World(NamedTuple):
    """A shard and the cables between its members."""

    shard: Shard
    cables: Networks

    def login(self, username: str = "MAKER1") -> Client:
        """A client in the hub, logged in at whichever member is primary."""
        with self.cables.inside_hub():
            return self.shard.login(username)

    def order(self, client: Client, ref: int) -> float:
        """One order; the moment of its acknowledgement."""
        client.send(enter(ref, "S", 100, 10000 + ref))
        assert client.report("A")
        return time.monotonic()


def _etcd_answers() -> bool:
    connection = http.client.HTTPConnection(HUB, 2379, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def cables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Networks]:
    """The networks, with a store in the hub."""
    directory = tmp_path_factory.mktemp("etcd")
    peer = f"http://{HUB}:2380"
    with networks() as cables, (directory / "log").open("wb") as log:
        command = [*cables.hub.enter, "etcd", "--data-dir", str(directory / "data"), "--name", "hub",
                   "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD, "--listen-peer-urls", peer,
                   "--initial-advertise-peer-urls", peer, "--initial-cluster", f"hub={peer}",
                   "--log-level", "error"]  # fmt: skip
        etcd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            with cables.inside_hub():
                wait_for(_etcd_answers, "etcd in the hub")
            yield cables
        finally:
            etcd.kill()
            etcd.wait()


_numbers = iter(range(1, 100))


@pytest.fixture
def world(cables: Networks) -> Iterator[World]:
    with cables.inside_hub():
        store = EtcdStore(Gateway([ETCD]))
        running = replicated_shard({"kind": "etcd", "endpoints": [ETCD]}, store, next(_numbers), hosts=cables.members)
        shard = running.__enter__()
    try:
        shard.in_sync()
        yield World(shard, cables)
    finally:
        running.__exit__(None, None, None)


@pytest.mark.feature("ENG-15", by="G")
def test_a_killed_primary(world: World) -> None:
    """The process ends, its host is well: the others see its connections close."""
    first = world.shard.in_sync()
    client = world.login()
    reports = [world.order(client, ref) for ref in range(1, 51)]
    world.shard.engines[first].kill()
    again = world.login()
    assert again.wait_for(50) == client.sequenced
    took = world.order(again, 51) - reports[-1]
    assert took < OWNER_SECONDS and world.shard.primary_unless(first) != first
    print(f"killed: {took * 1000:.0f} ms")


@pytest.mark.feature("ENG-15", by="G")
def test_a_lost_host_and_its_primary_that_lives_on(world: World) -> None:
    """Its cable is cut. A client beside the cut-off primary is told nothing; the others go on; then it follows them."""
    first = world.shard.in_sync()
    client = world.login()
    last = [world.order(client, ref) for ref in range(1, 51)][-1]
    beside = world.shard.engines[first]
    world.cables.pull_the_cable(first)
    sent = login_request("TAKER1") + enter(1, "B", 100, 9000)
    beside_client = subprocess.Popen(
        [*beside.enter, sys.executable, "-c", ASK, world.cables.members[first].address, str(beside.port), sent.hex()],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    again = world.login()
    assert again.wait_for(50) == client.sequenced
    took = world.order(again, 51) - last
    assert took < OWNER_SECONDS
    told = bytes.fromhex(beside_client.communicate(timeout=30)[0].strip())
    assert b"SA" not in told, told  # logged in, perhaps; acknowledged, never
    world.cables.plug_it_in(first)
    assert world.shard.in_sync() != first
    wait_for(world.shard.equal_states, "three equal states")
    print(f"cut off: {took * 1000:.0f} ms")


@pytest.mark.parametrize("whom", ["both", "one"])
def test_a_primary_whose_words_do_not_arrive(world: World, whom: str) -> None:
    """One way: what the primary sends to standbys goes nowhere, what they send arrives."""
    first = world.shard.in_sync()
    others = [number for number in range(3) if number != first][: 2 if whom == "both" else 1]
    client = world.login()
    world.order(client, 1)
    for other in others:
        world.cables.silence(first, world.cables.members[other].address)
    trader = Trader("TAKER1", world.login)
    for price in range(9000, 9010):
        trader.send("B", 100, price)
    trader.settle_somewhere()
    for other in others:
        world.cables.hear(first, world.cables.members[other].address)
    world.shard.in_sync()
    assert world.login("MAKER1").wait_for(1)[0] == client.sequenced[0]
    wait_for(world.shard.equal_states, "three equal states")


def test_a_primary_that_does_not_reach_the_store_trades_on(world: World) -> None:
    first = world.shard.in_sync()
    client = world.login()
    world.cables.silence(first, HUB)
    # Its client is in the hub as well, and its acknowledgements go nowhere: they are sent once the way is there.
    client.send(enter(1, "S", 100, 10000))
    time.sleep(2)
    status = world.shard.status(first)
    assert status is not None and status["role"] == "primary" and status["orders_open"] == 1
    world.cables.hear(first, HUB)
    assert client.report("A")
    assert world.shard.in_sync() == first


@pytest.mark.feature("ENG-15", by="G", part="our client library finds the member that took over by itself")
@pytest.mark.parametrize("fault", ["lost host", "cut off from its standbys"])
def test_our_client_goes_to_the_member_that_serves(world: World, fault: str) -> None:
    """It hears nothing of a lost host, and heartbeats of one that is cut off: neither must keep it."""
    first = world.shard.in_sync()
    others = [number for number in range(3) if number != first]
    places = [Endpoint(engine.config["order_entry"]["host"], engine.port) for engine in world.shard.engines]
    with world.cables.inside_hub(), OrderEntry(places, "MAKER1", PASSWORD) as entry:
        numbers: list[int] = []

        def order(ref: int) -> float:
            """Enter it; the moment of its acknowledgement."""
            entry.send([ouch50.enter_order(ref, ouch50.SELL, 100, b"AAPL", 10000 + ref)])
            deadline = time.monotonic() + OWNER_SECONDS
            while ref not in numbers:
                assert time.monotonic() < deadline, f"order {ref} has no answer"
                numbers.extend(int.from_bytes(report[9:13], "big") for report in entry.receive(0.2))
            return time.monotonic()

        last = [order(ref) for ref in range(1, 51)][-1]
        if fault == "lost host":
            world.cables.pull_the_cable(first)
        else:
            for other in others:
                world.cables.silence(first, world.cables.members[other].address)
        took = order(51) - last
        assert entry.peer != str(places[first]) and took < OWNER_SECONDS
        if fault == "lost host":
            world.cables.plug_it_in(first)
        else:
            for other in others:
                world.cables.hear(first, world.cables.members[other].address)
        order(52)
        world.shard.in_sync()
        assert entry.next_user_ref() == 53 and numbers == list(range(1, 53))
    print(f"{fault}: {took * 1000:.0f} ms, {entry.logins} logins")
