# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook agent run`: the small process beside an engine that asks the configuration store for it.

It serves one engine over `store.sock` (docs/protocols/store.md): reads the shard's record, replaces it under a
condition, and tells when it has changed. It decides nothing; whether and when to take over is the engine's own state
machine. Where the store is down it says so and goes on, and so does trading.

    {"shard": 0, "replica": 1, "run_directory": …, "store": {"kind": "etcd", …}}      store: see store/settings.py
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError
from ironbook.protocols import store as protocol
from ironbook.protocols.store import Kind, Message, Outcome, Reason, Status, Terms
from ironbook.service import Backoff, Stop, check_keys, log_to_stderr, read_json
from ironbook.store.client import Conflict, Store, Unknown, Written
from ironbook.store.errors import (
    InvalidChangeError,
    ItemError,
    StoreContradictionError,
    StoreDeniedError,
    StoreError,
    StoreMissingError,
    StoreThrottledError,
    StoreUnreachableError,
)
from ironbook.store.items import MEMBERS_MAX, SHARD_MAX, Record, new_writer
from ironbook.store.settings import open_store

SOCKET_NAME = "store.sock"
SOCKET_PATH_BYTES_MAX = 107  # unix(7)
CLIENTS_MAX = 4
_LOOK_SECONDS = 1.0  # how long the watcher waits at once, so that it sees when it is to end
_SEND_SECONDS = 2.0  # a client that takes nothing for so long is dropped
_CREDENTIALS = struct.Struct("3i")  # struct ucred, unix(7)

_REASONS: tuple[tuple[type[StoreError], Reason], ...] = (
    (InvalidChangeError, Reason.BAD_CHANGE),
    (ItemError, Reason.BAD_ITEM),
    (StoreContradictionError, Reason.CONTRADICTION),
    (StoreThrottledError, Reason.THROTTLED),
    (StoreDeniedError, Reason.DENIED),
    (StoreUnreachableError, Reason.UNREACHABLE),
    (StoreMissingError, Reason.DENIED),
)


@dataclass(frozen=True)
class AgentConfig:
    """The file, checked. `open_store` makes a client of the store, one for each thread."""

    shard: int
    replica: int
    run_directory: Path
    open_store: Callable[[], Store]

    @property
    def member(self) -> str:
        """What this replica is called in the record."""
        return protocol.member_name(self.shard, self.replica)

    @property
    def socket(self) -> Path:
        """Where it serves its engine."""
        return self.run_directory / SOCKET_NAME


def load(path: Path) -> AgentConfig:
    """Read and check the file; raises CommandError."""
    value = check_keys(read_json(path), {"shard": int, "replica": int, "run_directory": str, "store": dict}, str(path))
    for key, most in (("shard", SHARD_MAX), ("replica", MEMBERS_MAX - 1)):
        if not 0 <= value[key] <= most:
            raise CommandError(f"{path}: {key!r} is {value[key]}: give it a number from 0 to {most}")
    if not value["run_directory"].startswith("/"):
        raise CommandError(f"{path}: 'run_directory' is {value['run_directory']!r}: give it an absolute path")
    config = AgentConfig(
        value["shard"],
        value["replica"],
        Path(value["run_directory"]),
        lambda: open_store(value["store"], f"{path}: store"),
    )
    config.open_store().close()
    if (size := len(os.fsencode(config.socket))) > SOCKET_PATH_BYTES_MAX:
        raise CommandError(
            f"{path}: the socket {config.socket} would have a path of {size} bytes, and {SOCKET_PATH_BYTES_MAX} is the "
            "most: give run_directory a shorter path"
        )
    return config


