# SPDX-License-Identifier: GPL-3.0-or-later
"""Market data on Kinesis: what is packed, what is sent again, and what a checkpoint belongs to."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from core_events import event
from ironbook import publisher, settlement
from ironbook.core.records import EventFlag, EventType, Side
from ironbook.event_log import START, Position, UnnamedInstrumentError
from ironbook.kinesis_codec import (
    AggregatedRecord,
    MarketDataRecord,
    RecordError,
    aggregate,
    deaggregate,
    decode,
    encode,
)
from ironbook.publisher import next_request, put_all
from ironbook.service import Backoff, Stop


class NoWaiting(Backoff):
    """Counts the pauses instead of making them."""

    def __init__(self) -> None:
        super().__init__(Stop())
        self.waits = 0

    def wait(self) -> None:
        self.waits += 1


class FakeKinesis:
    """Refuses what `refuse` says, by record, as PutRecords does, and keeps the rest in the order in which it came."""

    def __init__(self, refuse: dict[bytes, int]) -> None:
        self.refuse = dict(refuse)
        self.requests: list[list[bytes]] = []
        self.streams: dict[str, list[bytes]] = defaultdict(list)

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        assert StreamName == "s"
        assert 0 < len(Records) <= 500
        self.requests.append([record["Data"] for record in Records])
        results = []
        for record in Records:
            if self.refuse.get(record["Data"], 0) > 0:
                self.refuse[record["Data"]] -= 1
                results.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.streams[record["PartitionKey"]].append(record["Data"])
                results.append({"SequenceNumber": "1", "ShardId": "shardId-000000000000"})
        return {"FailedRecordCount": sum("ErrorCode" in result for result in results), "Records": results}


def records(**queues: int) -> dict[str, list[AggregatedRecord]]:
    """Return so many records of each key."""
    return {
        key: [AggregatedRecord(key, f"{key}{number}".encode()) for number in range(count)]
        for key, count in queues.items()
    }


def test_only_what_failed_is_sent_again_and_the_order_of_each_key_stays() -> None:
    client, backoff = FakeKinesis({b"A1": 2, b"B0": 1}), NoWaiting()
    retried = put_all(client, "s", records(A=3, B=2, C=1), backoff, Stop())
    assert client.requests == [
        [b"A0", b"B0", b"C0"],  # B0 is refused
        [b"A1", b"B0"],  # A1 is refused
        [b"A1", b"B1"],  # A1 is refused
        [b"A1"],
        [b"A2"],
    ]
    assert client.streams == {"A": [b"A0", b"A1", b"A2"], "B": [b"B0", b"B1"], "C": [b"C0"]}
    assert (retried, backoff.waits) == (3, 3)


def test_nothing_is_sent_twice_when_nothing_fails() -> None:
    client = FakeKinesis({})
    assert put_all(client, "s", records(A=2, B=1), NoWaiting(), Stop()) == 0
    assert client.requests == [[b"A0", b"B0"], [b"A1"]]


def test_stopping_leaves_the_rest_for_the_next_start() -> None:
    stop = Stop()
    stop.set()
    assert put_all(FakeKinesis({}), "s", records(A=1), NoWaiting(), stop) == -1


def test_a_request_keeps_within_the_limits_of_putrecords() -> None:
    many = records(**{f"K{number}": 1 for number in range(700)})
    assert len(next_request({key: publisher.deque(queue) for key, queue in many.items()})) == 500
    large = {f"K{number}": publisher.deque([AggregatedRecord(f"K{number}", b"x" * 1_000_000)]) for number in range(9)}
    assert sum(len(record.data) for record in next_request(large)) <= 5 * 1024 * 1024


def test_each_public_event_has_a_record_and_others_have_none() -> None:
    common = {"seq": 7, "index": 2, "side": Side.BUY, "price": 10, "quantity": 3, "order_ref": 5, "match_ref": 4}
    kinds: dict[str, dict[str, Any]] = {
        "add": {"type": EventType.RESTED},
        "execute": {"type": EventType.EXECUTED, "flags": EventFlag.RESTING},
        "trade": {"type": EventType.EXECUTED, "flags": EventFlag.INCOMING},
        "cancel": {"type": EventType.CANCELED, "flags": EventFlag.RESTING},
        "replace": {"type": EventType.REPLACED, "flags": EventFlag.RESTING},
    }
    for kind, what in kinds.items():
        record = encode(event(**common, **what), 0, ["AAPL"])
        assert record is not None
        value = decode(record.data)
        assert (value["type"], value["shard"], value["sequence"], value["index"]) == (kind, 0, 7, 2)
        assert (value["symbol"], value["side"], value["price"], value["quantity"]) == ("AAPL", "B", 10, 3)
        assert value.get("match") == (4 if kind in ("execute", "trade") else None)
        assert value.get("replaced") == (4 if kind == "replace" else None)
        assert not {"session", "user_ref", "client_data"} & set(value), "who traded is nobody's business"
    for what in (
        {"type": EventType.ACCEPTED},
        {"type": EventType.REJECTED},
        {"type": EventType.CANCELED, "flags": EventFlag.INCOMING},
        {"type": EventType.END_OF_DAY},
    ):
        assert encode(event(**common, **what), 0, ["AAPL"]) is None
    hidden = EventFlag.HIDDEN
    for what in (
        {"type": EventType.RESTED, "flags": EventFlag.RESTING | hidden},
        {"type": EventType.EXECUTED, "flags": EventFlag.RESTING | hidden},
        {"type": EventType.CANCELED, "flags": EventFlag.RESTING | hidden},
        {"type": EventType.REPLACED, "flags": EventFlag.RESTING | hidden},
        {"type": EventType.MODIFIED, "flags": EventFlag.RESTING | hidden},
        {"type": EventType.MODIFIED, "flags": 0},
        {"type": EventType.RELEASED},
        {"type": EventType.INSTRUMENT},
        {"type": EventType.RISK},
    ):
        assert encode(event(**common, **what), 0, ["AAPL"]) is None, what
    state = encode(event(seq=8, type=EventType.TRADING_STATE, reason=16), 0, ["AAPL"])
    assert state is not None
    assert decode(state.data)["reason"] == 16


def told(**what: Any) -> dict[str, Any]:
    """What is published of an event."""
    record = encode(event(seq=7, index=2, **what), 3, ["AAPL"])
    assert record is not None
    assert record.partition_key == "AAPL"
    value = decode(record.data)
    return {key: value[key] for key in value if key not in ("shard", "sequence", "index", "time_ns", "symbol")}


def test_auctions_icebergs_and_hidden_orders() -> None:
    """Half a match each in a cross; a slice and not the reserve; nothing of a hidden order but that it traded."""
    order = {"side": Side.SELL, "price": 10, "quantity": 3, "order_ref": 5, "match_ref": 4, "remaining": 90}
    cross = EventFlag.RESTING | EventFlag.AUCTION
    assert told(type=EventType.EXECUTED, flags=cross, displayed=7, **order) == {
        "type": "cross", "side": "S", "price": 10, "quantity": 3, "remaining": 7, "order": 5, "match": 4
    }  # fmt: skip
    for flags, kind in ((cross | EventFlag.HIDDEN, "cross"), (EventFlag.INCOMING | EventFlag.HIDDEN, "trade")):
        value = told(type=EventType.EXECUTED, flags=flags, **order)
        assert (value["type"], value["order"], value["remaining"], value["quantity"]) == (kind, 0, 0, 3)
    value = told(type=EventType.REFRESHED, flags=EventFlag.RESTING, displayed=10, **order)
    assert (value["type"], value["remaining"], value["order"], value["replaced"]) == ("refresh", 10, 5, 4)
    assert told(type=EventType.PHASE, phase=4, reason=6) == {"type": "phase", "phase": 4, "reason": 6}
    assert told(type=EventType.INDICATIVE, price=10, quantity=60, remaining=40) == {
        "type": "indicative", "side": "-", "price": 10, "quantity": 60, "surplus": 40
    }  # fmt: skip


def test_an_instrument_that_is_newer_than_the_names_is_no_other() -> None:
    """Its reader has to ask for the names again."""
    with pytest.raises(UnnamedInstrumentError, match="instrument 1, which is newer than the names"):
        encode(event(type=EventType.RESTED, instrument=1), 0, ["AAPL"])


def test_a_modified_order_is_public_as_far_as_it_shrank() -> None:
    """Its side mark is its owner's."""
    order = {"type": EventType.MODIFIED, "flags": EventFlag.RESTING, "side": Side.SELL, "price": 10, "order_ref": 5}
    assert told(quantity=3, remaining=90, **order) == {
        "type": "cancel", "side": "S", "price": 10, "quantity": 3, "remaining": 90, "order": 5
    }  # fmt: skip
    assert encode(event(quantity=0, remaining=90, **order), 3, ["AAPL"]) is None


