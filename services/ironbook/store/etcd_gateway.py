# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's JSON gateway by http.client alone: one request to one member, TLS and a user where they are wanted.

It knows whether a request can have arrived: `NotSentError` says that it cannot. After any failure the next call goes to
the next member of the list. Nothing is sent a second time here, but after `invalid auth token`, which is refused before
anything is done. Answers are bounded in time and size.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ironbook.service import read_secret

ANSWER_BYTES_MAX = 1 << 20
_UNAUTHENTICATED = 16
_READ_BYTES = 1 << 16


class NotSentError(Exception):
    """No connection was made: nothing was asked."""


class GatewayError(Exception):
    """A member reports an error (`code`, as gRPC has it), or its answer is lost (`code` None)."""

    def __init__(self, text: str, code: int | None = None, status: int = 0) -> None:
        """`status`: of HTTP; 0 where there was none."""
        super().__init__(" ".join(text.split())[:300])
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Login:
    """A user of etcd; the password stays in its file until it is asked for."""

    user: str
    password_file: Path


class Gateway:
    """The members of one cluster, by their client URLs (http://host:port or https://host:port)."""

    def __init__(self, endpoints: Sequence[str], tls: ssl.SSLContext | None = None, login: Login | None = None) -> None:
        """`tls`: for https; None is the system's trust. Nothing is connected yet."""
        self.endpoints = tuple(endpoints)
        self._tls = tls
        self._login = login
        self._token = ""
        self._next = 0

    def call(self, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Ask one member. Raises NotSentError or GatewayError."""
        end = time.monotonic() + seconds
        try:
            return self._asked(path, body, end)
        except GatewayError as error:
            if error.code != _UNAUTHENTICATED or not self._login:
                raise
            self._token = ""  # it has expired, or the member was started again: log in anew, once
            return self._asked(path, body, end)

    def watch(self, key: str, revision: int, seconds: float) -> bool:
        """Wait for a change of `key` (base64) from `revision` on; True where one came, or the time is over.

        False where this member cannot watch now: the caller looks for itself.
        """
        end = time.monotonic() + seconds
        request = {"create_request": {"key": key, "start_revision": str(revision)}}
        connection = None
        try:
            connection, response = self._send("/v3/watch", request, end, self._token_header(end))
            if response.status != http.client.OK:
                self._turn()
                return False
            while (left := end - time.monotonic()) > 0:
                _set_timeout(connection, left)
                line = response.readline(ANSWER_BYTES_MAX)
                result = json.loads(line).get("result", {}) if line else {}
                if not line or result.get("canceled"):
                    return False
                if result.get("events"):
                    return True
            return True
        except TimeoutError:
            return True
        except (OSError, http.client.HTTPException, ValueError, AttributeError, NotSentError, GatewayError):
            self._turn()
            return False
        finally:
            if connection is not None:
                connection.close()

    def _asked(self, path: str, body: Mapping[str, Any], end: float) -> dict[str, Any]:
        return self._exchange(path, body, end, self._token_header(end))

    def _token_header(self, end: float) -> dict[str, str]:
        if not self._login:
            return {}
        if not self._token:
            credentials = {"name": self._login.user, "password": read_secret(self._login.password_file)}
            try:
                answer = self._exchange("/v3/auth/authenticate", credentials, end, {})
            except GatewayError as error:
                if error.code is None:  # lost, and with it nothing but the login
                    raise NotSentError(f"no login: {error}") from error
                raise
            self._token = str(answer.get("token", ""))
        return {"Authorization": self._token}

    def _exchange(self, path: str, body: Mapping[str, Any], end: float, headers: dict[str, str]) -> dict[str, Any]:
        connection = None
        try:
            connection, response = self._send(path, body, end, headers)
            data = _read(connection, response, end)
        except NotSentError:
            self._turn()
            raise
        except (OSError, http.client.HTTPException) as error:
            self._turn()
            raise GatewayError(f"the answer was lost: {type(error).__name__} {error}") from error
        finally:
            if connection is not None:
                connection.close()
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            self._turn()
            raise GatewayError(f"what answered is not etcd: {data[:100]!r}", None, response.status)
        if response.status != http.client.OK:
            self._turn()
            code = answer.get("code")
            text = str(answer.get("error") or answer.get("message") or answer)
            raise GatewayError(text, code if type(code) is int else None, response.status)
        return answer

    def _send(
        self, path: str, body: Mapping[str, Any], end: float, headers: dict[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        endpoint = self.endpoints[self._next]
        address = urlsplit(endpoint)
        timeout = max(0.001, end - time.monotonic())
        connection: http.client.HTTPConnection
        if address.scheme == "https":
            context = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                address.hostname or "", address.port or 443, timeout=timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=timeout)
        try:
            connection.connect()
        except OSError as error:  # ssl.SSLError too: nothing was asked before the handshake was done
            connection.close()
            raise NotSentError(f"{endpoint}: {error.strerror or error}") from error
        try:
            _set_timeout(connection, end - time.monotonic())
            connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _turn(self) -> None:
        self._next = (self._next + 1) % len(self.endpoints)


def _read(connection: http.client.HTTPConnection, response: http.client.HTTPResponse, end: float) -> bytes:
    """Read an answer to its end; TimeoutError where it takes longer, HTTPException where it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        _set_timeout(connection, left)
        part = response.read1(_READ_BYTES)
        if not part:
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise http.client.HTTPException(f"an answer of more than {ANSWER_BYTES_MAX} bytes")


def _set_timeout(connection: http.client.HTTPConnection, seconds: float) -> None:
    """For the next operation of its socket; none is left where the answer was read and the server closes."""
    sock: socket.socket | None = connection.sock
    if sock is not None:
        sock.settimeout(max(0.001, seconds))
