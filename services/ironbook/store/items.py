# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the configuration store: a shard's record, and a lease. move.py has the third: a symbol's move.

An item is a flat document of whole numbers, texts and lists of texts, so that it is the same in DynamoDB's attributes
and in etcd's JSON. Its `version` is 1 when it is created and one more with each write; its `writer` is different with
each write and stays the same when that very write is sent again, so that whoever wrote it knows it again.

What a record may be, and what may follow it, is decided here alone, before anything is sent:
  - the primary is in sync, the members are sorted, and no name is there twice; only epoch 0 has no primary;
  - the epoch never goes back, and a new primary always has a new epoch: no two primaries share one;
  - a new epoch's primary and in-sync set come from the in-sync set before (a member outside it may lack acknowledged
    orders), unless the operator says `allow_data_loss`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self

from ironbook.store.errors import (
    InvalidChangeError,
    MalformedItemError,
    NewerFormatError,
    TwoPrimariesError,
    WrongShardError,
)

FORMAT = 1
SHARD_MAX = 99  # engine_config.py
EPOCH_MAX = 2**32 - 1  # a field of every record of the journal
VERSION_MAX = 2**53 - 1  # the greatest whole number that every reader of JSON keeps
COUNTER_MAX = VERSION_MAX
MEMBERS_MAX = 8  # of a shard, as the core has it (IB_REPLICA_MEMBERS_MAX)
NOBODY = ""  # primary of epoch 0
PURPOSE_MAX = 200

_MEMBER = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}\Z")
WRITER = re.compile(r"[\x21-\x7e]{1,128}\Z")
_LEASE = re.compile(r"[a-z0-9][a-z0-9/_-]{0,62}\Z")

Document = Mapping[str, Any]


def new_writer(by: str) -> str:
    """Name one write, of nobody else and of no other moment; `by` is there for whoever reads the store by eye."""
    return f"{by}:{uuid.uuid4().hex}"


class Item(Protocol):
    """What the store's client asks of an item, whatever it is."""

    @property
    def key(self) -> str:
        """Under which it stands in the store."""

    @property
    def version(self) -> int:
        """1 and then one more with each write."""

    @property
    def writer(self) -> str:
        """Different with each write."""

    @property
    def revision(self) -> int:
        """The store's own number for the write that made it; 0 where it has none, or it was not read from it."""

    def document(self) -> dict[str, Any]:
        """What is written."""

    def require_valid(self) -> None:
        """Raise InvalidChangeError unless it may stand in the store."""

    def require_follows(self, known: Self, allow_data_loss: bool = False) -> None:
        """Raise InvalidChangeError unless it may take the place of `known`."""

    def at(self, revision: int) -> Self:
        """Return the same with the store's number."""

    @classmethod
    def parse(cls, key: str, document: Document, revision: int) -> Self:
        """Read an item; raises an ItemError that names the key and what is wrong."""


class Fields:
    """The keys of a document, taken one by one, each of its type; what is left over at the end is unknown."""

    def __init__(self, where: str, document: Document) -> None:
        """Raises an ItemError where the format is not ours. `where`: what the item is called in every line about it."""
        self.where = where
        self._left = dict(document)
        number = self._left.pop("format", None)
        if type(number) is int and number > FORMAT:
            raise NewerFormatError(
                f"{where} has format {number}, and this build knows {FORMAT}: it was written by a newer build; "
                "upgrade this one before it takes part"
            )
        if type(number) is not int or number < 1:
            raise self.wrong("format", number, "a whole number from 1")

    def wrong(self, name: str, value: Any, wanted: str) -> MalformedItemError:
        """What is to be raised of a key."""
        shown = "is missing" if value is None else f"is {value!r:.80}"
        return MalformedItemError(f"{self.where} is malformed: {name} {shown}; wanted: {wanted}")

    def number(self, name: str, low: int, high: int) -> int:
        """A whole number."""
        value = self._left.pop(name, None)
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(name, value, f"a whole number from {low} to {high}")
        return value

    def text(self, name: str, pattern: re.Pattern[str], wanted: str) -> str:
        """A text that a pattern matches; `wanted` is the pattern in words."""
        value = self._left.pop(name, None)
        if not isinstance(value, str) or not pattern.match(value):
            raise self.wrong(name, value, wanted)
        return value

    def free_text(self, name: str, most: int) -> str:
        """Any printable text."""
        value = self._left.pop(name, None)
        if not isinstance(value, str) or len(value) > most or not (value.isprintable() or not value):
            raise self.wrong(name, value, f"printable text of at most {most} characters")
        return value

    def primary(self) -> str:
        """The primary of a record."""
        value = self._left.get("primary")
        if isinstance(value, list) and len(value) > 1:
            raise TwoPrimariesError(
                f"{self.where} names {len(value)} primaries ({', '.join(map(str, value))[:80]}): nobody may serve by "
                "it; find out who wrote it, fence all but one, and write the record anew"
            )
        if value == NOBODY:
            return str(self._left.pop("primary"))
        return self.text("primary", _MEMBER, "the name of a member, or an empty text in epoch 0")

    def members(self, name: str) -> tuple[str, ...]:
        """The names of members."""
        value = self._left.pop(name, None)
        if not isinstance(value, list) or not all(isinstance(one, str) and _MEMBER.match(one) for one in value):
            raise self.wrong(name, value, "a list of names of members")
        return tuple(value)

    def end(self) -> None:
        """Raise MalformedItemError where a key is left."""
        for name in self._left:
            raise MalformedItemError(f"{self.where} is malformed: {name!r} is no key of format {FORMAT}")


