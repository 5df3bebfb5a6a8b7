# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench-durable` measures with: its client and peers, on a few orders; and that the client is not fooled."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from local_processes import ROOT, free_port, wait_for

NATIVE = ROOT / "engine_native" / "bench"
ACCEPTED, EXECUTED = 67, 39


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client and the peer, compiled as the core is: a warning is an error."""
    directory = tmp_path_factory.mktemp("programs")
    options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    for name in ("order_load", "relay"):
        subprocess.run(["gcc", *options, "-o", str(directory / name), str(NATIVE / f"{name}.c")], check=True)
    return directory


@contextmanager
def running(*command: object, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([str(word) for word in command]) as process:
        try:
            wait_for(lambda: socket_listens(port), "a peer")
            yield process
        finally:
            process.kill()


def socket_listens(port: int) -> bool:
    """Whether it does, without connecting: a standby takes one connection."""
    return any(f":{port:04X} " in line and " 0A " in line for line in Path("/proc/net/tcp").read_text().splitlines())


def run(programs: Path, port: int, *words: object) -> subprocess.CompletedProcess[str]:
    command = [programs / "order_load", port, "secret", "BENCH", 1, *words]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)


def measured(programs: Path, port: int, *words: object) -> dict[str, Any]:
    done = run(programs, port, *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert 0 < found["p50_us"] <= found["p99_us"] <= found["max_us"]
    return found


def test_echo_answers_each_order(programs: Path) -> None:
    port = free_port()
    with running(programs / "relay", "echo", port, ACCEPTED, 0, port=port):
        for _ in range(2):  # one connection after the other
            found = measured(programs, port, "trips", 300)
            assert found["reports"] == 300 and found["report_bytes"] == 300 * ACCEPTED


@pytest.mark.parametrize("sync", ["none", "group", "write"])
def test_relay_answers_what_all_three_have(programs: Path, tmp_path: Path, sync: str) -> None:
    first, second, front = (free_port() for _ in range(3))
    relay = programs / "relay"
    with (
        running(relay, "standby", first, tmp_path / "1", sync, port=first) as standby,
        running(relay, "standby", second, tmp_path / "2", sync, port=second) as other,
        running(
            relay, "primary", front, ACCEPTED, EXECUTED, tmp_path / "0", sync, first, second, port=front
        ) as primary,
    ):
        assert measured(programs, front, "trips", 50)["reports"] == 100
        flat_out = measured(programs, front, "load", 20_000, 4, 0, 2048, 64)
        assert flat_out["orders"] == 20_000 and flat_out["acknowledged_per_s"] > 0
        paced = measured(programs, front, "load", 2_000, 4, 10_000, 2048, 50)
        assert 0.19 < paced["seconds"] < 30  # the last of forty groups is due after 195 ms
        standby.kill()  # without one of them nobody is answered
        assert primary.wait(30) == 1
        assert other.wait(30) == 0  # and the other standby ends with its connection
    assert list(tmp_path.iterdir()) == []  # their files have no names


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([1, 1], "another order than was sent next"),
        ([2], "another order than was sent next"),
        ([0], "another order than was sent next"),
        ([-1], "an order was rejected"),
        ([], "closed the connection"),
    ],
)
def test_client_notices_an_acknowledgement_that_is_doubled_changed_or_missing(
    programs: Path, answers: list[int], said: str
) -> None:
    port = free_port()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            assert len(connection.recv(49, socket.MSG_WAITALL)) == 49
            connection.sendall(b"\x00\x1fA" + b" " * 30)
            assert len(connection.recv(50, socket.MSG_WAITALL)) == 50
            for ref in answers:
                kind, number = (b"J", 1) if ref < 0 else (b"A", ref)
                body = b"S" + kind + bytes(8) + number.to_bytes(4, "big") + bytes(51)
                connection.sendall(len(body).to_bytes(2, "big") + body)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", port)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        done = run(programs, port, "trips", 2)
        server.join(30)
    assert done.returncode == 1
    assert said in done.stderr


def test_numbers_out_of_range_are_refused(programs: Path) -> None:
    for words in (["trips", 0], ["load", 100, 17, 0, 64, 8], ["load", 100, 4, 0, 64, 65], ["load", 100, 4, 0, 64, 0]):
        done = run(programs, 1, *words)
        assert done.returncode == 2 and "out of range" in done.stderr
