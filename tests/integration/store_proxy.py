# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy between a client and a configuration store that loses, delays and falsifies what a test says.

It speaks HTTP, as both stores do, and knows a write from a read: so that one test does the same to either.
"""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from local_processes import free_port

Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass
class Request:
    """What a client sent, and whether it writes. `forward` sends it on and returns the store's answer."""

    path: str
    headers: dict[str, str]
    body: bytes
    forward: Callable[[], Answer]

    @property
    def writes(self) -> bool:
        """Whether it can change the store."""
        target = self.headers.get("x-amz-target", "")
        return target.endswith(".PutItem") or self.path == "/v3/kv/txn"


@dataclass
class Fault:
    """One thing that the proxy does with requests that `of` chooses; None lets the connection end without an answer."""

    of: Callable[[Request], bool]
    act: Callable[[Request], Answer | None]
    times: int = 1 << 30
    met: int = 0


@dataclass
class Proxy:
    """The proxy's address and what it does. `requests` are all that came, in order."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[Request, Answer]] = field(default_factory=list)  # what the store said, lost or not
    held: threading.Event = field(default_factory=threading.Event)
    landed: threading.Event = field(default_factory=threading.Event)

    def _add(self, of: str, act: Callable[[Request], Answer | None], times: int) -> Fault:
        fault = Fault(lambda request: request.writes == (of == "write"), act, times)
        self.faults.append(fault)
        return fault

    def lose_answers(self, of: str, times: int = 1 << 30) -> Fault:
        """Let requests reach the store, and no answer the client; `landed` is set when one has arrived."""

        def act(request: Request) -> None:
            request.forward()
            self.landed.set()

        return self._add(of, act, times)

    def lose_requests(self, of: str, times: int = 1 << 30) -> Fault:
        """Let requests reach nobody; the connection ends as where an answer is lost."""
        return self._add(of, lambda request: None, times)

    def hold(self, of: str) -> Fault:
        """Keep one request until `held` is set, while the client goes its way; `landed` is set when it has arrived."""

        def act(request: Request) -> None:
            self.held.wait(30)
            request.forward()
            self.landed.set()

        return self._add(of, act, 1)

    def slow(self, of: str, seconds: float, times: int = 1 << 30) -> Fault:
        """Send requests on at once, and their answers late."""

        def act(request: Request) -> Answer:
            answer = request.forward()
            threading.Event().wait(seconds)
            return answer

        return self._add(of, act, times)

    def answer(self, of: str, status: int, body: bytes, times: int = 1 << 30) -> Fault:
        """Answer in the place of the store, which is not asked."""
        return self._add(of, lambda request: (status, [("Content-Type", "application/json")], body), times)

    def replay(self, of: str, answer: Answer) -> Fault:
        """Answer with what the store said at another time."""
        return self._add(of, lambda request: answer, 1 << 30)

    def heal(self) -> None:
        """Do nothing any more."""
        self.faults.clear()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy
    upstream: tuple[str, int]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        request = Request(self.path, headers, body, lambda: self._forward(request))
        self.server.proxy.requests.append(request)
        answer = self._answer(request)
        self.close_connection = True
        if answer is None:
            return
        status, answered, data = answer
        try:
            self.send_response_only(status)
            for name, value in answered:
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            return  # the client did not wait

    def _answer(self, request: Request) -> Answer | None:
        if self.path == "/v3/watch":  # which never ends; the client then looks for itself
            return 501, [], b"{}"
        for fault in self.server.proxy.faults:
            if fault.met < fault.times and fault.of(request):
                fault.met += 1
                return fault.act(request)
        return request.forward()

    def _chunks(self) -> bytes:
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _forward(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(*self.server.upstream, timeout=30)
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}
        }
        try:
            connection.request("POST", self.path, request.body, kept)
            response = connection.getresponse()
            answer = response.status, response.getheaders(), response.read()
            self.server.proxy.answers.append((request, answer))
            return answer
        finally:
            connection.close()


@contextmanager
def store_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy in front of the store at `upstream`."""
    address = urlsplit(upstream)
    port = free_port()
    server = _Server(("127.0.0.1", port), _Handler)
    server.upstream = (address.hostname or "", address.port or 0)
    server.proxy = Proxy(f"http://127.0.0.1:{port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.proxy.held.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def nobody_answers() -> Iterator[str]:
    """The URL of a listener that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", free_port()))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