def test_aggregation_keeps_every_record_in_its_order() -> None:
    sent = [MarketDataRecord(key, b'{"n":%d}' % number) for number in range(3000) for key in ("AAPL", "MSFT")]
    packed = aggregate(sent, size=10_000)
    assert set(packed) == {"AAPL", "MSFT"}
    for key, queue in packed.items():
        assert len(queue) > 2
        assert all(len(record.data) <= 10_000 and record.partition_key == key for record in queue)
        unpacked = [inner for record in queue for inner in deaggregate(record.data, key, "1")]
        assert unpacked == [record for record in sent if record.partition_key == key]


def test_the_library_leaves_the_import_path_as_it_was() -> None:
    for name in [name for name in sys.modules if name.startswith("aws_kinesis_agg")]:
        del sys.modules[name]
    before = list(sys.path)
    aggregate([MarketDataRecord("k", b"{}")])
    assert list(deaggregate(b"plain", "k", "1"))
    assert sys.path == before


def test_a_record_that_is_not_aggregated_is_itself() -> None:
    assert list(deaggregate(b"plain", "k", "1")) == [MarketDataRecord("k", b"plain")]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b'{"shard":0,"sequence":"1","index":0}', b"\xff", pytest.param(b"[" * 100_000, id="deep")],
)
def test_what_is_no_record_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        decode(data)


IDENTITY = {"stream_arn": "arn:aws:kinesis:us-east-1:1:stream/s", "created": "2026-11-21T00:00:00+00:00"}


def config(state: Path) -> settlement.Config:
    database = settlement.Database("h", 1, "u", "d", Path("p"), "disable")
    member = settlement.Member(state, state, ("h", 1))
    return settlement.Config(0, (member,), member, ["AAPL"], [], database, "s", state, {0: ["AAPL"]})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Position(7, 2)),
        ({"created": "2026-11-21T00:00:01+00:00"}, START),
        ({"stream_arn": "arn:aws:kinesis:us-east-1:1:stream/other"}, START),
    ],
)
def test_a_checkpoint_belongs_to_one_stream(tmp_path: Path, change: dict[str, str], expected: Position) -> None:
    made = config(tmp_path)
    assert settlement.publisher_position(made, IDENTITY) == START
    made.publisher_checkpoint.parent.mkdir()
    made.publisher_checkpoint.write_text(json.dumps({**IDENTITY, "shard": 0, "sequence": 7, "index": 2}))
    assert settlement.publisher_position(made, {**IDENTITY, **change}) == expected