class Asker:
    """Asks the store for one client: one request at a time, each with an answer within the store's patience."""

    def __init__(self, config: AgentConfig, log: Callable[[str], None]) -> None:
        """`log` takes one line where something is wrong."""
        self._config = config
        self._log = log
        self._store = config.open_store()
        self._known: Record | None = None
        self._proposal: Record | None = None  # the last write, so that the same one sent again has the same writer

    def answer(self, message: Message) -> Message:
        """Do what a client asks; ValueError where it asks for nothing that there is."""
        try:
            if message.kind == Kind.READ and message.terms is None and not message.outcome and not message.reason:
                return self._read(message.request)
            if message.kind == Kind.WRITE and message.terms is not None and not message.outcome and not message.reason:
                return self._write(message.request, message.terms)
        except (StoreError, protocol.ForeignMemberError) as error:
            self._log(str(error))
            return Message(Kind.ANSWER, message.request, Outcome.REFUSED, reason_of(error))
        raise ValueError(f"a message of kind {message.kind} asks for nothing")

    def _read(self, request: int) -> Message:
        self._known = self._store.record(self._config.shard)
        return Message(Kind.ANSWER, request, Outcome.OK, terms=_terms(self._known))

    def _write(self, request: int, terms: Terms) -> Message:
        known = self._known
        if known is None or known.version != terms.version - 1:
            known = self._known = self._store.record(self._config.shard)
        if known is None or known.version != terms.version - 1:
            again = known is not None and self._proposal is not None and known.writer == self._proposal.writer
            if again and known is not None and _terms(known) == terms:
                return Message(Kind.ANSWER, request, Outcome.OK, terms=terms)
            return Message(Kind.ANSWER, request, Outcome.CONFLICT, terms=_terms(known))
        outcome = self._store.replace(known, self._proposed(terms))
        if isinstance(outcome, Written):
            self._known = outcome.item
            return Message(Kind.ANSWER, request, Outcome.OK, terms=terms)
        if isinstance(outcome, Conflict):
            self._known = outcome.item
            return Message(Kind.ANSWER, request, Outcome.CONFLICT, terms=_terms(outcome.item))
        assert isinstance(outcome, Unknown)
        self._log(outcome.reason)
        return Message(Kind.ANSWER, request, Outcome.UNKNOWN, Reason.UNREACHABLE)

    def _proposed(self, terms: Terms) -> Record:
        try:
            primary, members = protocol.to_names(self._config.shard, terms)
        except protocol.ForeignMemberError as error:
            raise InvalidChangeError(str(error)) from error
        writer = new_writer(self._config.member)
        if self._proposal is not None and _terms(self._proposal) == terms:
            writer = self._proposal.writer
        self._proposal = Record(self._config.shard, terms.epoch, primary, tuple(sorted(members)), terms.version, writer)
        self._proposal.require_valid()
        return self._proposal

    def close(self) -> None:
        """Close the store's client."""
        self._store.close()


def reason_of(error: Exception) -> Reason:
    """Return what an error of the store is called on the socket."""
    if isinstance(error, protocol.ForeignMemberError):
        return Reason.BAD_ITEM
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.OTHER)


def _terms(record: Record | None) -> Terms | None:
    return None if record is None else protocol.to_terms(record)


class Client:
    """One connection of the engine. What is sent to it, is sent whole, one message at a time."""

    def __init__(self, connection: socket.socket) -> None:
        """`connection` has been accepted and is of our own user."""
        self.connection = connection
        self._lock = threading.Lock()
        self._told = 0  # the newest version that it was told of
        self._greeted = False

    def greet(self, welcome: bytes) -> None:
        """Send the answer to its hello, before which it is told nothing."""
        with self._lock:
            self.connection.sendall(welcome)
            self._greeted = True

    def send(self, message: Message) -> None:
        """Send an answer. OSError where the client is gone, or takes nothing."""
        with self._lock:
            if message.terms is not None and message.outcome in {Outcome.OK, Outcome.CONFLICT}:
                self._told = max(self._told, message.terms.version)
            self.connection.sendall(message.pack())

    def tell(self, terms: Terms) -> None:
        """Tell it of a record, once, and never of one that is older than what it knows."""
        with self._lock:
            if not self._greeted or terms.version <= self._told:
                return
            self._told = terms.version
            self.connection.sendall(Message(Kind.CHANGE, terms=terms).pack())

    def receive(self, size: int) -> bytes:
        """Return so many bytes; fewer at the end of the stream."""
        data = b""
        while len(data) < size:
            more = self.connection.recv(size - len(data))
            if not more:
                break
            data += more
        return data


