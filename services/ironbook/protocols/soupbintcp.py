# SPDX-License-Identifier: GPL-3.0-or-later
"""SoupBinTCP, the client's side: framing, login, heartbeats and the numbering of what the server sends.

Source: Nasdaq, "SoupBinTCP Version 3.00" and "4.00". A packet is a two-byte big-endian length (of what follows it),
one byte of type, and a payload. Sequenced packets carry no number: the login answer names the next one, and each
counts on from there, so a client that asks for the number after its last one loses nothing and sees nothing twice.

The socket is non-blocking inside. `send` reads while it waits for room, so that two sides that both write much never
wait for each other; `receive` waits at most as long as it is told. Nothing here knows what a payload means.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterable
from typing import Self

from ironbook.errors import CommandError

HEADER = struct.Struct(">HB")
LOGIN_REQUEST = struct.Struct(">HB6s10s10s20s")
LOGIN_ACCEPTED = struct.Struct(">10s20s")

DEBUG = ord("+")
LOGIN_ACCEPTED_TYPE = ord("A")
LOGIN_REJECTED_TYPE = ord("J")
SEQUENCED_DATA = ord("S")
UNSEQUENCED_DATA = ord("U")
SERVER_HEARTBEAT = ord("H")
END_OF_SESSION = ord("Z")
LOGIN_REQUEST_TYPE = ord("L")
CLIENT_HEARTBEAT = ord("R")
LOGOUT_REQUEST = ord("O")

HEARTBEAT_SECONDS = 1.0  # section 2.2: a heartbeat whenever nothing was sent for one second
SILENCE_SECONDS = 15.0  # section 2.2: a peer that sends nothing for fifteen seconds is gone
LOGIN_REASONS = {
    "A": "not authorized: unknown username or wrong password",
    "S": "the requested session is not available",
}

_RECEIVE_BYTES = 1 << 18


class SoupError(CommandError):
    """The session cannot go on; the text says why, in one line."""


class LoginRejectedError(SoupError):
    """The server refused the login (section 2.2.4); `reason` is its one letter, or empty if it just closed."""

    def __init__(self, text: str, reason: str = "") -> None:
        """`text` for people, `reason` for programs."""
        super().__init__(text)
        self.reason = reason


class ConnectionLostError(SoupError):
    """The connection ended before the session did."""


def _text(value: str, size: int, name: str) -> bytes:
    encoded = value.encode("ascii")
    if len(encoded) > size:
        raise ValueError(f"{name} has {len(encoded)} characters; SoupBinTCP allows {size}")
    return encoded.ljust(size)


def packet(kind: int, payload: bytes = b"") -> bytes:
    """Return one packet of `kind` (its type's character code)."""
    return HEADER.pack(len(payload) + 1, kind) + payload


def login_request(username: str, password: str, session: str = "", sequence: int = 1) -> bytes:
    """Return a Login Request; `sequence` is the next number wanted, 0 for only what is sent from now on."""
    return LOGIN_REQUEST.pack(
        LOGIN_REQUEST.size - 2,
        LOGIN_REQUEST_TYPE,
        _text(username, 6, "username"),
        _text(password, 10, "password"),
        session.encode("ascii").rjust(10),
        str(sequence).encode("ascii").rjust(20),
    )


def split_packets(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take the whole packets off the front of `buffer`: (type, payload) each. Half a packet stays in it."""
    packets: list[tuple[int, bytes]] = []
    append = packets.append
    data = bytes(buffer)
    position, end = 0, len(data)
    while end - position >= 3:
        stop = position + 2 + (data[position] << 8) + data[position + 1]
        if stop == position + 2:
            raise SoupError("the server sent a packet of length 0; it does not speak SoupBinTCP")
        if stop > end:
            break
        append((data[position + 2], data[position + 3 : stop]))
        position = stop
    del buffer[:position]
    return packets


class SoupClient:
    """One logged-in session. `next_sequence` is the number of the next sequenced packet to come."""

    def __init__(self, connection: socket.socket, peer: str, silence: float = SILENCE_SECONDS) -> None:
        """Use `connect`; this takes over a connected socket. `silence` as there."""
        self.peer = peer
        self.silence = silence
        self.session = ""
        self.next_sequence = 0
        self.ended = False
        self.unsequenced: list[bytes] = []
        self._socket = connection
        self._buffer = bytearray()
        self._packets: list[tuple[int, bytes]] = []
        self._sent_at = self._received_at = time.monotonic()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)
        self._either = select.poll()
        self._either.register(connection, select.POLLIN | select.POLLOUT)

    @classmethod
    def connect(  # noqa: PLR0913 - a login has this many fields
        cls,
        host: str,
        port: int,
        username: str,
        password: str,
        *,
        sequence: int = 1,
        session: str = "",
        timeout: float = 10.0,
        silence: float = SILENCE_SECONDS,
    ) -> Self:
        """Connect and log in, `timeout` seconds long. Raises LoginRejectedError, or SoupError where no server answers.

        A server that sends nothing for `silence` seconds, or takes nothing for as long, is gone.
        """
        peer = f"{host}:{port}"
        try:
            connection = socket.create_connection((host, port), timeout=timeout)
        except OSError as error:
            reason = error.strerror or error
            raise SoupError(f"no order entry at {peer}: {reason}; is the engine running?") from error
        client = cls(connection, peer, silence)
        try:
            client._login(username, password, session, sequence, time.monotonic() + timeout)
        except BaseException:
            connection.close()
            raise
        return client

    def _login(self, username: str, password: str, session: str, sequence: int, deadline: float) -> None:
        self._write(login_request(username, password, session, sequence))
        while True:
            if time.monotonic() > deadline:
                raise SoupError(f"{self.peer} did not answer the login of {username}")
            try:
                self._read(0.2)
            except ConnectionLostError as error:
                raise LoginRejectedError(f"{self.peer} closed the connection at the login of {username}") from error
            while self._packets:
                kind, payload = self._packets.pop(0)
                if kind == LOGIN_ACCEPTED_TYPE:
                    name, number = LOGIN_ACCEPTED.unpack(payload)
                    self.session, self.next_sequence = name.decode("ascii").strip(), int(number)
                    return
                if kind == LOGIN_REJECTED_TYPE:
                    reason = payload.decode("ascii", "replace")
                    text = LOGIN_REASONS.get(reason, f"reason {reason!r}")
                    raise LoginRejectedError(f"{self.peer} rejected the login of {username}: {text}", reason)
                if kind not in (SERVER_HEARTBEAT, DEBUG):
                    raise SoupError(f"{self.peer} answered the login with a packet of type {chr(kind)!r}")

    def fileno(self) -> int:
        """Return the socket, for a poll over several sessions."""
        return self._socket.fileno()

    def send(self, payloads: Iterable[bytes]) -> None:
        """Send each payload as an unsequenced packet, all in as few writes as the socket takes."""
        self._write(b"".join([HEADER.pack(len(p) + 1, UNSEQUENCED_DATA) + p for p in payloads]))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        deadline = time.monotonic() + self.silence
        while view:
            try:
                sent = self._socket.send(view)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConnectionLostError(f"{self.peer} takes no more data") from None
                self._either.poll(1000)
                self._fill()
                continue
            except OSError as error:
                raise ConnectionLostError(f"{self.peer} closed the connection: {error.strerror}") from error
            view = view[sent:]
            deadline = time.monotonic() + self.silence
        self._sent_at = time.monotonic()

    def _fill(self) -> bool:
        """Read what is there, without waiting; False if there was nothing."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ConnectionLostError(f"{self.peer} closed the connection: {error.strerror}") from error
        if not data:
            raise ConnectionLostError(f"{self.peer} closed the connection")
        self._received_at = time.monotonic()
        self._buffer += data
        self._packets += split_packets(self._buffer)
        return True

    def _read(self, timeout: float) -> None:
        if not self._fill() and timeout > 0 and self._readable.poll(timeout * 1000):
            self._fill()

    def keep_alive(self) -> None:
        """Send a heartbeat if one is due; raise ConnectionLostError if the server has been silent for too long."""
        now = time.monotonic()
        if now - self._sent_at >= HEARTBEAT_SECONDS:
            self._write(packet(CLIENT_HEARTBEAT))
        if now - self._received_at > self.silence:
            raise ConnectionLostError(f"{self.peer} has sent nothing for {self.silence:g} s")

    def receive(self, timeout: float = 0.0) -> list[bytes]:
        """Return what sequenced packets have come, in order; wait at most `timeout` seconds for the first.

        The last of them has the number `next_sequence - 1`. Unsequenced payloads are left in `unsequenced`; `ended` is
        set when the server ends the session.
        """
        if not self._packets:
            self._read(timeout)
        self.keep_alive()
        if not self._packets:
            return []
        packets, self._packets = self._packets, []
        payloads = [payload for kind, payload in packets if kind == SEQUENCED_DATA]
        self.next_sequence += len(payloads)
        if len(payloads) != len(packets):
            self.unsequenced += [payload for kind, payload in packets if kind == UNSEQUENCED_DATA]
            self.ended = self.ended or any(kind == END_OF_SESSION for kind, _ in packets)
        return payloads

    def close(self) -> None:
        """Log out politely and close."""
        try:
            self._socket.send(packet(LOGOUT_REQUEST))
        except OSError:
            pass
        finally:
            self._socket.close()

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Log out and close."""
        self.close()
