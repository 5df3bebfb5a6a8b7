# SPDX-License-Identifier: GPL-3.0-or-later
"""Our emulator of AWS as a process of a test's own; no PostgreSQL stands behind it."""

from __future__ import annotations

import subprocess
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
    process = subprocess.Popen(
        [*IRONBOOK, "emulator", "run", *options],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None, f"the emulator ended with status {process.returncode}"
        try:
            urllib.request.urlopen(f"{url}/ironbook/health", timeout=5).close()
        except (OSError, urllib.error.URLError):
            return False
        return True

    try:
        wait_for(answers, url)
        yield process, url
    finally:
        process.terminate()
        process.wait(10)
