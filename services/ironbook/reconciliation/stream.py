# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kinesis stream against the journal: every record, byte for byte, in its place and in its symbol's order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ironbook.core.records import Event, EventFlag, EventType, Side
from ironbook.event_log import START, Position
from ironbook.kinesis_codec import MarketDataRecord, RecordError, deaggregate, decode, encode
from ironbook.reconciliation.figures import Differences, Figures
from ironbook.reconciliation.journal import Truth
from ironbook.settlement import Config

# Plain integers: comparing with an enumeration costs more than all else here.
_EXECUTED, _RESTING = int(EventType.EXECUTED), int(EventFlag.RESTING)
_AUCTION, _SELL = int(EventFlag.AUCTION), int(Side.SELL)
_EMPTY_READS = 3


class StreamRecord(NamedTuple):
    """One Kinesis record, the shard that it lies on, and the hash keys of that shard (both ends belong to it)."""

    shard: str
    hash_keys: tuple[int, int]
    number: str
    partition_key: str
    data: bytes

    @property
    def where(self) -> str:
        """Shard and sequence number, for people."""
        return f"{self.shard} {self.number}"


def stream_records(client: Any, stream: str) -> Iterator[StreamRecord]:
    """Yield every record that the stream still holds, shard by shard."""
    pages = client.get_paginator("list_shards").paginate(StreamName=stream)
    for shard in [shard for page in pages for shard in page["Shards"]]:
        place, ends = shard["ShardId"], shard["HashKeyRange"]
        hash_keys = int(ends["StartingHashKey"]), int(ends["EndingHashKey"])
        iterator = client.get_shard_iterator(StreamName=stream, ShardId=place, ShardIteratorType="TRIM_HORIZON")
        following, empty = iterator["ShardIterator"], 0
        # An empty answer is no end (the API may look through a part of the shard and find nothing), zero lag is.
        while following and empty < _EMPTY_READS:
            answer = client.get_records(ShardIterator=following, Limit=10_000)
            for record in answer["Records"]:
                yield StreamRecord(place, hash_keys, record["SequenceNumber"], record["PartitionKey"], record["Data"])
            following = answer.get("NextShardIterator")
            empty = empty + 1 if not answer["Records"] else 0
            if not answer["Records"] and answer.get("MillisBehindLatest", 0) == 0:
                break


def hash_key(partition_key: str) -> int:
    """Return where Kinesis puts a partition key among the shards: its MD5 as a number of 128 bits."""
    return int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


def _counts(event: Event) -> bool:
    """Whether an execution stands for its match: the incoming order's, or in an auction the seller's."""
    return event.side == _SELL if event.flags & _AUCTION else not event.flags & _RESTING


class StreamCheck:
    """Compares what is read from the stream with what the journal says should be there."""

    def __init__(self, config: Config, truth: Truth, differences: Differences) -> None:
        """Encode every record of the journal as the publisher would."""
        self.figures = Figures("Kinesis")
        self._config = config
        self._differences = differences
        self._events: dict[bytes, tuple[Event, str]] = {}
        for event in truth.view.events:
            record = encode(event, config.shard, truth.view.names.symbols)
            if record is not None:
                self._events[record.data] = event, record.partition_key
        self._wanted = {(event.seq, event.index) for event, _ in self._events.values()}
        self._seen: dict[tuple[int, int, int], bytes] = {}
        self._last: dict[str, Position] = {}

    def add(self, record: StreamRecord) -> None:
        """Take one Kinesis record in, with all that is packed in it."""
        first, last = record.hash_keys
        if not first <= hash_key(record.partition_key) <= last:
            self._differ(record, f"partition key {record.partition_key} does not belong on this shard: out of order")
        misplaced = False
        for inner in deaggregate(record.data, record.partition_key, record.number):
            key = self._add(record, inner)
            if key is not None and not misplaced and (key, key) != (inner.partition_key, record.partition_key):
                misplaced = True  # one difference for all that is packed together
                wrong = record.partition_key if record.partition_key != key else inner.partition_key
                self._differ(record, f"is under the partition key {wrong}, what is in it belongs under {key}")

    def _add(self, record: StreamRecord, inner: MarketDataRecord) -> str | None:
        """Take one record in; return its partition key. Nearly all are the journal's, byte for byte: no parsing."""
        found = self._events.get(inner.data)
        if found is None:
            self._stranger(record, inner.data)
            return None
        event, key = found
        if self._first(record, (self._config.shard, event.seq, event.index), inner.data):
            self._in_order(record, event, key)
            if event.type == _EXECUTED and _counts(event):
                self.figures.add(event.quantity, event.price)
        return key

    def _in_order(self, record: StreamRecord, event: Event, key: str) -> None:
        """Whoever reads a symbol's shard from its beginning and drops repeats must see the venue's order."""
        place, last = Position(event.seq, event.index), self._last.get(key, START)
        if place < last:
            before, after = (self._config.shard, *place), (self._config.shard, *last)
            self._differ(record, f"record {before} of {key} comes after {after}: out of order")
        self._last[key] = max(place, last)

    def _first(self, record: StreamRecord, key: tuple[int, int, int], data: bytes) -> bool:
        """Return whether no record of this identity came before; one that differs from it is a forgery."""
        before = self._seen.setdefault(key, data)
        if before is not data and before != data:
            self._differ(record, f"record {key} is there twice, with different content: forged")
        return before is data

    def _stranger(self, record: StreamRecord, data: bytes) -> None:
        """Name what is not in the journal as it stands there."""
        try:
            value = decode(data)
        except RecordError as error:
            self._differ(record, str(error))
            return
        key = value["shard"], value["sequence"], value["index"]
        if key[0] != self._config.shard and key[0] in self._config.shards:
            return  # that shard's own reconciliation compares it
        if not self._first(record, key, data):
            return
        known = key[0] == self._config.shard and key[1:] in self._wanted
        what = "differs from the journal's" if known else "is not in the journal"
        self._differ(record, f"record {key} {what}: forged")
        quantity, price = value.get("quantity"), value.get("price")
        told = value.get("type") == "trade" or (value.get("type") == "cross" and value.get("side") == "S")
        if told and isinstance(quantity, int) and isinstance(price, int):
            self.figures.add(quantity, price)

    def _differ(self, record: StreamRecord, text: str) -> None:
        self._differences.add(f"Kinesis: {record.where}: {text}")

    def finish(self) -> Figures:
        """Name what is missing; return the sums."""
        for sequence, index in sorted(self._wanted):
            key = self._config.shard, sequence, index
            if key not in self._seen:
                self._differences.add(f"Kinesis: record {key} is missing from the stream {self._config.stream}")
        return self.figures


def kinesis_figures(config: Config, truth: Truth, differences: Differences, records: Iterable[StreamRecord]) -> Figures:
    """Return what the stream's records add up to, without repeats, each compared with the journal's."""
    check = StreamCheck(config, truth, differences)
    for record in records:
        check.add(record)
    return check.finish()
