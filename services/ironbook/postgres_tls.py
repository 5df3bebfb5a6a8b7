# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook postgres tls`: the endpoint of the local PostgreSQL, as RDS offers it: by TLS, and by nothing else.

PostgreSQL's build of the local site has no TLS.  This takes its clients on 127.0.0.1, answers their SSLRequest
(PostgreSQL 16 documentation, "Message Flow", 55.2.10 "SSL Session Encryption"), and hands what they say to its Unix
socket.  One who does not ask for TLS is refused in the words of a server with `hostssl` lines alone, as RDS does with
rds.force_ssl = 1, the default since its PostgreSQL 15.  A CancelRequest is taken either way.

PostgreSQL sees no TLS of its own: SCRAM goes without channel binding, and pg_stat_ssl says nothing.

The certificate is for 127.0.0.1 and localhost, by an authority that signs this one and is forgotten: its key is never
written.  Whoever has the authority's file may verify whom it talks to (sslmode=verify-full).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

from ironbook.loopback import HOST
from ironbook.site_directory import write

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_STARTUP_BYTES_MAX = 10000  # MAX_STARTUP_PACKET_LENGTH
_SECONDS = 10.0  # for what comes before the session, of which PostgreSQL's authentication_timeout knows nothing
_CHUNK = 65536
_DAYS = 3650
_HEADER = struct.Struct("!II")


def add_parser(actions: Any) -> None:
    """Add `ironbook postgres tls` to the command line."""
    parser = actions.add_parser("tls", help="offer a PostgreSQL that has only a Unix socket on 127.0.0.1, by TLS")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--socket", type=Path, required=True, help="PostgreSQL's socket, .s.PGSQL.<its port>")
    parser.add_argument("--certificate-file", type=Path, required=True, help="certificate and key, made once")
    parser.add_argument("--authority-file", type=Path, required=True, help="who has signed it, made with it")
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    make_certificate(arguments.certificate_file, arguments.authority_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate_file)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.port, _Front(context, arguments.socket)))
    return 0


# ------------------------------------------------------------------------------------------ certificate


def make_certificate(certificate_file: Path, authority_file: Path) -> None:
    """Make both files, once; the certificate's last, so that it lies beside the authority that signed it."""
    if certificate_file.exists() and authority_file.exists():
        return
    from cryptography import x509  # noqa: PLC0415 - a third of a second that `postgres run` need not wait
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    now = datetime.datetime.now(datetime.UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def signed(subject: str, public_key: Any, extensions: list[tuple[Any, bool]]) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=named("Ironbook local site"),
            subject_name=named(subject),
            public_key=public_key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(hours=1),
            not_valid_after=now + datetime.timedelta(days=_DAYS),
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(authority_key, hashes.SHA256())

    places = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")]
    authority = signed(
        "Ironbook local site",
        authority_key.public_key(),
        [(x509.BasicConstraints(ca=True, path_length=0), True)],
    )
    certificate = signed(
        HOST,
        key.public_key(),
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectAlternativeName(places), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        ],
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate_file.unlink(missing_ok=True)
    for path in (authority_file, certificate_file):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(authority_file, authority.public_bytes(pem).decode())
    write(certificate_file, (key.private_bytes(pem, *plain) + certificate.public_bytes(pem)).decode())


# ---------------------------------------------------------------------------------------- connections


async def _serve(port: int, front: _Front) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    with socket.create_server((HOST, port), backlog=128) as listener:
        listener.setblocking(False)
        print(f"postgres tls: {HOST}:{port}, before {front.socket}", flush=True)
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            task = asyncio.create_task(front.serve(client))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Front:
    """What becomes of a connection."""

    def __init__(self, context: ssl.SSLContext, path: Path) -> None:
        """`path`: PostgreSQL's socket."""
        self.context = context
        self.socket = path

    async def serve(self, client: socket.socket) -> None:
        """Serve one client to its end; what breaks ends its connection and nothing else."""
        with client, contextlib.suppress(OSError):
            async with asyncio.timeout(_SECONDS):
                session = await self._begin(client)
            if session:
                await _relay(*session)

    async def _begin(self, client: socket.socket) -> tuple[_Stream, _Stream] | None:
        """Return both sides of a session that is encrypted; None where there is to be none."""
        loop = asyncio.get_running_loop()
        while True:
            # No byte more than the request: what a client sends behind it in clear text must not count as encrypted.
            length, code = _HEADER.unpack(await _exactly(client, _HEADER.size))
            if code != _GSS_REQUEST:
                break
            await loop.sock_sendall(client, b"N")
        if code == _SSL_REQUEST:
            server = await asyncio.open_unix_connection(self.socket)  # before a word: where it is down, nobody answers
            try:
                await loop.sock_sendall(client, b"S")
                return await self._encrypted(client), server
            except BaseException:
                server[1].close()
                raise
        if not _HEADER.size <= length <= _STARTUP_BYTES_MAX:
            return None
        rest = await _exactly(client, length - _HEADER.size)
        if code == _CANCEL_REQUEST:
            reader, writer = await asyncio.open_unix_connection(self.socket)
            writer.write(_HEADER.pack(length, code) + rest)
            await reader.read()
            writer.close()
        else:
            await loop.sock_sendall(client, refusal(rest))
        return None

    async def _encrypted(self, client: socket.socket) -> _Stream:
        """Shake hands; the socket is asyncio's from here on."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        own = socket.socket(fileno=client.detach())
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, own, ssl=self.context)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _exactly(client: socket.socket, count: int) -> bytes:
    """Return the next bytes of a socket, never more."""
    received = b""
    while len(received) < count:
        more = await asyncio.get_running_loop().sock_recv(client, count - len(received))
        if not more:
            raise ConnectionResetError("it has ended")
        received += more
    return received


def refusal(parameters: bytes) -> bytes:
    """Return the ErrorResponse to a StartupMessage in clear text, whose parameters these are."""
    words = parameters.split(b"\0")
    said = dict(zip(words[::2], words[1::2], strict=False))
    user = said.get(b"user", b"")
    text = b'no pg_hba.conf entry for host "%s", user "%s", database "%s", no encryption' % (
        HOST.encode(), user, said.get(b"database") or user,
    )  # fmt: skip
    fields = b"".join(kind + value + b"\0" for kind, value in
                      ((b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", b"28000"), (b"M", text)))  # fmt: skip
    return b"E" + struct.pack("!I", 4 + len(fields) + 1) + fields + b"\0"


async def _relay(client: _Stream, server: _Stream) -> None:
    """Hand each side what the other says, until one of them has ended."""
    ways = [asyncio.create_task(_pass(client[0], server[1])), asyncio.create_task(_pass(server[0], client[1]))]
    _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in left:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    for _, writer in (server, client):
        writer.close()
    for _, writer in (server, client):
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
