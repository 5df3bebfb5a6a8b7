# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent, a real cluster of etcd, and a client that shares no code with the agent: the store socket at work.

What is lost or late between agent and store goes through a proxy.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from integration import agent_process
from integration.etcd_cluster import Cluster
from integration.store_proxy import Proxy, store_proxy
from integration.stores import AWS, TABLE, DynamoDb, Etcd, emulated_dynamodb
from ironbook.store.client import Written
from ironbook.store.items import Record
from local_processes import IRONBOOK, environment, wait_for

READ, WRITE, ANSWER, CHANGE = 1, 2, 3, 4
OK, CONFLICT, UNKNOWN, REFUSED = 0, 1, 2, 3
UNREACHABLE = 1  # the reason
NOBODY = 0xFF


class Terms(NamedTuple):
    """A record as the engine has it."""

    version: int
    epoch: int
    in_sync: int
    primary: int


class Answer(NamedTuple):
    """A message of the agent's."""

    kind: int
    outcome: int
    request: int
    terms: Terms | None
    reason: int


class Client:
    """The store socket, written from docs/protocols/store.md alone."""

    def __init__(self, path: Path, shard: int, replica: int, magic: bytes = b"IBSTORE1", version: int = 1) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.socket.sendall(struct.pack("<8sIII", magic, version, shard, replica) + bytes(12))
        self.welcome = self._bytes(32)
        self.status = struct.unpack_from("<I", self.welcome, 12)[0]
        self.requests = 0
        self.changes: list[Terms] = []

    def _bytes(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def message(self) -> Answer:
        """The next message, whatever it is."""
        data = self._bytes(64)
        kind, outcome, request, *terms = struct.unpack_from("<IIQQQII", data)
        flags, reason = struct.unpack_from("<II", data, 40)
        assert data[48:] == bytes(16)
        return Answer(kind, outcome, request, Terms(*terms) if flags else None, reason)

    def send(self, kind: int, terms: Terms | None = None) -> None:
        """One request."""
        self.requests += 1
        fields = terms or Terms(0, 0, 0, 0)
        self.socket.sendall(
            struct.pack("<IIQQQIIII", kind, 0, self.requests, *fields, int(terms is not None), 0) + bytes(16)
        )

    def answer(self) -> Answer:
        """The answer to the last request; changes that come before it are kept."""
        while (message := self.message()).kind == CHANGE:
            assert message.terms is not None and message.request == 0
            self.changes.append(message.terms)
        assert message.kind == ANSWER and message.request == self.requests
        return message

    def read(self) -> Answer:
        self.send(READ)
        return self.answer()

    def write(self, terms: Terms) -> Answer:
        self.send(WRITE, terms)
        return self.answer()

    def known(self) -> Terms | None:
        """Read until the store has answered: an agent of little patience may have none for a store that is slow."""
        while (answer := self.read()).outcome != OK:
            assert answer.outcome == REFUSED
        return answer.terms

    def settle(self, terms: Terms) -> Answer:
        """Write the same until what became of it is certain."""
        while (answer := self.write(terms)).outcome == UNKNOWN or answer.reason == UNREACHABLE:
            pass
        return answer

    def change(self, above: int = 1) -> Terms:
        """The next change to a version above this one; versions never go back."""
        last = 0
        while True:
            if self.changes:
                terms = self.changes.pop(0)
            else:
                message = self.message()
                assert message.kind == CHANGE and message.terms is not None
                terms = message.terms
            assert terms.version > last
            last = terms.version
            if last > above:
                return terms

    def is_closed(self) -> bool:
        """Whether the agent ends the connection, within the time limit, and answers nothing more."""
        try:
            while True:
                assert self.message().kind == CHANGE
        except (EOFError, ConnectionResetError):
            return True


class Agent(agent_process.Agent):
    """An agent, and clients of it."""

    def client(self, **changes: Any) -> Client:
        return Client(self.socket, **({"shard": self.shard, "replica": self.replica} | changes))


@pytest.fixture
def backend(cluster: Cluster) -> Iterator[Etcd]:
    yield Etcd(cluster)
    cluster.heal()


@pytest.fixture
def proxy(backend: Etcd) -> Iterator[Proxy]:
    with store_proxy(backend.url) as proxy:
        yield proxy


@pytest.fixture
def first(backend: Etcd) -> Record:
    """A record of a new shard, which nobody serves yet, with three replicas."""
    shard = backend.shard()
    members = tuple(f"engine-{shard}-{replica}" for replica in range(3))
    outcome = backend.open().create(Record.first(shard, "", members, "test"))
    assert isinstance(outcome, Written)
    return outcome.item


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, for the sockets' sake."""
    with tempfile.TemporaryDirectory(prefix="ib") as name:
        yield Path(name)


@pytest.fixture
def agents(directory: Path, first: Record, backend: Etcd) -> Iterator[list[Agent]]:
    """The agents of replicas 0 and 1, each with all of etcd's members."""
    store = {"kind": "etcd", "endpoints": backend.cluster.endpoints, "request_seconds": 1, "total_seconds": 3}
    agents = [Agent(directory, first.shard, replica, store).start() for replica in range(2)]
    yield agents
    for agent in agents:
        agent.end()


@pytest.fixture
def patience() -> tuple[float, float]:
    """An agent's for one request and for all tries of one call, in seconds; costs nothing where an answer comes."""
    return 5.0, 20.0


# Where no answer comes. Everything else that such an agent is asked for has to be asked for until it comes.
HASTY = pytest.mark.parametrize("patience", [(0.4, 0.8)], ids=["hasty"])


@pytest.fixture
def agent(directory: Path, first: Record, proxy: Proxy, patience: tuple[float, float]) -> Iterator[Agent]:
    """The agent of replica 0, with the proxy between it and etcd."""
    store = {
        "kind": "etcd",
        "endpoints": [proxy.url],
        "request_seconds": patience[0],
        "total_seconds": patience[1],
        "poll_seconds": 0.1,
    }
    agent = Agent(directory, first.shard, 0, store).start()
    yield agent
    agent.end()


START = Terms(1, 0, 0b111, NOBODY)


def test_an_engine_reads_writes_and_is_told(agents: list[Agent], backend: Etcd, first: Record) -> None:
    one, other = agents[0].client(), agents[1].client()
    assert one.read() == Answer(ANSWER, OK, 1, START, 0)
    assert other.read().terms == START
    mine = Terms(2, 1, 0b111, 0)
    assert one.write(mine) == Answer(ANSWER, OK, 2, mine, 0)
    assert other.change() == mine
    record = backend.open().record(first.shard)
    assert record is not None and record.in_sync == first.in_sync
    assert (record.primary, record.epoch, record.version) == (f"engine-{first.shard}-0", 1, 2)
    assert other.write(Terms(2, 1, 0b110, 1)) == Answer(ANSWER, CONFLICT, 2, mine, 0)
    taken_over = Terms(3, 2, 0b110, 1)
    assert other.write(taken_over) == Answer(ANSWER, OK, 3, taken_over, 0)
    assert one.change(above=2) == taken_over
    one.send(READ)
    assert one.answer().terms == taken_over and one.changes == []  # it was told once


def test_a_client_is_told_nothing_before_it_is_greeted(agent: Agent, backend: Etcd, first: Record) -> None:
    """One that connects and is slow with its hello while the record changes; afterwards it is told all the same."""
    early = agent.client()
    with socket.socket(socket.AF_UNIX) as slow:
        slow.settimeout(20)
        slow.connect(str(agent.socket))
        theirs = first.next("test", epoch=1, primary=f"engine-{first.shard}-2")
        assert isinstance(backend.open().replace(first, theirs), Written)
        assert early.change() == Terms(2, 1, 0b111, 2)
        time.sleep(0.1)
        slow.sendall(struct.pack("<8sIII", b"IBSTORE1", 1, first.shard, 0) + bytes(12))
        data = b""
        while len(data) < 32 + 64:
            data += slow.recv(96)
        assert data[:8] == b"IBSTORE1"
        assert struct.unpack_from("<IIQQQII", data, 32) == (CHANGE, 0, 0, 2, 1, 0b111, 2)


def test_of_two_engines_one_takes_over(agents: list[Agent], first: Record) -> None:
    """Both write the same version at the same moment, again and again."""
    clients = [agent.client() for agent in agents]
    known = START
    for round_number in range(10):
        for replica, client in enumerate(clients):
            client.send(WRITE, Terms(known.version + 1, known.epoch + 1, 0b111, replica))
        answers = [client.answer() for client in clients]
        assert sorted(answer.outcome for answer in answers) == [OK, CONFLICT], (round_number, answers)
        assert answers[0].terms == answers[1].terms
        assert answers[0].terms is not None
        known = answers[0].terms


def test_socket_and_peer_are_the_agents_own(agents: list[Agent]) -> None:
    mode = agents[0].socket.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(agents[0].run.stat().st_mode) == 0o700
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    agents[0].directory.chmod(0o755)
    agents[0].run.chmod(0o755)
    agents[0].socket.chmod(0o666)
    code = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.settimeout(10); s.connect(sys.argv[1]); s.sendall(bytes(32)); print(s.recv(32))"
    )
    done = subprocess.run(
        ["python3", "-c", code, str(agents[0].socket)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout.strip() in {"b''", ""} and "IBSTORE1" not in done.stdout
    assert "refused a connection of user 65534" in agents[0].log.read_text()
    assert agents[0].client().status == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"magic": b"IBEVLOG1"}, 1), ({"version": 2}, 1), ({"shard": 0}, 2), ({"replica": 1}, 3)],
)
def test_a_wrong_hello_is_answered_and_ended(agent: Agent, changes: dict[str, Any], status: int) -> None:
    client = agent.client(**changes)
    assert client.status == status and client.welcome[:8] == b"IBSTORE1"
    assert client.is_closed()


