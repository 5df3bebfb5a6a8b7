# SPDX-License-Identifier: GPL-3.0-or-later
"""Order entry over a failover, against a shard of scripted members that lose connections where it hurts most.

The members share one log, as replicas do, and it is all that they share with one another. They know of OUCH what
matters here: a UserRefNum that is used up is ignored, and a request is either in the log or it is not.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from ironbook.errors import CommandError
from ironbook.order_entry import FENCE_EVERY, Endpoint, NoPrimaryError, OrderEntry, Unanswered, endpoint
from ironbook.protocols import ouch50
from ironbook.protocols.soupbintcp import LoginRejectedError, SoupError

SESSION = "2026112900"


class Log:
    """What the shard has sequenced: requests as they came, and their reports."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.reports: list[bytes] = []
        self.next_ref = 1
        self.repeats = 0

    def take(self, message: bytes) -> None:
        """Sequence a request, or ignore it as a repeat."""
        if message[:1] == b"O":
            ref = struct.unpack_from(">I", message, 1)[0]
            if ref < self.next_ref:
                self.repeats += 1
                return
            self.next_ref = ref + 1
            self.reports.append(struct.pack(">cQI", b"A", 1, ref).ljust(64, b"\0"))
        elif message[:1] == b"X" and message not in self.requests:  # superfluous ones have no report
            self.reports.append(struct.pack(">cQIIc", b"C", 1, struct.unpack_from(">I", message, 1)[0], 1, b"U"))
        self.requests.append(message)

    def orders(self) -> list[int]:
        return [struct.unpack_from(">I", message, 1)[0] for message in self.requests if message[:1] == b"O"]


class Member:
    """One engine. `luck` closes connections in the middle of things; `stop` and `start` make it standby and primary."""

    def __init__(self, log: Log, luck: random.Random | None = None, chance: float = 0.0) -> None:
        self.log, self.luck, self.chance = log, luck or random.Random(1), chance
        self.reject = ""
        self.silent = self.deaf = False  # says nothing; sends heartbeats and sequences nothing
        self.delay = 0.0
        self.drops = 0
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self.endpoint = Endpoint("127.0.0.1", self._listener.getsockname()[1])

    def start(self) -> None:
        self._listener.listen()
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            with connection, contextlib.suppress(OSError):
                self._serve(connection)

    def _unlucky(self) -> bool:
        unlucky = self.luck.random() < self.chance
        self.drops += unlucky
        return unlucky

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")

        def read() -> bytes:
            head = stream.read(2)
            return stream.read(struct.unpack(">H", head)[0]) if len(head) == 2 else b""

        def write(kind: bytes, payload: bytes) -> None:
            connection.sendall(struct.pack(">H", len(payload) + 1) + kind + payload)

        login = read()
        sequence = int(login[27:47])
        if self.reject:
            return write(b"J", self.reject.encode())
        if sequence > len(self.log.reports) + 1:
            return write(b"J", b"S")
        sent = sequence - 1 if sequence else len(self.log.reports)
        write(b"A", f"{SESSION:>10}{sent + 1:>20}".encode())
        while True:
            while sent < len(self.log.reports):
                if self._unlucky():
                    return None  # sequenced, and its report is lost
                write(b"S", self.log.reports[sent])
                sent += 1
            packet = read()
            if not packet or packet[:1] == b"O" or self._unlucky():
                return None  # what was just read is lost
            self._deal(packet, write)

    def _deal(self, packet: bytes, write: Callable[[bytes, bytes], None]) -> None:
        time.sleep(self.delay)
        if self.deaf:
            write(b"H", b"")
        elif self.silent:
            pass
        elif packet == b"UQ":
            write(b"U", struct.pack(">cQI", b"Q", 1, self.log.next_ref))
        elif packet[:1] == b"U":
            self.log.take(packet[1:])


@pytest.fixture
def shard() -> Iterator[list[Member]]:
    log = Log()
    members = [Member(log) for _ in range(3)]
    yield members
    for member in members:
        member.stop()


def client(members: list[Member], **more: float) -> OrderEntry:
    return OrderEntry([member.endpoint for member in members], "MAKER1", "secret", **{"patience": 10.0, **more})  # type: ignore[arg-type]


def enter(ref: int) -> bytes:
    return ouch50.enter_order(ref, ouch50.BUY, 1, b"AAPL", 100)


def all_reports(entry: OrderEntry, count: int) -> list[bytes]:
    found: list[bytes] = []
    deadline = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} reports"
        found += entry.receive(0.2)
    return found


# ---- what is unanswered, without a network


def test_a_report_answers_its_request_and_all_that_was_sent_before_it() -> None:
    sent = Unanswered()
    messages = [enter(1), ouch50.cancel_order(1), enter(2), ouch50.cancel_order(2), ouch50.replace_order(2, 3, 1, 1)]
    for message in messages:
        sent.sent(message)
    sent.reported(struct.pack(">cQI", b"A", 1, 2).ljust(64, b"\0"))
    assert sent.again() == messages[3:]
    sent.reported(struct.pack(">cQIIc", b"C", 1, 2, 1, b"U"))  # somebody else may have cancelled it: proves nothing
    assert sent.again() == messages[3:]
    sent.reported(struct.pack(">cQII", b"U", 1, 2, 3).ljust(68, b"\0"))
    assert len(sent) == 0