@dataclass(frozen=True)
class Record:
    """A shard's record: its primary, the epoch, and who has everything that was acknowledged.

    A new shard has epoch 0 and no primary (NOBODY); whoever of the in-sync set comes first takes epoch 1.
    """

    shard: int
    epoch: int
    primary: str
    in_sync: tuple[str, ...]
    version: int
    writer: str
    revision: int = field(default=0, compare=False)

    PREFIX: ClassVar[str] = "shard/"

    @classmethod
    def first(cls, shard: int, primary: str, in_sync: tuple[str, ...], by: str) -> Record:
        """Return the record that a new shard begins with: in epoch 1, or in epoch 0 where `primary` is NOBODY."""
        return cls(shard, int(primary != NOBODY), primary, tuple(sorted(in_sync)), 1, new_writer(by))

    @staticmethod
    def key_of(shard: int) -> str:
        """Return the key of a shard's record."""
        return f"{Record.PREFIX}{shard}"

    @property
    def key(self) -> str:
        """Under which it stands in the store."""
        return self.key_of(self.shard)

    def next(
        self,
        by: str,
        epoch: int | None = None,
        primary: str | None = None,
        in_sync: tuple[str, ...] | None = None,
        allow_data_loss: bool = False,
    ) -> Record:
        """Return what is to take this record's place, written by `by`; raises InvalidChangeError."""
        wanted = replace(
            self,
            epoch=self.epoch if epoch is None else epoch,
            primary=self.primary if primary is None else primary,
            in_sync=self.in_sync if in_sync is None else tuple(sorted(in_sync)),
            version=self.version + 1,
            writer=new_writer(by),
            revision=0,
        )
        wanted.require_valid()
        wanted.require_follows(self, allow_data_loss)
        return wanted

    def document(self) -> dict[str, Any]:
        """Return what is written."""
        return {
            "format": FORMAT,
            "shard": self.shard,
            "epoch": self.epoch,
            "primary": self.primary,
            "in_sync": list(self.in_sync),
            "version": self.version,
            "writer": self.writer,
        }

    def require_valid(self) -> None:
        """Raise InvalidChangeError unless it may stand in the store."""
        require_valid_document(self)

    def require_follows(self, known: Record, allow_data_loss: bool = False) -> None:
        """Raise InvalidChangeError unless it may take the place of `known`."""
        where = f"the record of shard {known.shard}"
        if self.shard != known.shard or self.version != known.version + 1:
            raise InvalidChangeError(
                f"shard {self.shard} version {self.version} cannot follow shard {known.shard} version {known.version}"
            )
        if self.epoch < known.epoch:
            raise InvalidChangeError(f"{where} is of epoch {known.epoch}: it cannot go back to {self.epoch}")
        if self.epoch == known.epoch and self.primary != known.primary:
            raise InvalidChangeError(
                f"{where}: {self.primary} cannot follow {known.primary} within epoch {known.epoch}: a new primary "
                "needs a new epoch"
            )
        strangers = {*self.in_sync} - set(known.in_sync)
        if self.epoch > known.epoch and strangers and not allow_data_loss:
            raise InvalidChangeError(
                f"{where}: {', '.join(sorted(strangers))} was not in sync and may lack acknowledged orders: it cannot "
                "enter with a new epoch without allow_data_loss"
            )

    def at(self, revision: int) -> Record:
        """Return the same with the store's number."""
        return replace(self, revision=revision)

    @classmethod
    def parse(cls, key: str, document: Document, revision: int = 0) -> Record:
        """Read a record; raises an ItemError that names the key and what is wrong."""
        fields = Fields(f"the record at {key}", document)
        shard = fields.number("shard", 0, SHARD_MAX)
        primary = fields.primary()
        record = cls(
            shard=shard,
            epoch=fields.number("epoch", 0, EPOCH_MAX),
            primary=primary,
            in_sync=fields.members("in_sync"),
            version=fields.number("version", 1, VERSION_MAX),
            writer=fields.text("writer", WRITER, "1 to 128 printable characters"),
            revision=revision,
        )
        fields.end()
        if key != record.key:
            raise WrongShardError(f"the record at {key} says that it is of shard {shard}: it is not to be acted upon")
        if problem := record.problem():
            raise MalformedItemError(f"the record at {key} is malformed: {problem}")
        return record

    def problem(self) -> str:
        """Return how its values contradict each other; an empty text where they do not."""
        if not 1 <= len(self.in_sync) <= MEMBERS_MAX:
            return f"in_sync has {len(self.in_sync)} members; wanted: 1 to {MEMBERS_MAX}"
        if list(self.in_sync) != sorted(set(self.in_sync)):
            return f"in_sync ({', '.join(self.in_sync)}) is not sorted, or names one twice"
        if (self.epoch == 0) != (self.primary == NOBODY):
            return f"epoch {self.epoch} has {self.primary or 'nobody'} for a primary; epoch 0, and no other, has nobody"
        if self.primary != NOBODY and self.primary not in self.in_sync:
            return f"primary {self.primary} is not in_sync ({', '.join(self.in_sync)})"
        return ""


