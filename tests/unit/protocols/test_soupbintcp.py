# SPDX-License-Identifier: GPL-3.0-or-later
"""SoupBinTCP from the client's side: bytes against a foreign implementation, sessions against a scripted server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from ironbook.protocols import soupbintcp
from nasdaq_protocols import soup  # type: ignore[import-untyped]


def test_login_request_is_what_nasdaq_protocols_reads() -> None:
    _, theirs = soup.SoupMessage.from_bytes(soupbintcp.login_request("MAKER1", "secret", "SESSION", 17))
    assert (theirs.user, theirs.password, theirs.session, theirs.sequence) == ("MAKER1", "secret", "SESSION", "17")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (soupbintcp.packet(soupbintcp.CLIENT_HEARTBEAT), soup.ClientHeartbeat()),
        (soupbintcp.packet(soupbintcp.LOGOUT_REQUEST), soup.LogoutRequest()),
        (soupbintcp.packet(soupbintcp.UNSEQUENCED_DATA, b"Q"), soup.UnSequencedData(b"Q")),
    ],
)
def test_packets_are_what_nasdaq_protocols_writes(ours: bytes, theirs: soup.SoupMessage) -> None:
    assert ours == theirs.to_bytes()[1]


@pytest.mark.parametrize(("field", "username", "password"), [("username", "MAKER12", "x"), ("password", "A", "x" * 11)])
def test_login_fields_that_do_not_fit_are_refused(field: str, username: str, password: str) -> None:
    with pytest.raises(ValueError, match=field):
        soupbintcp.login_request(username, password)


def test_packets_split_at_any_byte_are_the_same() -> None:
    whole = b"".join(soup.SequencedData(bytes([65 + n]) * n).to_bytes()[1] for n in range(1, 5))
    expected = [(soupbintcp.SEQUENCED_DATA, bytes([65 + n]) * n) for n in range(1, 5)]
    for cut in range(len(whole) + 1):
        buffer = bytearray(whole[:cut])
        found = soupbintcp.split_packets(buffer)
        buffer += whole[cut:]
        assert found + soupbintcp.split_packets(buffer) == expected
        assert not buffer


def test_a_packet_without_a_type_is_no_soupbintcp() -> None:
    with pytest.raises(soupbintcp.SoupError, match="length 0"):
        soupbintcp.split_packets(bytearray(b"\0\0S"))


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection with `talk` on a thread; yields the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=10)


def login(connection: socket.socket) -> soup.LoginRequest:
    """Read a login with the foreign implementation."""
    _, request = soup.SoupMessage.from_bytes(connection.recv(49))
    assert isinstance(request, soup.LoginRequest)
    return request


def write(connection: socket.socket, *messages: soup.SoupMessage) -> None:
    connection.sendall(b"".join(message.to_bytes()[1] for message in messages))


def test_session_counts_from_the_number_of_the_login_answer() -> None:
    def talk(connection: socket.socket) -> None:
        assert login(connection).sequence == "5"
        write(connection, soup.LoginAccepted("DAY1", 5), soup.SequencedData(b"five"), soup.ServerHeartbeat())
        write(connection, soup.UnSequencedData(b"aside"), soup.SequencedData(b"six"), soup.EndOfSession())
        connection.recv(100)

    with server(talk) as port, soupbintcp.SoupClient.connect("127.0.0.1", port, "A", "b", sequence=5) as client:
        received: list[bytes] = []
        while not client.ended:
            received += client.receive(1)
        assert received == [b"five", b"six"]
        assert (client.session, client.next_sequence, client.unsequenced) == ("DAY1", 7, [b"aside"])


@pytest.mark.parametrize("reason", ["A", "S"])
def test_rejected_login_says_why(reason: str) -> None:
    def talk(connection: socket.socket) -> None:
        login(connection)
        write(connection, soup.LoginRejected(soup.LoginRejectReason(reason)))

    with server(talk) as port, pytest.raises(soupbintcp.LoginRejectedError) as caught:
        soupbintcp.SoupClient.connect("127.0.0.1", port, "A", "b")
    assert caught.value.reason == reason
    assert soupbintcp.LOGIN_REASONS[reason] in str(caught.value)


def test_heartbeat_is_sent_when_nothing_else_was() -> None:
    seen: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        login(connection)
        write(connection, soup.LoginAccepted("", 1))
        seen.append(connection.recv(3))

    with server(talk) as port, soupbintcp.SoupClient.connect("127.0.0.1", port, "A", "b") as client:
        deadline = time.monotonic() + 5
        while not seen and time.monotonic() < deadline:
            try:
                client.receive(0.1)
            except soupbintcp.ConnectionLostError:
                break
    assert seen == [soup.ClientHeartbeat().to_bytes()[1]]


def test_lost_connection_is_an_error_of_its_own() -> None:
    def talk(connection: socket.socket) -> None:
        login(connection)
        write(connection, soup.LoginAccepted("", 1))

    with (
        server(talk) as port,
        soupbintcp.SoupClient.connect("127.0.0.1", port, "A", "b") as client,
        pytest.raises(soupbintcp.ConnectionLostError, match="closed"),
    ):
        client.receive(2)
        client.receive(2)


def test_much_data_both_ways_at_once_does_not_block() -> None:
    payload = b"x" * 1000
    count = 5000

    def talk(connection: socket.socket) -> None:
        login(connection)
        # Writes all before it reads anything: the client must read while it writes.
        write(connection, soup.LoginAccepted("", 1))
        write(connection, *[soup.SequencedData(payload)] * count)
        left = count * (len(payload) + 3)
        while left > 0:
            left -= len(connection.recv(1 << 16))
        write(connection, soup.EndOfSession())

    with server(talk) as port, soupbintcp.SoupClient.connect("127.0.0.1", port, "A", "b") as client:
        client.send([payload] * count)
        received = 0
        while not client.ended:
            received += len(client.receive(1))
        assert received == count


def test_nobody_there_names_the_place() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(soupbintcp.SoupError, match=f"127.0.0.1:{port}.*is the engine running"):
        soupbintcp.SoupClient.connect("127.0.0.1", port, "A", "b")