def test_a_number_that_was_never_sent_here_answers_nothing_behind_it() -> None:
    sent = Unanswered()
    for ref in (5, 6):
        sent.sent(enter(ref))
    sent.reported(struct.pack(">cQIH", b"J", 1, 4, 1).ljust(29, b"\0"))
    assert len(sent) == 2
    sent.used_up(5)
    assert sent.again() == [enter(6)]


def test_an_account_query_answers_for_what_was_sent_before_it() -> None:
    sent = Unanswered()
    sent.sent(ouch50.cancel_order(1))
    sent.asked()
    sent.sent(ouch50.cancel_order(2))
    assert sent.is_asked
    sent.answered()
    assert sent.again() == [ouch50.cancel_order(2)] and not sent.is_asked
    sent.answered()  # one too many changes nothing
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("text", "found"), [("127.0.0.1:80", Endpoint("127.0.0.1", 80)), ("[::1]:9", Endpoint("::1", 9))]
)
def test_an_endpoint_is_host_and_port(text: str, found: Endpoint) -> None:
    assert endpoint(text) == found and str(found) == text


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:0", "host:65536", "host:x", "host:-1"])
def test_what_is_no_endpoint_is_named(text: str) -> None:
    with pytest.raises(CommandError, match="give it as host:port"):
        endpoint(text)


# ---- over the network


def test_the_primary_is_found_among_those_that_refuse(shard: list[Member]) -> None:
    shard[2].start()
    with client(shard) as entry:
        assert entry.peer == str(shard[2].endpoint) and entry.session == SESSION
        entry.send([enter(1)])
        assert len(all_reports(entry, 1)) == 1 and entry.unanswered == 0


def test_after_a_failover_the_stream_goes_on_and_what_was_lost_is_sent_again(shard: list[Member]) -> None:
    shard[0].start()
    told: list[tuple[bool, str]] = []
    with OrderEntry(
        [m.endpoint for m in shard], "MAKER1", "secret", patience=10, tell=lambda *said: told.append(said)
    ) as entry:
        entry.send([enter(1), enter(2)])
        first = all_reports(entry, 2)
        shard[0].silent = True  # reads on and sequences nothing more
        entry.send([enter(3), ouch50.cancel_order(1), enter(4)])
        shard[1].start()
        shard[0].stop()
        later = all_reports(entry, 3)
        assert [*first, *later] == shard[0].log.reports and entry.next_sequence == 6
        assert shard[0].log.orders() == [1, 2, 3, 4] and shard[0].log.repeats == 0
        assert entry.peer == str(shard[1].endpoint) and entry.logins == 2
    assert told[0] == (True, f"logged in at {shard[0].endpoint}, next report 1")
    assert told[1] == (False, f"lost {shard[0].endpoint}: {shard[0].endpoint} closed the connection")
    assert told[-1] == (True, "sending 3 requests again")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_breaks_each_order_is_there_once_and_each_report_comes_once(seed: int) -> None:
    """Connections end before a request, behind it, before its report, and in the middle of the resuming."""
    log, luck = Log(), random.Random(seed)
    members = [Member(log, luck, chance=0.1) for _ in range(2)]
    for member in members:
        member.start()
    received: list[bytes] = []
    try:
        with client(members, patience=20) as entry:
            expected = 0
            for ref in range(1, 150):
                entry.send([enter(ref)] if ref % 3 else [enter(ref), ouch50.cancel_order(ref - 1)])
                received += entry.receive(0)
                if not ref % 40:
                    expected = entry.next_user_ref()
                    assert expected == ref + 1
            entry.next_user_ref()
            while reports := entry.receive(0):
                received += reports
            assert entry.unanswered == 0
    finally:
        for member in members:
            member.stop()
    assert received == log.reports
    assert log.orders() == list(range(1, 150))
    assert Counter(m for m in log.requests if m[:1] == b"X").keys() == {
        ouch50.cancel_order(ref - 1) for ref in range(3, 150, 3)
    }
    assert sum(member.drops for member in members) > 20, "the seed breaks too little to show anything"


def test_a_connection_that_falls_silent_is_given_up(shard: list[Member]) -> None:
    for member in shard[:2]:
        member.start()
    with client(shard, silence=0.3) as entry:
        shard[0].silent = True
        end = time.monotonic() + 8
        while entry.peer == str(shard[0].endpoint):
            assert time.monotonic() < end
            entry.receive(0.05)
        assert entry.peer == str(shard[1].endpoint)


