# SPDX-License-Identifier: GPL-3.0-or-later
"""Market data as it lies on the Kinesis stream: one JSON object for each change of the book and each trade.

    {"shard":0,"sequence":7,"index":2,"time_ns":…,"type":"trade","symbol":"AAPL","side":"B","price":5853300,
     "quantity":100,"remaining":0,"order":12,"match":3}

Prices are in units of 10^-4. (shard, sequence, index) identifies a record: who reads one twice drops the second, and
who wants the venue's order sorts by them. What would tell who traded (sessions, clients' numbers) is not in it.

| type    | what it says |
|---------|---|
| add     | the order stands in the book with `remaining` |
| execute | a resting order was executed: `quantity` leaves the book, `remaining` stays |
| trade   | the match itself, once: `side` is the incoming order's |
| cancel  | `quantity` of a resting order was taken off, `remaining` stays |
| replace | resting order `replaced` is now `order`; where it loses its place, it leaves the book and an `add` follows |
| cross   | half a match of an auction: `side` is this order's; both orders stood, and each match has two of them |
| refresh | iceberg `replaced` shows its next slice as `order`, behind the others at its price |
| state   | trading was halted or goes on: `reason` |
| phase   | the instrument's phase: `phase` as enum ib_phase has it, `reason` |
| indicative | what its auction would give now: `price`, `quantity`, `surplus`, and its `side` (B, S, or - for none) |

What the book does not show is not told: a hidden order has no add, execute, cancel or replace, and in a cross or trade
it is order 0; `remaining` of an iceberg is what of its slice stands. Once a slice is gone, `remaining` is the whole
reserve until the refresh that follows within the same sequence.

Many are packed into one Kinesis record by the format of the Kinesis Producer Library (aws-kinesis-agg), since a
shard takes 1,000 records and 1 MB each second. The partition key is the symbol.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ironbook.core.records import Event, EventFlag, EventType, Side
from ironbook.event_log import UnnamedInstrumentError

# A shard takes 1 MB/s: four of these in a second. Smaller ones would pay for more requests, larger ones be throttled
# more often. AWS allows 1 MiB unless the stream's MaxRecordSize is raised.
AGGREGATED_BYTES = 256 * 1024
_ALL = "ALL"  # partition key of what concerns every symbol


class MarketDataRecord(NamedTuple):
    """One JSON object and where it goes."""

    partition_key: str
    data: bytes


class AggregatedRecord(NamedTuple):
    """One Kinesis record: many market data records of one partition key."""

    partition_key: str
    data: bytes
    explicit_hash_key: str | None = None


class RecordError(Exception):
    """What is on the stream is no market data of ours."""


# By (type of event, whether the order rested); events that are not here concern their owner only.
_TYPES = {
    (int(EventType.RESTED), 0): "add",
    (int(EventType.RESTED), 1): "add",
    (int(EventType.EXECUTED), 1): "execute",
    (int(EventType.EXECUTED), 0): "trade",
    (int(EventType.CANCELED), 1): "cancel",
    (int(EventType.MODIFIED), 1): "cancel",  # of a part; without one, only its owner is concerned
    (int(EventType.REPLACED), 1): "replace",
    (int(EventType.REFRESHED), 0): "refresh",
    (int(EventType.REFRESHED), 1): "refresh",
    (int(EventType.TRADING_STATE), 0): "state",
    (int(EventType.PHASE), 0): "phase",
    (int(EventType.INDICATIVE), 0): "indicative",
}
_RESTING, _AUCTION, _HIDDEN = int(EventFlag.RESTING), int(EventFlag.AUCTION), int(EventFlag.HIDDEN)
_SIDES = {0: "-", int(Side.BUY): "B", int(Side.SELL): "S"}
_REFERENCES = {"execute": "match", "trade": "match", "cross": "match", "replace": "replaced", "refresh": "replaced"}


def encode(event: Event, shard: int, symbols: Sequence[str]) -> MarketDataRecord | None:
    """Return the record of an event; None where it is nobody's but its owner's. The same event gives the same bytes.

    `symbols` by the engine's numbers; UnnamedInstrumentError where it is newer than they are.
    """
    kind = _TYPES.get((event.type, event.flags & _RESTING))
    if kind is None:
        return None
    hidden = event.flags & _HIDDEN
    if kind == "execute" and event.flags & _AUCTION:
        kind = "cross"
    elif (hidden and kind != "trade") or (kind == "cancel" and event.quantity == 0):
        return None
    head = f'{{"shard":{shard},"sequence":{event.seq},"index":{event.index},"time_ns":{event.time_ns},"type":"{kind}"'
    if kind == "state":
        return MarketDataRecord(_ALL, f'{head},"reason":{event.reason}}}'.encode("ascii"))
    if event.instrument >= len(symbols):
        raise UnnamedInstrumentError(
            f"event ({event.seq}, {event.index}) is of instrument {event.instrument}, which is newer than the names "
            "that were asked for"
        )
    symbol = symbols[event.instrument]
    if kind == "phase":
        text = f'{head},"symbol":"{symbol}","phase":{event.phase},"reason":{event.reason}}}'
    elif kind == "indicative":
        text = (
            f'{head},"symbol":"{symbol}","side":"{_SIDES[event.side]}","price":{event.price},'
            f'"quantity":{event.quantity},"surplus":{event.remaining}}}'
        )
    else:
        reference = _REFERENCES.get(kind)
        last = f',"{reference}":{event.match_ref}' if reference else ""
        order, remaining = (0, 0) if hidden else (event.order_ref, event.displayed or event.remaining)
        text = (
            f'{head},"symbol":"{symbol}","side":"{_SIDES[event.side]}","price":{event.price},'
            f'"quantity":{event.quantity},"remaining":{remaining},"order":{order}{last}}}'
        )
    return MarketDataRecord(symbol, text.encode("ascii"))


def encode_all(events: Iterable[Event], shard: int, symbols: Sequence[str]) -> Iterator[MarketDataRecord]:
    """Yield the records of those events that have one."""
    for event in events:
        record = encode(event, shard, symbols)
        if record is not None:
            yield record


def decode(data: bytes) -> dict[str, Any]:
    """Return the object in a market data record; RecordError if it is none."""
    try:
        value = json.loads(data)
        identity = (value["shard"], value["sequence"], value["index"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RecordError(f"{data[:60]!r} is no market data record") from error
    if not all(isinstance(number, int) for number in identity):
        raise RecordError(f"{data[:60]!r} is no market data record")
    return dict(value)


def _library(module: str) -> Any:
    """Import a module of aws-kinesis-agg, which puts directories in front of sys.path, and take them off again.

    Left there, they would let another installed version of this distribution win over the one that runs.
    """
    path = list(sys.path)
    try:
        return importlib.import_module(f"aws_kinesis_agg.{module}")
    finally:
        sys.path[:] = path


def aggregate(records: Iterable[MarketDataRecord], size: int = AGGREGATED_BYTES) -> dict[str, list[AggregatedRecord]]:
    """Pack records, by partition key and in their order, into Kinesis records of at most `size` bytes."""
    new_aggregator = _library("aggregator").RecordAggregator
    full: dict[str, list[AggregatedRecord]] = {}
    add: dict[str, Callable[[str, bytes], Any]] = {}
    aggregators: dict[str, Any] = {}
    for key, data in records:
        if key not in aggregators:
            aggregators[key] = new_aggregator(size)
            add[key] = aggregators[key].add_user_record
            full[key] = []
        done = add[key](key, data)
        if done:
            full[key].append(_contents(done))
    for key, aggregator in aggregators.items():
        done = aggregator.clear_and_get()
        if done and done.get_num_user_records():
            full[key].append(_contents(done))
    return full


def _contents(record: Any) -> AggregatedRecord:
    partition_key, explicit_hash_key, data = record.get_contents()
    return AggregatedRecord(partition_key, bytes(data), explicit_hash_key)


def deaggregate(data: bytes, partition_key: str, sequence_number: str) -> Iterator[MarketDataRecord]:
    """Yield what is packed in one Kinesis record, in order, each with its own partition key; itself, if nothing is."""
    # The library reads what AWS Lambda hands over, so we dress the record as that.
    record = {
        "eventVersion": "1.0",
        "eventID": sequence_number,
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": partition_key,
            "sequenceNumber": sequence_number,
            "approximateArrivalTimestamp": 0,
            "data": base64.b64encode(data),
        },
    }
    for item in _library("deaggregator").iter_deaggregate_records([record]):
        inner = item["kinesis"]
        yield MarketDataRecord(inner["partitionKey"], base64.b64decode(inner["data"]))
