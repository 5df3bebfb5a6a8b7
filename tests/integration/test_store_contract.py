# SPDX-License-Identifier: GPL-3.0-or-later
"""What both configuration stores promise, by the same tests: DynamoDB (emulated) and a real cluster of etcd.

Whatever is lost, late or false on the way goes through a proxy that knows a write from a read.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from integration.etcd_cluster import Cluster, etcd_cluster
from integration.store_proxy import Proxy, nobody_answers, store_proxy
from integration.stores import HASTY, Backend, DynamoDb, Etcd, emulated_dynamodb
from ironbook.store import client
from ironbook.store.client import Conflict, Patience, Store, Unknown, Written
from ironbook.store.errors import (
    InvalidChangeError,
    MalformedItemError,
    NewerFormatError,
    StoreContradictionError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreUnreachableError,
    TwoPrimariesError,
    WrongShardError,
)
from ironbook.store.items import Lease, Record
from ironbook.store.lease import Held, Leases, Taken

MEMBERS = ("engine-0-0", "engine-0-1", "engine-0-2")


@pytest.fixture(scope="module")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulated_dynamodb(tmp_path_factory.mktemp("emulator")) as url:
        yield url


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with etcd_cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture(params=["dynamodb", "etcd"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    if request.param == "dynamodb":
        return DynamoDb(request.getfixturevalue("dynamodb_url"), monkeypatch)
    return Etcd(request.getfixturevalue("cluster"))


@pytest.fixture
def proxy(backend: Backend) -> Iterator[Proxy]:
    with store_proxy(backend.url) as proxy:
        yield proxy


@pytest.fixture
def shard(backend: Backend) -> int:
    return backend.shard()


@pytest.fixture
def first(backend: Backend, shard: int) -> Record:
    """A record in the store, as its creator has it."""
    outcome = backend.open().create(Record.first(shard, MEMBERS[0], MEMBERS, "test"))
    assert isinstance(outcome, Written)
    return outcome.item


class Pauses:
    """A clock that stands still but where somebody sleeps, and then goes on at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def newest(backend: Backend, shard: int) -> Record:
    """What is in the store, read past every proxy."""
    record = backend.open().record(shard)
    assert record is not None
    return record


def taken_over(record: Record, by: str = MEMBERS[1]) -> Record:
    return record.next(by, epoch=record.epoch + 1, primary=by)


# ------------------------------------------------------------------------------------------------ all goes well


def test_a_record_is_created_read_and_replaced(backend: Backend, shard: int) -> None:
    store = backend.open()
    assert store.record(shard) is None
    first = Record.first(shard, MEMBERS[0], (MEMBERS[2], MEMBERS[0], MEMBERS[1]), "test")
    assert store.create(first) == Written(first)
    assert store.record(shard) == first
    assert first.in_sync == MEMBERS and (first.epoch, first.version) == (1, 1)
    second = taken_over(first)
    assert store.replace(first, second) == Written(second)
    third = second.next("test", in_sync=MEMBERS[1:])
    assert backend.open().replace(second, third) == Written(third)  # an item that this client has not read
    assert store.record(shard) == third
    assert (third.epoch, third.primary, third.version) == (2, MEMBERS[1], 3)


def test_a_new_shard_has_no_primary_until_one_takes_the_first_epoch(backend: Backend, shard: int) -> None:
    nobodys = Record.first(shard, "", MEMBERS, "test")
    assert backend.open().create(nobodys) == Written(nobodys)
    assert backend.open().record(shard) == nobodys and (nobodys.epoch, nobodys.primary) == (0, "")
    taken = taken_over(nobodys)
    assert backend.open().replace(nobodys, taken) == Written(taken)


def test_what_is_there_is_not_created_again(backend: Backend, first: Record) -> None:
    outcome = backend.open().create(Record.first(first.shard, MEMBERS[1], MEMBERS, "other"))
    assert outcome == Conflict(first)
    assert newest(backend, first.shard) == first


def test_what_has_changed_is_not_replaced(backend: Backend, first: Record) -> None:
    second = taken_over(first, MEMBERS[1])
    assert isinstance(backend.open().replace(first, second), Written)
    outcome = backend.open().replace(first, taken_over(first, MEMBERS[2]))
    assert outcome == Conflict(second)
    assert newest(backend, first.shard) == second


