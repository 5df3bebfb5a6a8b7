# SPDX-License-Identifier: GPL-3.0-or-later
"""A real replicated shard for tests: three engines with their agents, on the loopback, ended by their own pids."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from integration.agent_process import Agent
from integration.engine_process import Client, Engine
from ironbook.protocols.store import member_name
from ironbook.store.client import Store, Written
from ironbook.store.items import Record
from local_processes import free_port, wait_for

KEY = "the-key-of-a-test-shard"
# As a shard of one rack has them, but for machines that are busy with other tests.
TIMES = {"heartbeat_ms": 50, "silence_ms": 1500, "down_ms": 200, "lag_ms": 3000, "stagger_ms": 150}


class Host(NamedTuple):
    """Where a member runs: its address, and the command line that brings a process there."""

    address: str = "127.0.0.1"
    enter: Sequence[str] = ()


class Shard:
    """The members by number. Each has a directory of its own in `directory`; `hosts`: where they are, if not here."""

    def __init__(
        self, directory: Path, number: int, store: dict[str, Any], hosts: Sequence[Host] | None = None, **changes: Any
    ) -> None:
        self.number = number
        self.directory = directory
        hosts = hosts or [Host() for _ in range(3)]
        size = len(hosts)
        replication = {
            "members": [{"host": host.address, "port": free_port()} for host in hosts],
            "key": KEY,
            "min_in_sync": min(2, size),
            **TIMES,
            **changes.pop("replication", {}),
        }
        self.engines: list[Engine] = []
        self.agents: list[Agent] = []
        for replica, host in enumerate(hosts):
            own = directory / str(replica)
            own.mkdir()
            engine = Engine(own, shard=number, replica=replica, replication=replication, **changes)
            del engine.config["epoch"]
            engine.config["order_entry"]["host"] = host.address
            agent = Agent(own, number, replica, store, run=engine.run)
            engine.enter = agent.enter = list(host.enter)
            self.engines.append(engine)
            self.agents.append(agent)

    @property
    def ports(self) -> list[int]:
        """Order entry of each member."""
        return [engine.port for engine in self.engines]

    def start(self) -> None:
        """Start all members and their agents."""
        for agent in self.agents:
            agent.start()
        for engine in self.engines:
            engine.start()

    def status(self, replica: int) -> dict[str, Any] | None:
        """What a member says of itself; None where it does not answer."""
        try:
            return self.engines[replica].admin("status")
        except (OSError, AssertionError):
            return None

    def roles(self) -> list[str]:
        """The role of each member; "" of one that does not answer."""
        return [(self.status(replica) or {}).get("role", "") for replica in range(len(self.engines))]

    def primary(self, other_than: Sequence[int] = (), seconds: float = 60.0) -> int:
        """Wait until a member, not one of these, says that it is primary: its number.

        One that was cut off may say so as well, of an older epoch.
        """

        def found() -> int | None:
            statuses = [(status, replica) for replica in range(len(self.engines)) if (status := self.status(replica))]
            leads = [(status["epoch"], replica) for status, replica in statuses if status["role"] == "primary"]
            return next((replica + 1 for _, replica in sorted(leads)[-1:] if replica not in other_than), None)

        return wait_for(found, "a primary", seconds) - 1

    def primary_unless(self, replica: int, seconds: float = 60.0) -> int:
        """As `primary`, where this member is paused: it is not asked, for it would not answer."""
        others = [number for number in range(len(self.engines)) if number != replica]

        def found() -> int | None:
            return next((n + 1 for n in others if (self.status(n) or {}).get("role") == "primary"), None)

        return wait_for(found, "a primary", seconds) - 1

    def in_sync(self, seconds: float = 60.0) -> int:
        """Wait until a primary has all members in sync: its number."""

        def found() -> int | None:
            primary = self.primary()
            status = self.status(primary)
            whole = status is not None and len(status["replication"]["in_sync"]) == len(self.engines)
            return primary + 1 if whole else None

        return wait_for(found, "a shard whose members are all in sync", seconds) - 1

    def equal_states(self) -> bool:
        """Whether all members are at one sequence number, with one state."""
        told = {((status or {}).get("seq"), (status or {}).get("state_hash")) for status in map(self.status, range(3))}
        return len(told) == 1

    def login(self, username: str = "MAKER1", sequence: int = 1, seconds: float = 30.0) -> Client:
        """A client that is logged in, at whichever member is primary."""
        deadline = time.monotonic() + seconds
        while True:
            for engine in self.engines:
                try:
                    # One that is paused accepts, and says nothing.
                    client = Client(engine.port, 2, engine.config["order_entry"]["host"])
                    answer = client.login(username, sequence=sequence)
                except OSError:
                    continue
                if answer[:1] == b"A":
                    return client
            assert time.monotonic() < deadline, f"nobody lets {username} log in: {self.roles()}"
            time.sleep(0.005)

    def logs(self) -> str:
        """What all of them have said, for an assertion."""
        parts = [(engine.log, agent.log) for engine, agent in zip(self.engines, self.agents, strict=True)]
        return "\n".join(f"{log}:\n{log.read_text()}" for both in parts for log in both if log.exists())

    def end(self) -> None:
        """End all of them, paused ones too."""
        for engine in self.engines:
            engine.kill()
        for agent in self.agents:
            if agent.process is not None:
                agent.end(signal.SIGKILL)


@contextmanager
def replicated_shard(
    settings: dict[str, Any],
    store: Store,
    number: int,
    before: Callable[[Engine], object] = lambda _: None,
    **changes: Any,
) -> Iterator[Shard]:
    """A running shard with its first record; `settings` is the store for the agents, `store` a client of it.

    `before` is called with each engine before it starts for the first time.
    """
    with tempfile.TemporaryDirectory(prefix="ib") as name:
        shard = Shard(Path(name), number, settings, **changes)
        for engine, agent in zip(shard.engines, shard.agents, strict=True):
            before(engine)
            if "SHIM_CLOCK_FILE" in engine.variables:  # a host has one clock; the shim's disk is the engine's alone
                agent.variables = {name: engine.variables[name] for name in ("LD_PRELOAD", "SHIM_CLOCK_FILE")}
        members = tuple(member_name(number, replica) for replica in range(len(shard.engines)))
        assert isinstance(store.create(Record.first(number, "", members, "test")), Written)
        try:
            shard.start()
            yield shard
        finally:
            shard.end()