@pytest.mark.parametrize(
    "data",
    [
        bytes(64),
        struct.pack("<IIQQQIIII", ANSWER, 0, 1, 0, 0, 0, 0, 0, 0) + bytes(16),
        struct.pack("<IIQQQIIII", READ, 0, 1, 0, 0, 0, 0, 1, 0) + bytes(16),
        struct.pack("<IIQQQIIII", WRITE, 0, 1, 0, 0, 0, 0, 0, 0) + bytes(16),
        struct.pack("<IIQQQIIII", READ, 0, 1, 0, 0, 0, 0, 0, 0) + bytes(15) + b"\1",
        b"\xff" * 64,
        b"half",
    ],
)
def test_what_is_no_request_ends_the_connection_and_nothing_else(agent: Agent, data: bytes) -> None:
    client, sound = agent.client(), agent.client()
    client.socket.sendall(data)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.is_closed()
    assert sound.read().terms == START


def test_a_fifth_client_is_refused_until_a_place_is_free(agent: Agent) -> None:
    clients = [agent.client() for _ in range(4)]
    with pytest.raises((EOFError, ConnectionResetError, BrokenPipeError)):
        agent.client()
    assert clients[3].read().terms == START
    clients[0].socket.close()

    def has_place() -> bool:
        try:
            return agent.client().status == 0
        except (EOFError, OSError):
            return False

    wait_for(has_place, "a place at the agent")