def test_what_is_not_there_is_not_replaced(backend: Backend, shard: int) -> None:
    never_written = Record.first(shard, MEMBERS[0], MEMBERS, "test")
    assert backend.open().replace(never_written, taken_over(never_written)) == Conflict(None)


def test_an_item_of_the_same_version_is_not_taken_for_the_known_one(backend: Backend, first: Record) -> None:
    """A store that was put back from a copy may have another item of the version that a client knows."""
    forged = replace(first, writer="someone:else", revision=0)
    assert backend.open().replace(forged, taken_over(forged)) == Conflict(first)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"epoch": 0}, "epoch 0, and no other, has nobody"),
        ({"primary": ""}, "epoch 0, and no other, has nobody"),
        ({"primary": MEMBERS[1]}, "a new primary needs a new epoch"),
        ({"epoch": 3, "primary": "engine-0-3", "in_sync": (*MEMBERS, "engine-0-3")}, "was not in sync"),
        ({"in_sync": MEMBERS[1:]}, "is not in_sync"),
        ({"in_sync": ()}, "in_sync has 0 members"),
    ],
)
def test_what_a_record_may_not_be_is_refused_before_anything_is_sent(
    backend: Backend, proxy: Proxy, first: Record, change: dict[str, Any], says: str
) -> None:
    """Whoever made it, by `next` or by hand."""
    with pytest.raises(InvalidChangeError, match=says):
        first.next("test", **change)
    with pytest.raises(InvalidChangeError, match=says):
        backend.open(proxy.url).replace(first, replace(first, **change, version=2, writer="a:b"))
    assert proxy.requests == []


def test_the_epoch_never_goes_back(backend: Backend, proxy: Proxy, first: Record) -> None:
    store = backend.open()
    second = taken_over(first)
    store.replace(first, second)
    with pytest.raises(InvalidChangeError, match="cannot go back to 1"):
        backend.open(proxy.url).replace(second, replace(second, epoch=1, version=3, writer="a:b"))
    assert proxy.requests == []


def test_data_may_be_lost_only_where_that_is_said(backend: Backend, first: Record) -> None:
    stranger = "engine-0-3"
    forced = first.next("operator", epoch=2, primary=stranger, in_sync=(stranger,), allow_data_loss=True)
    with pytest.raises(InvalidChangeError, match="allow_data_loss"):
        backend.open().replace(first, forced)
    assert isinstance(backend.open().replace(first, forced, allow_data_loss=True), Written)


def test_a_change_is_noticed(backend: Backend, first: Record) -> None:
    watcher, writer = backend.open(), backend.open()
    known = watcher.record(first.shard)
    assert watcher.wait_for_change(Record, first.key, known, 0.1) is None
    second = taken_over(first)
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(watcher.wait_for_change, Record, first.key, known, 20.0)
        time.sleep(0.2)
        assert not seen.done()
        writer.replace(first, second)
        written = time.monotonic()
        assert seen.result(30) == second
        assert time.monotonic() - written < 5.0


# ------------------------------------------------------------------------------------------------------- races


@pytest.mark.parametrize("answers", ["arrive", "are lost"])
def test_of_eight_writers_one_wins_each_version(backend: Backend, proxy: Proxy, first: Record, answers: str) -> None:
    """And a read that begins after a write was acknowledged never shows what was before it."""
    if answers == "are lost":
        luck = random.Random(7)
        lock = threading.Lock()

        def unlucky() -> bool:
            with lock:
                return luck.random() < 0.25

        fault = proxy.lose_answers("write")
        fault.of = lambda request: request.writes and unlucky()
    until = first.version + 12
    histories: list[list[_Event]] = [[] for _ in range(8)]
    stores = [backend.open(proxy.url) for _ in histories]
    start = threading.Barrier(len(histories))

    def write(number: int) -> None:
        start.wait()
        known = first
        while known.version < until:
            begin = time.monotonic()
            outcome = stores[number].replace(known, taken_over(known, MEMBERS[number % 3]))
            histories[number].append(_Event(begin, time.monotonic(), outcome))
            if isinstance(outcome, Unknown):
                outcome = stores[number].again(outcome)
            assert not isinstance(outcome, Unknown) and outcome.item is not None
            known = outcome.item

    with ThreadPoolExecutor(len(histories)) as pool:
        list(pool.map(write, range(len(histories))))
    truth = [found for request, answer in proxy.answers if (found := backend.accepted(request, answer))]
    _check(histories, truth, first.version, until)