@dataclass(frozen=True)
class Lease:
    """Who is alone at something: `holder` (empty: nobody), and a counter that it raises while it is there.

    No time stands in it: whoever waits measures on its own clock how long it stays the same (lease.py).
    `term_ms` is how long the holder asks to be waited for, `purpose` what for, in words for people.
    """

    name: str
    holder: str
    counter: int
    term_ms: int
    purpose: str
    version: int
    writer: str
    revision: int = field(default=0, compare=False)

    PREFIX: ClassVar[str] = "lease/"

    @staticmethod
    def key_of(name: str) -> str:
        """Return the key of a lease."""
        return f"{Lease.PREFIX}{name}"

    @property
    def key(self) -> str:
        """Under which it stands in the store."""
        return self.key_of(self.name)

    def next(self, holder: str, term_ms: int, purpose: str, by: str) -> Lease:
        """Return what is to take this lease's place, its counter one higher."""
        return Lease(self.name, holder, self.counter + 1, term_ms, purpose, self.version + 1, new_writer(by))

    def document(self) -> dict[str, Any]:
        """Return what is written."""
        return {
            "format": FORMAT,
            "name": self.name,
            "holder": self.holder,
            "counter": self.counter,
            "term_ms": self.term_ms,
            "purpose": self.purpose,
            "version": self.version,
            "writer": self.writer,
        }

    def require_valid(self) -> None:
        """Raise InvalidChangeError unless it may stand in the store."""
        require_valid_document(self)

    def require_follows(self, known: Lease, allow_data_loss: bool = False) -> None:
        """Raise InvalidChangeError unless it may take the place of `known`; no data hangs on it."""
        if self.name != known.name or self.version != known.version + 1 or self.counter != known.counter + 1:
            raise InvalidChangeError(
                f"lease {self.name} version {self.version} counter {self.counter} cannot follow lease {known.name} "
                f"version {known.version} counter {known.counter}"
            )

    def at(self, revision: int) -> Lease:
        """Return the same with the store's number."""
        return replace(self, revision=revision)

    @classmethod
    def parse(cls, key: str, document: Document, revision: int = 0) -> Lease:
        """Read a lease; raises an ItemError that names the key and what is wrong."""
        fields = Fields(f"the lease at {key}", document)
        lease = cls(
            name=fields.text("name", _LEASE, "a name in small letters, digits, / _ and -"),
            holder=fields.free_text("holder", 128),
            counter=fields.number("counter", 1, COUNTER_MAX),
            term_ms=fields.number("term_ms", 1, 86_400_000),
            purpose=fields.free_text("purpose", PURPOSE_MAX),
            version=fields.number("version", 1, VERSION_MAX),
            writer=fields.text("writer", WRITER, "1 to 128 printable characters"),
            revision=revision,
        )
        fields.end()
        if key != lease.key:
            raise WrongShardError(f"the lease at {key} says that it is {lease.name}: it is not to be acted upon")
        return lease


def require_valid_document(item: Item) -> None:
    """Hold what is to be written against what a reader will take: one set of rules for both."""
    try:
        item.parse(item.key, item.document(), 0)
    except (MalformedItemError, NewerFormatError) as error:
        raise InvalidChangeError(f"not written: {error}") from None


def to_json(document: Document) -> str:
    """Return a document as JSON, the same text for the same document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def from_json(where: str, text: str | bytes) -> dict[str, Any]:
    """Read a document; MalformedItemError where it is none, or where a key is there twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name == "primary" and name in found:
                raise TwoPrimariesError(
                    f"{where} names 2 primaries ({found[name]}, {value}): nobody may serve by it; find out who wrote "
                    "it, fence all but one, and write the record anew"
                )
            if name in found:
                raise MalformedItemError(f"{where} is malformed: {name!r} is there twice")
            found[name] = value
        return found

    try:
        document = json.loads(text, object_pairs_hook=once)
    except ValueError as error:  # UnicodeDecodeError too
        raise MalformedItemError(f"{where} is malformed: it is not JSON ({error})") from None
    except RecursionError:
        raise MalformedItemError(f"{where} is malformed: nested too deeply") from None
    if not isinstance(document, dict):
        raise MalformedItemError(f"{where} is malformed: it is {document!r:.60}, not a document")
    return document
