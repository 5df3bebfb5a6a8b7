# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a shard's publisher is, for the publisher of another machine: a row of PostgreSQL, beside the ledger's.

After a failover the publisher beside the new primary goes on from here, and not from the shard's first event. It is a
help and no more: written once a second by a thread of its own, which market data never waits for; where the database
does not answer, data may come twice. A row only moves on, so that two publishers at once cannot set each other back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from ironbook.errors import CommandError
from ironbook.event_log import START, Position
from ironbook.settlement import PUBLISHER, Database, connect

EVERY_SECONDS = 1.0
END_SECONDS = 3.0  # for the last row
_READ = "SELECT sequence, index FROM public.ledger_checkpoint WHERE consumer = %s AND shard = %s"
_WRITE = """INSERT INTO public.ledger_checkpoint AS there (consumer, shard, sequence, index) VALUES (%s, %s, %s, %s)
    ON CONFLICT (consumer, shard) DO UPDATE
    SET sequence = excluded.sequence, index = excluded.index, updated_at = now()
    WHERE (there.sequence, there.index) < (excluded.sequence, excluded.index)"""


class _Row(NamedTuple):
    consumer: str
    position: Position


def consumer_of(identity: Mapping[str, str]) -> str:
    """Return what the row of one stream is called: another one of the same name has a row of its own."""
    return f"{PUBLISHER}{identity['stream_arn']} {identity['created']}"


class SharedCheckpoint:
    """The row of one shard's publisher."""

    def __init__(self, database: Database, shard: int, log: logging.Logger) -> None:
        """Nothing is asked of the database yet."""
        self._database, self._shard, self._log = database, shard, log
        self._wanted: _Row | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._told = ""

    def read(self, identity: Mapping[str, str]) -> Position:
        """Return the last event of which any publisher said that it is in this stream; START where nobody can tell."""
        try:
            with connect(self._database) as connection:
                row = connection.execute(_READ, (consumer_of(identity), self._shard)).fetchone()
        except self._faults() as error:
            self._tell(error)
            return START
        return Position(*row) if row else START

    def keep(self, identity: Mapping[str, str], position: Position) -> None:
        """Have it written soon. Returns at once."""
        self._wanted = _Row(consumer_of(identity), position)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="publisher-checkpoint", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write the last one, if the database answers in time."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _run(self) -> None:
        connection: Any = None
        written: _Row | None = None
        ended = False
        while not ended:
            ended = self._ended.wait(EVERY_SECONDS)
            wanted = self._wanted
            if wanted is None or wanted == written:
                continue
            try:
                connection = connection or connect(self._database)
                connection.autocommit = True
                connection.execute(_WRITE, (wanted.consumer, self._shard, *wanted.position))
                written, self._told = wanted, ""
            except self._faults() as error:
                self._tell(error)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    @staticmethod
    def _faults() -> tuple[type[Exception], ...]:
        import psycopg  # noqa: PLC0415

        return (psycopg.Error, CommandError, OSError)

    def _tell(self, error: Exception) -> None:
        reason = " ".join(str(error).split())
        if reason != self._told:
            self._log.warning("its place is not shared, data may come twice after a failover: %s", reason)
        self._told = reason
