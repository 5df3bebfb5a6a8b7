# SPDX-License-Identifier: GPL-3.0-or-later
"""The local PostgreSQL as a process: made once, alone on the loopback, and back after `kill -9` of all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from ironbook import postgres
from ironbook.errors import CommandError
from local_processes import IRONBOOK, environment, free_port, wait_for

pytestmark = pytest.mark.integration


@dataclass
class Server:
    """One data directory and, while it runs, its server."""

    directory: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sockets: Path | None = None

    @property
    def data(self) -> Path:
        return self.directory / "postgres"

    @property
    def password_file(self) -> Path:
        return self.directory / "secrets" / "password"

    def run(self) -> subprocess.Popen[bytes]:
        command = [*IRONBOOK, "postgres", "run", "--data-directory", str(self.data), "--port", str(self.port)]
        command += ["--socket-directory", str(self.sockets)] if self.sockets else []
        with (self.directory / "log").open("a") as log:
            process = subprocess.Popen(
                [*command, "--password-file", str(self.password_file)], env=environment(), stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def start(self) -> subprocess.Popen[bytes]:
        process = self.run()
        wait_for(lambda: process.poll() is not None or self.answers(), "PostgreSQL", seconds=90)
        assert process.poll() is None, self.log()
        return process

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def connect(self, password: str | None = None) -> psycopg.Connection:
        given = password or self.password_file.read_text().strip()
        return psycopg.connect(
            host=str(self.sockets or "127.0.0.1"),
            port=self.port,
            user=postgres.SUPERUSER,
            password=given,
            dbname="postgres",
            autocommit=True,
        )

    def answers(self) -> bool:
        try:
            self.connect().close()
        except (OSError, psycopg.OperationalError):
            return False
        return True

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, free_port())
    yield made
    made.end()


def kill_all_of_it(server: Server, process: subprocess.Popen[bytes]) -> None:
    """`kill -9` the server and each of its children, at one stroke."""
    for pid in postgres.processes_in(server.data):
        with contextlib.suppress(ProcessLookupError):  # one that was about to end anyway
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=10)
    wait_for(lambda: not postgres.processes_in(server.data), "the end of every process")


def test_made_once_and_alone_on_the_loopback(server) -> None:
    server.start()
    made = (server.data / "PG_VERSION").stat().st_mtime_ns
    with server.connect() as connection:
        rows = connection.execute(
            "select name, setting from pg_settings where name in "
            "('listen_addresses', 'unix_socket_directories', 'password_encryption', 'data_checksums', 'fsync')"
        ).fetchall()
    assert dict(rows) == {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "data_checksums": "on",
        "fsync": "on",
    }
    assert not [path for path in server.directory.rglob("*") if path.is_socket()]
    assert server.password_file.stat().st_mode & 0o777 == 0o600
    assert server.data.stat().st_mode & 0o077 == 0

    server.end()
    server.start()
    assert (server.data / "PG_VERSION").stat().st_mtime_ns == made


def test_nobody_comes_in_without_the_password(server) -> None:
    server.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        server.connect("wrong")
    trusting = [
        line
        for line in (server.data / "pg_hba.conf").read_text().splitlines()
        if line and not line.startswith("#") and not line.endswith("scram-sha-256")
    ]
    assert trusting == []


def test_what_was_committed_is_there_after_kill_9_of_all_of_it(server) -> None:
    process = server.start()
    with server.connect() as connection:
        connection.execute("create table trades (n int primary key)")
        connection.execute("insert into trades select generate_series(1, 1000)")
    kill_all_of_it(server, process)
    assert (server.data / "postmaster.pid").exists()

    server.start()
    with server.connect() as connection:
        assert connection.execute("select count(*), sum(n) from trades").fetchone() == (1000, 500500)
    assert "automatic recovery in progress" in server.log()


@pytest.mark.parametrize("listens", ["on a port", "on a socket"])
def test_a_lock_whose_process_id_went_to_somebody_else_is_no_obstacle(server, listens, tmp_path_factory) -> None:
    locks = [server.data / "postmaster.pid"]
    if listens == "on a socket":
        server.sockets = tmp_path_factory.mktemp("run")
        locks.append(server.sockets / f".s.PGSQL.{server.port}.lock")
    process = server.start()
    kill_all_of_it(server, process)
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        for lock in locks:
            lines = lock.read_text().splitlines()
            lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        server.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


def test_a_second_server_on_the_same_directory_is_refused(server) -> None:
    server.start()
    second = Server(server.directory, free_port())
    process = second.run()
    assert process.wait(timeout=60) != 0
    assert "postmaster.pid" in server.log()
    assert server.answers()


def test_an_interrupted_first_start_leaves_nothing_half_made(server) -> None:
    unfinished = server.data.with_name("postgres.unfinished")
    unfinished.mkdir()
    (unfinished / "half").touch()
    server.start()
    assert not unfinished.exists()
    assert not (server.data / "half").exists()


def test_what_initdb_refuses_is_one_line(tmp_path) -> None:
    (tmp_path / "password").write_text("")  # initdb refuses an empty password
    with pytest.raises(CommandError, match="initdb cannot make") as refused:
        postgres.initialise(tmp_path / "postgres", tmp_path / "password")
    assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["password"]