def test_a_venue_that_is_slow_is_not_left(shard: list[Member]) -> None:
    """What counts is the time since something was answered, and since there was something to answer."""
    shard[0].start()
    with client(shard, answer=0.5) as entry:
        shard[0].delay = 0.1
        end = time.monotonic() + 1
        while time.monotonic() < end:
            entry.receive(0.05)
        entry.send([enter(ref) for ref in range(1, 10)])
        for ref in range(10, 20):  # so many wait before it that there is always one that has no answer yet
            entry.send([enter(ref)])
            entry.receive(0.01)
            time.sleep(0.05)
        assert entry.next_user_ref() == 20 and entry.logins == 1


def test_a_question_that_is_not_answered_is_asked_elsewhere(shard: list[Member]) -> None:
    for member in shard[:2]:
        member.start()
    with client(shard, answer=0.3) as entry:
        entry.send([enter(1)])
        all_reports(entry, 1)
        shard[0].deaf = True
        begin = time.monotonic()
        assert entry.next_user_ref() == 2 and time.monotonic() - begin < 5
        assert entry.peer == str(shard[1].endpoint)


def test_a_member_that_answers_nothing_is_left_though_it_lives(shard: list[Member]) -> None:
    """A primary that is cut off from its standbys: heartbeats come, and nothing of what it is sent is durable."""
    for member in shard[:2]:
        member.start()
    told: list[tuple[bool, str]] = []
    places = [member.endpoint for member in shard]
    with OrderEntry(places, "MAKER1", "secret", patience=10, answer=0.4, tell=lambda *said: told.append(said)) as entry:
        shard[0].deaf = True
        entry.send([enter(1), ouch50.cancel_order(1)])
        assert len(all_reports(entry, 2)) == 2
        assert entry.peer == str(shard[1].endpoint) and shard[0].log.orders() == [1]
        assert any("has answered nothing for 0.4 s" in text for _, text in told)
        # The last member that serves goes deaf, too, and hears again only when it has been waited for longer.
        shard[1].deaf = True

        def hear() -> None:
            shard[0].deaf = shard[1].deaf = False

        timer = threading.Timer(1.5, hear)
        timer.start()
        entry.send([enter(2)])
        assert len(all_reports(entry, 1)) == 1
        timer.join()
        assert shard[0].log.orders() == [1, 2] and entry.unanswered == 0
    assert any("has answered nothing for 0.8 s" in text for _, text in told)


def test_a_cancel_that_has_no_report_is_no_reason_to_go(shard: list[Member]) -> None:
    """What changes nothing is not reported; the venue says by Account Query that it has dealt with it."""
    shard[0].start()
    with client(shard, answer=0.4) as entry:
        entry.send([b"X" + bytes(8)])
        end = time.monotonic() + 1
        while time.monotonic() < end:
            entry.receive(0.1)
        assert entry.unanswered == 0 and entry.logins == 1


def test_nobody_there_is_one_line_after_the_stated_time(shard: list[Member]) -> None:
    begin = time.monotonic()
    with pytest.raises(NoPrimaryError) as caught:
        client(shard, patience=0.5)
    assert 0.5 <= time.monotonic() - begin < 3
    said = str(caught.value)
    assert "no primary has served MAKER1 for 0.5 s" in said and "\n" not in said
    assert all(str(member.endpoint) in said for member in shard)


def test_a_failover_that_never_comes_is_one_line_too(shard: list[Member]) -> None:
    shard[0].start()
    with client(shard, patience=0.5) as entry:
        shard[0].stop()
        with pytest.raises(NoPrimaryError, match=r"for 0.5 s"):
            entry.receive(5)


def test_a_wrong_password_is_not_tried_again(shard: list[Member]) -> None:
    shard[1].start()
    shard[1].reject = "A"
    begin = time.monotonic()
    with pytest.raises(LoginRejectedError, match="wrong password"):
        client(shard)
    assert time.monotonic() - begin < 5


def test_a_member_that_lacks_reports_is_never_begun_anew_with(shard: list[Member]) -> None:
    """Acknowledged orders that are gone must not look like a session that goes on."""
    shard[0].start()
    with client(shard, patience=0.5) as entry:
        entry.send([enter(1), enter(2)])
        all_reports(entry, 2)
        shard[1].log = Log()
        shard[1].start()
        shard[0].stop()
        with pytest.raises(NoPrimaryError, match="not available"):
            entry.receive(5)
    assert shard[1].log.requests == []


def test_the_venue_is_asked_what_arrived_before_too_much_is_remembered(shard: list[Member]) -> None:
    shard[0].start()
    with client(shard) as entry:
        for _ in range(FENCE_EVERY + 10):
            entry.send([b"X" + bytes(8)])  # has no number: only the answer to a question tells
        while entry.unanswered > 10:
            entry.receive(0.2)
        assert entry.next_user_ref() == 1 and entry.unanswered == 0


def test_nothing_is_sent_once_the_day_is_over(shard: list[Member]) -> None:
    shard[0].start()
    with client(shard) as entry:
        entry._soup.ended = True
        with pytest.raises(SoupError, match="ended the session"):
            entry.send([enter(1)])
        assert entry.receive(0) == []
