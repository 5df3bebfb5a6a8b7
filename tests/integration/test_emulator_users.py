# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator serves its own user; another user of the machine, who could rule the database through it, is refused."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_processes import free_port, wait_for

PORT = free_port()
NOBODY = 65534

pytestmark = pytest.mark.integration


def health() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    try:
        connection.request("GET", "/ironbook/health")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.fixture(autouse=True)
def emulator(tmp_path: Path) -> Iterator[None]:
    password = tmp_path / "password"
    password.write_text("unused", encoding="utf-8")
    command = [sys.executable, "-m", "ironbook.cli", "emulator", "run", "--port", str(PORT)]
    options = ["--postgres-port", "1", "--postgres-password-file", str(password)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        wait_for(lambda: health() == 200, "the emulator")
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused() -> None:
    assert health() == 200
    child = os.fork()
    if child == 0:
        os.setuid(NOBODY)
        os._exit(health() // 100)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
