# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a port is, as the kernel says it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from ironbook import loopback
from ironbook.errors import CommandError
from ironbook.loopback import holder, peer_uid, require_free, uid_in_table, why_not_free

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = "   1: 0100007F:C350 0100007F:{port} {state} 00000000:00000000 00:00000000 00000000  1000        0 77 1\n"


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::"])
def stranger(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A program that listens: on the loopback, everywhere, and everywhere through IPv6."""
    family = socket.AF_INET6 if request.param == "::" else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener


def test_a_port_in_use_names_the_program_and_the_remedy(stranger: socket.socket) -> None:
    port = stranger.getsockname()[1]
    with pytest.raises(CommandError) as refused:
        require_free(port, "end it")
    assert str(refused.value).startswith(f"port {port} on 127.0.0.1 cannot be used: process {os.getpid()} (")
    assert str(refused.value).endswith(") has it: end it")
    stranger.close()
    assert why_not_free(port) == ""
    require_free(port, "end it")
    assert holder(port) == "another program"


def test_a_program_with_lines_in_its_arguments_is_named_in_one() -> None:
    script = "from socket import *\ns = create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout and stranger.stdin
        named = holder(int(stranger.stdout.readline()))
        stranger.stdin.close()
    assert named.startswith(f"process {stranger.pid} (") and "\n" not in named


def test_the_kernel_says_who_is_at_the_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for the one socket and, where that is not possible, found in the table; a closed end is nobody's."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        port, peer = server.getsockname()[1], client.getsockname()[1]
        assert loopback.uid_by_socket(peer, port) in (os.getuid(), None)  # None: a kernel without sock_diag
        assert peer_uid(port, peer) == os.getuid()
        assert peer_uid(peer, peer) is None
        monkeypatch.setattr(loopback, "uid_by_socket", lambda *_: None)
        assert peer_uid(port, peer) == os.getuid()
        monkeypatch.undo()
        client.close()
        assert peer_uid(port, peer) is None


def test_the_table_of_the_kernel_is_read_as_it_is() -> None:
    assert uid_in_table(0xC350, 0x5208, HEAD + LINE.format(port="5208", state="01")) == 1000
    assert uid_in_table(0xC350, 0x5208, HEAD + LINE.format(port="5208", state="05")) is None  # closing
    assert uid_in_table(0xC350, 0x5209, HEAD + LINE.format(port="5208", state="01")) is None
