# SPDX-License-Identifier: GPL-3.0-or-later
"""Our emulator of AWS, or moto as it comes, as a process of a test's own; no PostgreSQL stands behind it."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_processes import IRONBOOK, environment, free_port, wait_for


@contextmanager
def emulator(directory: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Its process and its URL, once it answers, with more options of `ironbook emulator run`; it ends with the test."""
    port = free_port(2)
    url = f"http://127.0.0.1:{port}"
    password = directory / "password"
    password.write_text("none\n")
    options = ["--port", str(port), "--postgres-port", str(port + 1), "--postgres-password-file", str(password), *more]
    with serving([*IRONBOOK, "emulator", "run", *options], f"{url}/ironbook/health") as process:
        yield process, url


@contextmanager
def stock_moto() -> Iterator[str]:
    """The URL of moto's own server, which nothing of ours repairs."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with serving([sys.executable, "-m", "moto.server", "--port", str(port)], f"{url}/moto-api/data.json"):
        yield url


@contextmanager
def serving(command: list[str], health: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server's process, once it answers at a URL."""
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        assert process.poll() is None, f"{command} ended with status {process.returncode}"
        try:
            urllib.request.urlopen(health, timeout=5).close()
        except (OSError, urllib.error.URLError):
            return False
        return True

    try:
        wait_for(answers, health)
        yield process
    finally:
        process.terminate()
        process.wait(60)  # it ends within a second, but for a machine that stalls