@dataclass(frozen=True)
class _Event:
    begin: float
    end: float
    outcome: Any


def _check(histories: list[list[_Event]], truth: list[tuple[int, str]], first: int, last: int) -> None:
    """Hold what the clients were told against one sequence of versions: it must have been so for all of them.

    `truth`: version and writer of each write that the store accepted, by what the proxy saw.
    """
    assert sorted(version for version, _ in truth) == list(range(first + 1, last + 1))
    writer_of = dict(truth)
    events = [event for history in histories for event in history]
    winners = [event for event in events if isinstance(event.outcome, Written)]
    assert max(Counter(event.outcome.item.version for event in winners).values()) == 1, "two winners"
    for event in events:
        seen = event.outcome.item
        if not isinstance(event.outcome, Unknown):
            assert writer_of[seen.version] == seen.writer, f"version {seen.version} is not of this writer"
        before = [winner.outcome.item.version for winner in winners if winner.end < event.begin]
        assert seen.version >= max(before, default=first), f"version {seen.version} was shown after {max(before)}"


def test_the_check_of_the_race_finds_two_winners_and_an_old_answer() -> None:
    """Its negative controls."""
    first = Record.first(1, MEMBERS[0], MEMBERS, "test")
    one, other = first.next("a"), first.next("b")
    third = one.next("a")
    truth = [(2, one.writer), (3, third.writer)]
    sound = [_Event(0, 1, Written(one)), _Event(2, 3, Written(third))]
    _check([sound, [_Event(0, 1, Conflict(one))]], truth, 1, 3)
    with pytest.raises(AssertionError, match="two winners"):
        _check([sound, [_Event(0, 1, Written(one))]], truth, 1, 3)
    with pytest.raises(AssertionError, match="is not of this writer"):
        _check([sound[1:], [_Event(0, 1, Written(other))]], truth, 1, 3)
    with pytest.raises(AssertionError, match="was shown after 3"):
        _check([sound, [_Event(4, 5, Conflict(one))]], truth, 1, 3)
    with pytest.raises(AssertionError):
        _check([sound], [*truth, (2, other.writer)], 1, 3)


# ----------------------------------------------------------------------------------------- lost, late and refused


def test_a_lost_answer_is_found_out_by_sending_the_same_again(backend: Backend, proxy: Proxy, first: Record) -> None:
    proxy.lose_answers("write", times=1)
    second = taken_over(first)
    assert backend.open(proxy.url).replace(first, second) == Written(second)
    assert sum(request.writes for request in proxy.requests) == 2
    assert newest(backend, first.shard) == second


def test_the_answer_is_lost_but_the_write_happened(backend: Backend, proxy: Proxy, first: Record) -> None:
    proxy.lose_answers("write")
    second = taken_over(first)
    store = backend.open(proxy.url, HASTY)
    outcome = store.replace(first, second)
    assert isinstance(outcome, Unknown) and outcome.item == second and outcome.reason
    assert proxy.landed.wait(30)  # its sender does not wait for that
    assert newest(backend, first.shard) == second
    assert backend.open().resolve(outcome) == Written(second)
    proxy.heal()
    assert backend.open().again(outcome) == Written(second)


def test_the_answer_is_lost_and_nothing_happened(backend: Backend, proxy: Proxy, first: Record) -> None:
    """What has not changed may still change: reading does not make it certain, sending it again does."""
    proxy.lose_requests("write")
    second = taken_over(first)
    store = backend.open(proxy.url, HASTY)
    outcome = store.replace(first, second)
    assert isinstance(outcome, Unknown)
    assert backend.open().resolve(outcome) == outcome
    assert newest(backend, first.shard) == first
    proxy.heal()
    assert backend.open().again(outcome) == Written(second)