@pytest.mark.parametrize(
    "terms",
    [
        Terms(2, 0, 0b111, 0),  # epoch 0 has nobody
        Terms(2, 1, 0b110, 0),  # the primary is not in sync
        Terms(2, 1, 0b1111, 3),  # replica 3 was not in sync
        Terms(2, 1, 0, NOBODY),
        Terms(2, 1 << 40, 0b111, 0),
        Terms(2, 1, 0b111 | 1 << 31, 0),
        Terms(2, 1, 0b111, 9),
    ],
)
def test_what_a_record_may_not_be_never_reaches_the_store(agent: Agent, proxy: Proxy, terms: Terms) -> None:
    client = agent.client()
    client.read()
    assert client.write(terms) == Answer(ANSWER, REFUSED, 2, None, 6)
    assert not any(request.writes for request in proxy.requests)
    assert client.read().terms == START


@HASTY
def test_the_answer_is_lost_but_the_write_happened(agent: Agent, proxy: Proxy) -> None:
    client = agent.client()
    client.known()
    proxy.lose_answers("write")
    mine = Terms(2, 1, 0b111, 0)
    begin = time.monotonic()
    assert client.write(mine) == Answer(ANSWER, UNKNOWN, client.requests, None, UNREACHABLE)
    assert time.monotonic() - begin < 0.8 + 2 * 0.4 + 1
    proxy.heal()
    assert client.settle(mine)[:2] == (ANSWER, OK)  # the same once more: it was ours
    again = agent.client()
    assert again.settle(mine) == Answer(ANSWER, CONFLICT, again.requests, mine, 0)  # a new one compares what it says


