# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook publisher run`: a shard's public market data onto the Kinesis stream, in order and without a gap.

At least once: a market data record may come twice (after a crash, or when an answer was lost). The same event gives the
same bytes, and its (shard, sequence, index) tells; how many are packed into one Kinesis record may differ the second
time. Never out of order within a symbol: PutRecords keeps no order among the records of a request and may refuse any of
them, so a request holds at most one record of each partition key, and a refused one is sent again before the next one
of its key.

The checkpoint, the last event whose record was taken, is tied to the stream's ARN and creation time. It is a file, and
for the publisher of another machine a row of PostgreSQL (publisher_checkpoint.py): the later one counts. A stream that
was made anew is filled again from the shard's first event; the stream is looked at again regularly, so that this is
seen also when it happens behind the publisher's back. No engine, no endpoint, no stream: all are waited for.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from ironbook import settlement
from ironbook.admin import AdminError
from ironbook.core.records import Event
from ironbook.event_log import START, EventLog, EventLogLostError, Position, UnnamedInstrumentError
from ironbook.kinesis_codec import AggregatedRecord, aggregate, encode_all
from ironbook.publisher_checkpoint import SharedCheckpoint
from ironbook.service import Backoff, Stop, log_to_stderr, write_json
from ironbook.settlement import Config

# Limits of PutRecords (Kinesis API reference). AWS takes 10 MiB by now; the emulator keeps the 5 MiB of old.
REQUEST_RECORDS_MAX = 500
REQUEST_BYTES_MAX = 5 * 1024 * 1024 - 64 * 1024
LOOK_SECONDS = 1.0
_BATCH_EVENTS = 16_384
_STATUS_SECONDS = 0.5


class StreamChangedError(Exception):
    """The stream is not the one that the checkpoint belongs to, or not there."""


def next_request(queues: dict[str, deque[AggregatedRecord]]) -> list[AggregatedRecord]:
    """Return the first record of each key, as many as one request may hold."""
    request: list[AggregatedRecord] = []
    size = 0
    for queue in queues.values():
        if not queue:
            continue
        record = queue[0]
        size += len(record.data) + len(record.partition_key)
        if len(request) == REQUEST_RECORDS_MAX or (request and size > REQUEST_BYTES_MAX):
            break
        request.append(record)
    return request


def put_all(client: Any, stream: str, records: dict[str, list[AggregatedRecord]], backoff: Backoff, stop: Stop) -> int:
    """Put all records, each key in its order; return how many times a record was refused and sent again.

    Ends early, with records left, only when `stop` is set: then returns -1.
    """
    queues = {key: deque(queue) for key, queue in records.items()}
    retried = 0
    while request := next_request(queues):
        if stop:
            return -1
        answer = client.put_records(
            StreamName=stream,
            Records=[
                {"Data": record.data, "PartitionKey": record.partition_key}
                | ({"ExplicitHashKey": record.explicit_hash_key} if record.explicit_hash_key else {})
                for record in request
            ],
        )
        failed = 0
        for record, result in zip(request, answer["Records"], strict=True):
            if result.get("ErrorCode"):
                failed += 1
            else:
                queues[record.partition_key].popleft()
        retried += failed
        if failed:
            backoff.wait()
        else:
            backoff.reset()
    return retried


class Publisher:
    """One shard's publisher."""

    def __init__(self, config: Config, client: Any, stop: Stop) -> None:
        """`client`: a Kinesis client that does not retry by itself."""
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # noqa: PLC0415

        self._endpoint_errors = (BotoCoreError, ClientError)
        self.config = config
        self.client = client
        self.stop = stop
        self.log = log_to_stderr("publisher")
        self.shared = SharedCheckpoint(config.database, config.shard, self.log)
        self.identity: dict[str, str] = {}
        self.position = START
        self.retried = 0
        self._symbols: list[str] = []
        self._told = 0.0
        self._looked = 0.0
        self._pause = Backoff(stop, longest=1.0)

    def run(self) -> None:
        """Follow the engine until asked to end. Raises CommandError where waiting does not help."""
        backoff = Backoff(self.stop, longest=2.0)
        last_reason = ""
        while not self.stop:
            try:
                self._open()
                self.config = settlement.at_primary(self.config)
                settlement.check_engine(self.config)
                self._symbols = settlement.engine_symbols(self.config)
                with EventLog(self.config.events_socket, self.config.shard, self.position) as events:
                    self.log.info("publishing shard %d after %s", self.config.shard, tuple(self.position))
                    backoff.reset()
                    last_reason = ""
                    self._follow(events)
            except (
                EventLogLostError,
                AdminError,
                StreamChangedError,
                UnnamedInstrumentError,
                *self._endpoint_errors,
            ) as error:
                reason = " ".join(str(error).split())
                if reason != last_reason:
                    self.log.warning("waiting: %s", reason)
                last_reason = reason
                self._tell("waiting", reason)
                backoff.wait()
        self.shared.close()
        self._tell("ended")

    def _open(self) -> None:
        """Find the stream, and where in it the publisher is."""
        self.identity = settlement.stream_identity(self.client, self.config.stream)
        self._looked = time.monotonic()
        mine = settlement.publisher_position(self.config, self.identity)
        self.position = max(mine, self.shared.read(self.identity))
        if self.position > mine:
            self._remember()

    def _look(self) -> None:
        """Make sure, once a second, that the stream is still the same one."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            identity = settlement.stream_identity(self.client, self.config.stream)
            if identity != self.identity:
                raise StreamChangedError(
                    f"the stream {self.config.stream} was made anew at {identity['created']}: filling it from the start"
                )

    def _follow(self, events: EventLog) -> None:
        while not self.stop:
            batch = events.read(LOOK_SECONDS / 2)
            while batch and len(batch) < _BATCH_EVENTS and (more := events.read(0)):
                batch += more
            self._look()
            if batch:
                self._publish(batch)
            self._tell("running")

    def _publish(self, batch: list[Event]) -> None:
        records = aggregate(encode_all(batch, self.config.shard, self._symbols))
        retried = put_all(self.client, self.config.stream, records, self._pause, self.stop)
        if retried < 0:
            return
        self.retried += retried
        self.position = Position(batch[-1].seq, batch[-1].index)
        self._remember()
        self.shared.keep(self.identity, self.position)

    def _remember(self) -> None:
        # Not forced to the disk: an older checkpoint costs records that come twice, which readers drop.
        checkpoint = {**self.identity, "shard": self.config.shard, **self.position._asdict()}
        write_json(self.config.publisher_checkpoint, checkpoint, durable=False)

    def _tell(self, state: str, reason: str = "") -> None:
        now = time.monotonic()
        if state != "running" or now - self._told >= _STATUS_SECONDS:
            self._told = now if state == "running" else 0.0
            path = self.config.status_file("publisher")
            figures = {"position": list(self.position), "retried": self.retried, **self.identity}
            settlement.write_status(path, "publisher", state, reason, **figures)


def add_parser(subparsers: Any) -> None:
    """Add `ironbook publisher` to the command line."""
    settlement.add_consumer(
        subparsers,
        "publisher",
        "market data onto the Kinesis stream",
        lambda config, stop: Publisher(config, settlement.kinesis_client(), stop).run(),
    )