def test_the_answer_is_lost_and_somebody_else_was_faster(backend: Backend, proxy: Proxy, first: Record) -> None:
    proxy.lose_requests("write")
    store = backend.open(proxy.url, HASTY)
    outcome = store.replace(first, taken_over(first, MEMBERS[1]))
    assert isinstance(outcome, Unknown)
    others = taken_over(first, MEMBERS[2])
    assert isinstance(backend.open().replace(first, others), Written)
    assert backend.open().resolve(outcome) == Conflict(others)
    proxy.heal()
    assert backend.open().again(outcome) == Conflict(others)


def test_a_write_that_is_delayed_past_a_later_one_changes_nothing(
    backend: Backend, proxy: Proxy, first: Record
) -> None:
    proxy.hold("write")
    proxy.lose_requests("write")  # what is sent after the one that is held
    store = backend.open(proxy.url, HASTY)
    outcome = store.replace(first, taken_over(first, MEMBERS[1]))
    assert isinstance(outcome, Unknown)
    assert backend.open().resolve(outcome) == outcome  # rightly: it is still on its way
    later = taken_over(first, MEMBERS[2])
    assert isinstance(backend.open().replace(first, later), Written)
    proxy.held.set()
    assert proxy.landed.wait(10)
    assert newest(backend, first.shard) == later
    assert backend.open().resolve(outcome) == Conflict(later)


def test_a_delayed_write_that_lands_first_is_known_again(backend: Backend, proxy: Proxy, first: Record) -> None:
    """The other way round: it comes after its sender gave up, and before anybody else's."""
    proxy.hold("write")
    proxy.lose_requests("write")
    store = backend.open(proxy.url, HASTY)
    second = taken_over(first)
    outcome = store.replace(first, second)
    assert isinstance(outcome, Unknown)
    proxy.held.set()
    assert proxy.landed.wait(10)
    assert backend.open().resolve(outcome) == Written(second)


@pytest.mark.parametrize("of", ["write", "read"])
def test_a_store_that_fails_once_is_asked_again(backend: Backend, proxy: Proxy, first: Record, of: str) -> None:
    for fault in (backend.fails, backend.throttles):
        proxy.answer(of, *fault, times=1)
    store = backend.open(proxy.url)
    second = taken_over(first)
    assert store.replace(first, second) == Written(second)
    assert store.record(first.shard) == second


def test_a_store_that_fails_leaves_a_write_unknown(backend: Backend, proxy: Proxy, first: Record) -> None:
    proxy.answer("write", *backend.fails)
    assert isinstance(backend.open(proxy.url, HASTY).replace(first, taken_over(first)), Unknown)
    proxy.heal()
    proxy.answer("read", *backend.fails)
    with pytest.raises(StoreUnreachableError):
        backend.open(proxy.url, HASTY).record(first.shard)