@HASTY
def test_a_write_that_is_delayed_past_a_later_one_changes_nothing(
    agent: Agent, proxy: Proxy, backend: Etcd, first: Record
) -> None:
    client = agent.client()
    client.known()
    proxy.hold("write")
    proxy.lose_requests("write")
    assert client.write(Terms(2, 1, 0b111, 0)).outcome == UNKNOWN
    assert client.known() == START
    others = first.next("test", epoch=1, primary=f"engine-{first.shard}-2")
    assert isinstance(backend.open().replace(first, others), Written)
    proxy.held.set()
    assert proxy.landed.wait(10)
    theirs = Terms(2, 1, 0b111, 2)
    assert client.change() == theirs
    assert client.known() == theirs
    proxy.heal()
    assert client.settle(Terms(2, 1, 0b111, 0)) == Answer(ANSWER, CONFLICT, client.requests, theirs, 0)


def test_a_store_that_is_down_is_said_to_be_and_comes_back(agents: list[Agent], backend: Etcd, first: Record) -> None:
    """All of etcd is killed. The agent goes on answering, and tells of what changed meanwhile once it is back."""
    client = agents[0].client()
    assert client.read().terms == START
    for member in backend.cluster.members:
        member.kill()
    begin = time.monotonic()
    assert client.read() == Answer(ANSWER, REFUSED, 2, None, 1)
    refused = client.write(Terms(2, 1, 0b111, 0))
    assert (refused.outcome, refused.reason) in {(REFUSED, 1), (UNKNOWN, 1)}
    assert time.monotonic() - begin < 2 * (3 + 2 * 1) + 2
    assert "cannot be reached" in agents[0].log.read_text()
    backend.cluster.heal()
    theirs = first.next("test", epoch=1, primary=f"engine-{first.shard}-1")
    assert isinstance(backend.open().replace(first, theirs), Written)
    assert client.change() == Terms(2, 1, 0b111, 1)


@HASTY
def test_a_slow_store_is_waited_for_as_long_as_was_said(agent: Agent, proxy: Proxy) -> None:
    client = agent.client()
    client.known()
    proxy.slow("write", 5.0)
    proxy.slow("read", 5.0)
    begin = time.monotonic()
    assert client.write(Terms(2, 1, 0b111, 0)).outcome == UNKNOWN
    assert client.read() == Answer(ANSWER, REFUSED, client.requests, None, UNREACHABLE)
    assert time.monotonic() - begin < 2 * (0.8 + 2 * 0.4) + 1


@pytest.mark.parametrize("patience", [(2.0, 4.0)], ids=[""])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [("throttles", 2), ("denies", 3)],
)
def test_each_refusal_has_its_reason(agent: Agent, proxy: Proxy, backend: Etcd, fault: str, reason: int) -> None:
    client = agent.client()
    client.read()
    proxy.answer("write", *getattr(backend, fault))
    assert client.write(Terms(2, 1, 0b111, 0)) == Answer(ANSWER, REFUSED, 2, None, reason)


