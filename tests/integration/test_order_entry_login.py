# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong passwords at order entry: who gives them waits, and nobody else does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from integration.engine_process import Client, Engine, login_request, packet

pytestmark = pytest.mark.integration

LOGIN_SECONDS = 1.0
USERNAMES = ("WATCH1", "OTHER1", "THROT1", "GUESS1", "BESET1")  # a session's wrong passwords outlast its test


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for this file, which serves to its end."""
    process = Engine(
        tmp_path_factory.mktemp("engine"),
        limits={"connections": 8, "login_seconds": LOGIN_SECONDS, "login_attempts": 3},
        sessions=[
            {**session, "username": name}
            for session in Engine(tmp_path_factory.mktemp("template")).config["sessions"][:1]
            for name in USERNAMES
        ],
    ).start()
    try:
        yield process
        assert process.admin("status")["state"] == "serving"
    finally:
        process.kill()


def wait_until_gone(engine: Engine, username: str) -> None:
    """Until the engine has seen that a session's client has left."""
    deadline = time.monotonic() + 5
    while any(s["connected"] for s in engine.admin("status")["sessions"] if s["username"] == username):
        assert time.monotonic() < deadline, f"{username} stays connected"
        time.sleep(0.02)


@pytest.fixture
def watch(engine: Engine) -> Iterator[Client]:
    """A member that has logged in, and stays so."""
    client = engine.login("WATCH1", sequence=0)
    yield client
    assert client.next_user_ref() == 1
    client.close()
    wait_until_gone(engine, "WATCH1")


def test_wrong_passwords_are_refused_and_slowed_down(engine: Engine, watch: Client) -> None:
    """After three wrong passwords the sender's next ones wait for their turn. The right one waits, too, and passes."""
    for username in ("THROT1", "THROT1", "THROT1", "NOBODY"):
        client = Client(engine.port)
        assert client.login(username, password="wrong") == b"JA"
        assert client.packet() == b""
    held = engine.admin("status")["logins_held"]
    started = time.monotonic()
    client = Client(engine.port)
    assert client.login("THROT1")[:1] == b"A"
    assert LOGIN_SECONDS / 3 * 0.5 < time.monotonic() - started < LOGIN_SECONDS
    assert engine.admin("status")["logins_held"] == held + 1
    client.close()
    engine.login("OTHER1").close()  # nor does another user of the same host wait for it
    assert time.monotonic() - started < LOGIN_SECONDS
    wait_until_gone(engine, "OTHER1")
    wait_until_gone(engine, "THROT1")
    assert "wrong" not in engine.log.read_text()


def test_a_password_is_guessed_no_faster_by_many_connections(engine: Engine, watch: Client) -> None:
    """Guesses in parallel get no further than in turn; a member is served meanwhile, and the queue never starves."""
    started = time.monotonic()
    guesses = 12
    answered = 0
    for _ in range(guesses // 6):
        clients = [Client(engine.port) for _ in range(6)]
        for client in clients:
            client.send(login_request("GUESS1", password="wrong"))
        engine.login("OTHER1", sequence=0).close()
        wait_until_gone(engine, "OTHER1")
        answered += sum(client.packet() == b"JA" for client in clients)
        watch.send(packet(b"R"))
    # The first three at once, then one for each third of LOGIN_SECONDS.
    assert time.monotonic() - started > (answered - 4) * LOGIN_SECONDS / 3
    assert answered == guesses
    engine.login("GUESS1", sequence=0).close()
    wait_until_gone(engine, "GUESS1")


GUESSER = """
import os, socket, sys, time
"x".encode("idna")  # found while its module may still be read
os.setgroups([]); os.setgid(65534); os.setuid(65534)
request = bytes.fromhex(sys.argv[2])
deadline = time.monotonic() + 3
print("begun", flush=True)
count = 0
while time.monotonic() < deadline:
    connections = []
    for _ in range(20):
        connections.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
        connections[-1].sendall(request)
        count += 1
    time.sleep(0.05)
    for connection in connections:
        connection.close()
print(count)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process needs root to start")
def test_another_users_guesses_keep_nobody_out(engine: Engine, watch: Client) -> None:
    """They count against that user alone: the right password of ours passes at once, all the while."""
    command = [sys.executable, "-I", "-c", GUESSER, str(engine.port), login_request("BESET1", password="wrong").hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as guesser:
        assert guesser.stdout is not None
        assert guesser.stdout.readline() == "begun\n"
        slowest = 0.0
        logins = 0
        while guesser.poll() is None:
            started = time.monotonic()
            engine.login("BESET1", sequence=0).close()
            slowest = max(slowest, time.monotonic() - started)
            logins += 1
            wait_until_gone(engine, "BESET1")
            watch.send(packet(b"R"))
        assert int(guesser.stdout.read()) > 100
    assert guesser.returncode == 0
    assert logins > 10
    assert slowest < LOGIN_SECONDS / 3  # not even one turn of the guesser's queue