@pytest.mark.parametrize("of", ["write", "read"])
def test_a_throttled_store_is_named_so(
    backend: Backend, proxy: Proxy, first: Record, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    """Its pauses, and they alone, take up its time: however slow this machine is, no try is cut short."""
    proxy.answer(of, *backend.throttles)
    store = backend.open(proxy.url, Patience(request=20.0, total=25.0))
    monkeypatch.setattr(client, "time", Pauses())
    with pytest.raises(StoreThrottledError):
        store.replace(first, taken_over(first)) if of == "write" else store.record(first.shard)
    assert len(proxy.requests) > 40  # pauses of up to half a second; it did not give up before its time


@pytest.mark.parametrize("of", ["write", "read"])
def test_a_refusal_names_action_and_place(backend: Backend, proxy: Proxy, first: Record, of: str) -> None:
    proxy.answer(of, *backend.denies)
    store = backend.open(proxy.url)
    place = "GetItem on ironbook-configuration" if isinstance(backend, DynamoDb) else f"read /ironbook/{first.key}"
    if of == "write":
        place = place.replace("Get", "Put").replace("read", "write")
    with pytest.raises(StoreDeniedError, match=place) as denied:
        store.replace(first, taken_over(first)) if of == "write" else store.record(first.shard)
    assert "\n" not in str(denied.value)
    assert len(proxy.requests) == 1  # waiting does not help


def test_a_write_that_is_in_doubt_stays_so_when_the_next_try_is_denied(
    backend: Backend, proxy: Proxy, first: Record
) -> None:
    proxy.lose_answers("write", times=1)
    proxy.answer("write", *backend.denies)
    second = taken_over(first)
    outcome = backend.open(proxy.url).replace(first, second)
    assert isinstance(outcome, Unknown)
    assert newest(backend, first.shard) == second


@pytest.mark.parametrize("body", [b"", b"<html>Login</html>", b"{}", b"[]", b'{"Item": {}}'])
def test_what_answers_and_is_no_store_is_not_believed(
    backend: Backend, proxy: Proxy, first: Record, body: bytes
) -> None:
    """A status of 200 alone is neither a write nor a missing record."""
    proxy.answer("write", 200, body)
    assert isinstance(backend.open(proxy.url, Patience(0.4, 0.4)).replace(first, taken_over(first)), Unknown)
    proxy.answer("read", 200, body)
    with pytest.raises(StoreUnreachableError):
        backend.open(proxy.url, Patience(0.4, 0.4)).record(first.shard)


def test_a_silent_store_is_not_waited_for_longer_than_was_said(backend: Backend, first: Record) -> None:
    with nobody_answers() as url:
        store = backend.open(url, HASTY)
        begin = time.monotonic()
        with pytest.raises(StoreUnreachableError):
            store.record(first.shard)
        outcome = store.replace(first, taken_over(first))
        assert isinstance(outcome, Unknown)
        assert time.monotonic() - begin < 2 * (HASTY.total + HASTY.request) + 1


def test_a_store_that_is_down_is_said_to_be_and_nothing_is_in_doubt(backend: Backend, first: Record) -> None:
    """No connection, no write: that is certain."""
    with store_proxy(backend.url) as proxy:
        store = backend.open(proxy.url, HASTY)
    with pytest.raises(StoreUnreachableError, match=r"cannot be reached"):
        store.record(first.shard)
    with pytest.raises(StoreUnreachableError, match=r"cannot be reached"):
        store.replace(first, taken_over(first))


# ---------------------------------------------------------------------------------------------- a store that lies


def test_an_older_version_is_not_believed(backend: Backend, proxy: Proxy, first: Record) -> None:
    store = backend.open(proxy.url)
    assert store.record(first.shard) == first
    old = proxy.requests[-1].forward()
    second = taken_over(first)
    assert isinstance(store.replace(first, second), Written)
    proxy.replay("read", old)
    with pytest.raises(StoreContradictionError, match=r"answers version 1 of .* where version 2 was before"):
        store.record(first.shard)


def test_a_record_that_is_gone_is_not_believed(backend: Backend, proxy: Proxy, first: Record) -> None:
    store = backend.open(proxy.url)
    store.record(first.shard)
    assert backend.open(proxy.url).record(0) is None
    proxy.replay("read", proxy.requests[-1].forward())
    with pytest.raises(StoreContradictionError, match="has nothing at"):
        store.record(first.shard)


def test_another_record_of_the_same_version_is_not_believed(backend: Backend, first: Record) -> None:
    store = backend.open()
    store.record(first.shard)
    backend.put_raw(first.key, first.document() | {"writer": "someone:else"})
    with pytest.raises(StoreContradictionError, match="another version 1"):
        store.record(first.shard)


def test_a_conflict_with_the_very_record_that_was_expected_is_not_believed(
    backend: Backend, proxy: Proxy, first: Record
) -> None:
    store = backend.open(proxy.url)
    assert isinstance(backend.open(proxy.url).create(Record.first(first.shard, MEMBERS[0], MEMBERS, "x")), Conflict)
    proxy.replay("write", proxy.requests[-1].forward())
    with pytest.raises(StoreContradictionError, match="which it says is there"):
        store.replace(first, taken_over(first))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"epoch": None}, MalformedItemError, "epoch is missing"),
        ({"epoch": "two"}, MalformedItemError, "epoch is 'two'"),
        ({"epoch": 0}, MalformedItemError, "epoch 0, and no other, has nobody"),
        ({"primary": ""}, MalformedItemError, "epoch 0, and no other, has nobody"),
        ({"version": -1}, MalformedItemError, "version is -1"),
        ({"in_sync": "engine-0-0"}, MalformedItemError, "a list of names"),
        ({"in_sync": ["engine-0-1", "engine-0-0"]}, MalformedItemError, "is not sorted"),
        ({"in_sync": ["engine-0-0", "engine-0-0"]}, MalformedItemError, "names one twice"),
        ({"in_sync": ["engine-0-1"]}, MalformedItemError, "is not in_sync"),
        ({"in_sync": []}, MalformedItemError, "0 members"),
        ({"primary": "ENGINE 0"}, MalformedItemError, "primary is 'ENGINE 0'"),
        ({"primary": ["engine-0-0", "engine-0-1"]}, TwoPrimariesError, "names 2 primaries"),
        ({"standby": "engine-0-1"}, MalformedItemError, "'standby' is no key"),
        ({"shard": 0}, WrongShardError, "says that it is of shard 0"),
        ({"format": 2}, NewerFormatError, "was written by a newer build"),
        ({"format": 2, "quorum": 5, "epoch": None}, NewerFormatError, "was written by a newer build"),
        ({"format": 0}, MalformedItemError, "format is 0"),
    ],
)
def test_what_is_no_record_of_this_shard_is_refused(
    backend: Backend, shard: int, change: dict[str, Any], error: type[StoreError], says: str
) -> None:
    """By a reader, and by a writer whom it meets as a conflict."""
    sound = Record.first(shard, MEMBERS[0], MEMBERS, "test").document()
    document = {name: value for name, value in (sound | change).items() if value is not None}
    backend.put_raw(Record.key_of(shard), document)
    with pytest.raises(error, match=says) as refused:
        backend.open().record(shard)
    assert "\n" not in str(refused.value) and f"shard/{shard}" in str(refused.value)
    with pytest.raises(error, match=says):
        backend.open().create(Record.first(shard, MEMBERS[0], MEMBERS, "test"))


