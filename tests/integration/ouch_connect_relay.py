# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrects, between PyPI ouch_connect 5.0.1 and the engine, the two places where that client leaves OUCH 5.0.

The client is a Rust library that no one here wrote, and it reads the specification wrongly in two places, which its
source shows (github.com/softstream-link/ouch: model/src/model/field_types.rs and svc/_03_order_canceled.rs):

* Symbol has 9 bytes in Enter Order, Accepted and Replaced; sections 2.1, 3.2 and 3.3 say 8;
* Canceled has an OrigUserRefNum before its UserRefNum; section 3.4 knows none.

The engine speaks the specification.  This relay takes the ninth byte out on the way in, puts both back on the way out,
and passes every other byte through as it is; it counts what it changed, so that a test can tell.
"""

from __future__ import annotations

import socket
import struct
import threading

ENTER_SYMBOL_END = 18  # offset of what follows Symbol in Enter Order (section 2.1)
ACCEPTED_SYMBOL_END = 26  # section 3.2
REPLACED_SYMBOL_END = 30  # section 3.3
CANCELED_USER_REF = slice(9, 13)  # section 3.4


def to_engine(payload: bytes) -> bytes:
    """A message of the client as the specification has it."""
    if payload[:1] != b"O":
        return payload
    ninth = payload[ENTER_SYMBOL_END : ENTER_SYMBOL_END + 1]
    if ninth != b" ":
        raise ValueError(f"the ninth byte of the client's Symbol is {ninth!r}: this version needs no relay")
    return payload[:ENTER_SYMBOL_END] + payload[ENTER_SYMBOL_END + 1 :]


def to_client(payload: bytes) -> bytes:
    """A message of the engine as this client reads it."""
    ends = {b"A": ACCEPTED_SYMBOL_END, b"U": REPLACED_SYMBOL_END}
    if payload[:1] in ends:
        end = ends[payload[:1]]
        return payload[:end] + b" " + payload[end:]
    if payload[:1] == b"C":
        return payload[: CANCELED_USER_REF.start] + payload[CANCELED_USER_REF] + payload[CANCELED_USER_REF.start :]
    return payload


class Relay:
    """Listens on a port of its own and relays each connection to the engine's; a context manager."""

    def __init__(self, engine_port: int) -> None:
        self.changed = 0
        self._engine_port = engine_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._sockets):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            engine = socket.create_connection(("127.0.0.1", self._engine_port))
            self._sockets += [client, engine]
            threading.Thread(target=self._pump, args=(client, engine, b"U", to_engine), daemon=True).start()
            threading.Thread(target=self._pump, args=(engine, client, b"S", to_client), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, kind: bytes, translate: object) -> None:
        buffered = b""
        try:
            while data := source.recv(65536):
                buffered += data
                while len(buffered) >= 2 and len(buffered) >= (size := 2 + struct.unpack_from("!H", buffered)[0]):
                    packet, buffered = buffered[:size], buffered[size:]
                    if packet[2:3] == kind:
                        payload = translate(packet[3:])  # type: ignore[operator]
                        self.changed += payload != packet[3:]
                        packet = struct.pack("!H", len(payload) + 1) + kind + payload
                    target.sendall(packet)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()