@pytest.mark.parametrize(
    "change",
    [
        {"primary": ["engine-0-0", "engine-0-1"]},
        {"shard": 0},
        {"format": 2},
        {"in_sync": ["node-a", "node-b"], "primary": "node-a", "epoch": 5, "version": 9},
    ],
)
def test_what_is_no_record_of_the_shard_is_handed_to_no_engine(
    agent: Agent, backend: Etcd, first: Record, change: dict[str, Any]
) -> None:
    backend.put_raw(first.key, first.document() | change)
    client = agent.client()
    assert client.read() == Answer(ANSWER, REFUSED, 1, None, 4)
    assert client.write(Terms(2, 1, 0b111, 0)) == Answer(ANSWER, REFUSED, 2, None, 4)
    assert first.key in agent.log.read_text() or "node-a" in agent.log.read_text()


def test_a_killed_agent_is_started_again_in_its_place(agent: Agent) -> None:
    """What was open is unknown to the engine, and settled by reading; the socket that was left is no obstacle."""
    client = agent.client()
    client.read()
    client.send(WRITE, Terms(2, 1, 0b111, 0))
    agent.end(signal.SIGKILL)
    with pytest.raises((EOFError, ConnectionResetError)):
        while True:
            client.message()
    assert agent.socket.exists()
    agent.start()
    terms = agent.client().read().terms
    assert terms in {START, Terms(2, 1, 0b111, 0)}


def test_a_second_agent_does_not_take_the_socket_away(agent: Agent) -> None:
    command = [*IRONBOOK, "agent", "run", "--config", str(agent.config)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"ironbook: agent: another one serves in {agent.run}: end it first\n"
    assert agent.client().read().terms == START


def test_dynamodb_serves_an_agent_as_well(directory: Path) -> None:
    """Endpoint, region and credentials come from the agent's environment; all else is the same."""
    with emulated_dynamodb(directory) as url, pytest.MonkeyPatch.context() as monkeypatch:
        backend = DynamoDb(url, monkeypatch)
        members = tuple(f"engine-1-{replica}" for replica in range(3))
        first = Record.first(1, "", members, "test")
        assert isinstance(backend.open().create(first), Written)
        agent = Agent(directory, 1, 0, {"kind": "dynamodb", "table": TABLE, "poll_seconds": 0.05})
        agent.start(AWS_ENDPOINT_URL=url, **AWS)
        try:
            client = agent.client()
            assert client.read().terms == START
            mine = Terms(2, 1, 0b111, 0)
            assert client.write(mine) == Answer(ANSWER, OK, 2, mine, 0)
            assert client.write(Terms(2, 1, 0b111, 2)) == Answer(ANSWER, CONFLICT, 3, mine, 0)
            known = backend.open().record(1)
            assert known is not None
            theirs = known.next("test", epoch=2, primary="engine-1-2")
            assert isinstance(backend.open().replace(known, theirs), Written)
            assert client.change(above=2) == Terms(3, 2, 0b111, 2)
        finally:
            agent.end()


def test_an_agent_ends_in_order(agent: Agent) -> None:
    client = agent.client()
    assert agent.end(signal.SIGTERM) == 0
    assert client.is_closed() and not agent.socket.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"replica": 8}, "'replica' is 8: give it a number from 0 to 7"),
        ({"shard": -1}, "'shard' is -1"),
        ({"run_directory": "run"}, "give it an absolute path"),
        ({"run_directory": "/" + "x" * 120}, "give run_directory a shorter path"),
        ({"store": {"kind": "etcd"}}, "key 'endpoints' is missing"),
        ({"extra": 1}, "unknown key 'extra'"),
    ],
)
def test_each_mistake_of_the_configuration_is_one_line(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    sound = {
        "shard": 1,
        "replica": 0,
        "run_directory": "/run/x",
        "store": {"kind": "etcd", "endpoints": ["http://127.0.0.1:1"]},
    }
    file = tmp_path / "agent.json"
    file.write_text(json.dumps(sound | change))
    command = [*IRONBOOK, "agent", "check", "--config", str(file)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and says in done.stderr and len(done.stderr.splitlines()) == 1