# ------------------------------------------------------------------------------------------------------- leases


def test_a_lease_is_one_holders_until_it_is_given_back(backend: Backend, shard: int) -> None:
    name = f"failover-{shard}"
    one, other = Leases(backend.open(), "alice"), Leases(backend.open(), "bob")
    held = one.acquire(name, 5.0, "fail_over by alice")
    assert isinstance(held, Held) and one.is_sure(held)
    taken = other.acquire(name, 5.0, "fail_over by bob")
    assert isinstance(taken, Taken) and taken.lease.purpose == "fail_over by alice"
    renewed = one.renew(held)
    assert isinstance(renewed, Held) and renewed.lease.counter == held.lease.counter + 1
    assert isinstance(other.acquire(name, 5.0, "fail_over by bob"), Taken)
    one.release(renewed)
    assert isinstance(other.acquire(name, 5.0, "fail_over by bob"), Held)
    assert isinstance(one.renew(renewed), Taken)


def test_a_lease_that_stays_the_same_for_its_term_can_be_taken(backend: Backend, shard: int) -> None:
    name = f"primary-{shard}"
    dead, waiting = Leases(backend.open(), "dead"), Leases(backend.open(), "waiting")
    held = dead.acquire(name, 0.6, "primary")
    assert isinstance(held, Held)
    begin = time.monotonic()
    while isinstance(found := waiting.acquire(name, 0.6, "primary"), Taken):
        assert time.monotonic() - begin < 5
        time.sleep(0.05)
    assert time.monotonic() - begin >= 0.6
    assert not dead.is_sure(held)  # it knew before anybody could take it
    assert found.lease.counter == held.lease.counter + 1
    assert isinstance(dead.renew(held), Taken)


def test_of_eight_one_gets_the_lease(backend: Backend, shard: int) -> None:
    every = [Leases(backend.open(), f"operator{number}") for number in range(8)]
    with ThreadPoolExecutor(len(every)) as pool:
        results = list(pool.map(lambda one: one.acquire(f"drill-{shard}", 30.0, "drill"), every))
    assert sum(isinstance(result, Held) for result in results) == 1
    store: Store = backend.open()
    lease = store.read(Lease, Lease.key_of(f"drill-{shard}"))
    assert lease is not None and lease.counter == 1