class Agent:
    """The agent of one engine: a thread for each client, and one that watches the record."""

    def __init__(self, config: AgentConfig, stop: Stop) -> None:
        """Nothing is opened yet."""
        self.config = config
        self.stop = stop
        self.log = log_to_stderr("agent")
        self._clients: set[Client] = set()
        self._lock = threading.Lock()
        self._last_line = ""
        self._newest: Terms | None = None  # what was told last

    def run(self) -> None:
        """Serve until asked to end. Raises CommandError where it cannot serve."""
        with self._alone(), self._listener() as listener:
            watcher = threading.Thread(target=self._watch, daemon=True)
            watcher.start()
            self.log.info("serving %s at %s", self.config.member, self.config.socket)
            listener.settimeout(0.2)
            while not self.stop:
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    self._take(connection)
            with self._lock:
                for client in self._clients:
                    with contextlib.suppress(OSError):
                        client.connection.shutdown(socket.SHUT_RDWR)
            self.config.socket.unlink(missing_ok=True)
            self.log.info("ended")

    @contextlib.contextmanager
    def _alone(self) -> Any:
        """Hold a lock, so that a second agent does not take the socket away from the first."""
        path = self.config.run_directory / "agent.lock"
        try:
            self.config.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
        except BlockingIOError as error:
            raise CommandError(f"agent: another one serves in {self.config.run_directory}: end it first") from error
        except OSError as error:
            raise CommandError(f"agent: {path}: {error.strerror}: run_directory must be our own") from error

    def _listener(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # 0600 from its first moment on
        try:
            self.config.socket.unlink(missing_ok=True)
            listener.bind(str(self.config.socket))
            listener.listen(CLIENTS_MAX)
        except OSError as error:
            listener.close()
            raise CommandError(f"agent: cannot listen on {self.config.socket}: {error.strerror}") from error
        finally:
            os.umask(before)
        return listener

    def _take(self, connection: socket.socket) -> None:
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(data)
        with self._lock:
            full = len(self._clients) >= CLIENTS_MAX
            if uid not in {0, os.geteuid()} or full:
                self.log.warning("refused a connection of user %d%s", uid, ": too many are open" if full else "")
                connection.close()
                return
            client = Client(connection)
            self._clients.add(client)
        connection.settimeout(None)
        timeout = struct.pack("ll", int(_SEND_SECONDS), 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: Client) -> None:
        asker = None
        try:
            if self._greet(client):
                asker = Asker(self.config, self._tell_once)
                while len(data := client.receive(protocol.MESSAGE.size)) == protocol.MESSAGE.size:
                    client.send(asker.answer(Message.unpack(data)))
        except (OSError, ValueError, StoreError) as error:
            self._tell_once(f"a client was dropped: {error}")
        finally:
            with self._lock:
                self._clients.discard(client)
            client.connection.close()
            if asker is not None:
                asker.close()

    def _greet(self, client: Client) -> bool:
        """Answer the client's hello; whether it may go on."""
        data = client.receive(protocol.HELLO.size)
        if len(data) < protocol.HELLO.size:
            return False
        magic, version, shard, member = protocol.HELLO.unpack(data)
        status = Status.OK
        if (
            magic != protocol.MAGIC
            or version != protocol.VERSION
            or protocol.HELLO.pack(*protocol.HELLO.unpack(data)) != data
        ):
            status = Status.NOT_THIS_PROTOCOL
        elif shard != self.config.shard:
            status = Status.ANOTHER_SHARD
        elif member != self.config.replica:
            status = Status.ANOTHER_MEMBER
        answer = (protocol.MAGIC, protocol.VERSION, status, self.config.shard, self.config.replica)
        if status is not Status.OK:
            client.connection.sendall(protocol.WELCOME.pack(*answer))
            self._tell_once(f"a client of shard {shard}, replica {member} was refused: {status.name}")
            return False
        client.greet(protocol.WELCOME.pack(*answer))
        if self._newest is not None:
            client.tell(self._newest)
        return True

    def _watch(self) -> None:
        """Tell every client of each new version, whoever wrote it."""
        backoff = Backoff(self.stop, longest=2.0)
        store, known = self.config.open_store(), None
        while not self.stop:
            try:
                key = Record.key_of(self.config.shard)
                found = store.wait_for_change(Record, key, known, _LOOK_SECONDS)
                backoff.reset()
                if found is not None:
                    known = found
                    self._tell_all(protocol.to_terms(found))
            except (StoreError, protocol.ForeignMemberError) as error:
                self._tell_once(str(error))
                backoff.wait()
        store.close()

    def _tell_all(self, terms: Terms) -> None:
        self._newest = terms  # before the list is taken: who is greeted after that, reads it
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            try:
                client.tell(terms)
            except OSError:  # its own thread sees the end
                with contextlib.suppress(OSError):
                    client.connection.shutdown(socket.SHUT_RDWR)

    def _tell_once(self, line: str) -> None:
        """Log a line, unless it was the last one as well."""
        if line != self._last_line:
            self._last_line = line
            self.log.warning("%s", line)


def add_parser(subparsers: Any) -> None:
    """Add `ironbook agent` to the command line."""
    parser = subparsers.add_parser("agent", help="ask the configuration store for an engine")
    actions = parser.add_subparsers(dest="action", required=True)
    run_parser = actions.add_parser("run", help="serve one engine in the foreground until SIGTERM")
    run_parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's JSON file")
    run_parser.set_defaults(function=run)
    check_parser = actions.add_parser("check", help="check a configuration file and start nothing")
    check_parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's JSON file")
    check_parser.set_defaults(function=check)


def check(arguments: argparse.Namespace) -> int:
    """Say that a configuration is right; CommandError where it is not."""
    config = load(arguments.config)
    print(f"{arguments.config}: {config.member} at {config.socket}")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; CommandError where it cannot."""
    config, stop = load(arguments.config), Stop()
    stop.catch_signals()
    Agent(config, stop).run()
    print("ironbook: agent: ended", file=sys.stderr, flush=True)
    return 0
