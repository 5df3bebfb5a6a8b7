# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of the agent's store socket (docs/protocols/store.md): packing and unpacking, no socket.

All integers are little-endian. Members are numbers here, as the engine has them, and names in the store:
engine-SHARD-REPLICA, as hosts are called.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import IntEnum

from ironbook.store.items import MEMBERS_MAX, NOBODY, Record

MAGIC = b"IBSTORE1"
VERSION = 1
HELLO = struct.Struct("<8sIII12x")
WELCOME = struct.Struct("<8sIIII8x")
MESSAGE = struct.Struct("<IIQQQIIII16x")
PRIMARY_NOBODY = 0xFF
HAS_RECORD = 1


class Status(IntEnum):
    """Of the agent's answer to a hello; the connection ends where it is not OK."""

    OK = 0
    NOT_THIS_PROTOCOL = 1
    ANOTHER_SHARD = 2
    ANOTHER_MEMBER = 3


class Kind(IntEnum):
    """What a message is."""

    READ = 1
    WRITE = 2
    ANSWER = 3
    CHANGE = 4


class Outcome(IntEnum):
    """Of an answer."""

    OK = 0
    CONFLICT = 1
    UNKNOWN = 2
    REFUSED = 3


class Reason(IntEnum):
    """Of an answer that is UNKNOWN or REFUSED."""

    NONE = 0
    UNREACHABLE = 1
    THROTTLED = 2
    DENIED = 3
    BAD_ITEM = 4
    CONTRADICTION = 5
    BAD_CHANGE = 6
    OTHER = 7


class ForeignMemberError(ValueError):
    """A record names a member that is none of the shard's replicas."""


@dataclass(frozen=True)
class Terms:
    """A record as the engine has it: `primary` a replica's number or PRIMARY_NOBODY, `in_sync` one bit a replica."""

    version: int
    epoch: int
    primary: int
    in_sync: int


@dataclass(frozen=True)
class Message:
    """One message, either way. `terms` None: it has no record."""

    kind: int
    request: int = 0
    outcome: int = Outcome.OK
    reason: int = Reason.NONE
    terms: Terms | None = None

    def pack(self) -> bytes:
        """Return the 64 bytes."""
        terms = self.terms or Terms(0, 0, 0, 0)
        flags = HAS_RECORD if self.terms else 0
        return MESSAGE.pack(
            self.kind,
            self.outcome,
            self.request,
            terms.version,
            terms.epoch,
            terms.in_sync,
            terms.primary,
            flags,
            self.reason,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Message:
        """Read 64 bytes; ValueError where they are no message: what is reserved must be zero."""
        kind, outcome, request, version, epoch, in_sync, primary, flags, reason = MESSAGE.unpack(data)
        message = cls(kind, request, outcome, reason, Terms(version, epoch, primary, in_sync) if flags else None)
        if flags & ~HAS_RECORD or message.pack() != data:
            raise ValueError("a field that is reserved is not zero")
        return message


def member_name(shard: int, replica: int) -> str:
    """Return what a replica is called in the record."""
    return f"engine-{shard}-{replica}"


def to_terms(record: Record) -> Terms:
    """Return a record as the engine has it; ForeignMemberError where a member is no replica of its shard."""
    replicas = {_replica(record.shard, name) for name in record.in_sync}
    primary = PRIMARY_NOBODY if record.primary == NOBODY else _replica(record.shard, record.primary)
    return Terms(record.version, record.epoch, primary, sum(1 << replica for replica in replicas))


def to_names(shard: int, terms: Terms) -> tuple[str, tuple[str, ...]]:
    """Return primary and in-sync set as the store has them; ForeignMemberError for a number that no replica has."""
    if terms.in_sync >> MEMBERS_MAX or (terms.primary >= MEMBERS_MAX and terms.primary != PRIMARY_NOBODY):
        raise ForeignMemberError(
            f"primary {terms.primary} and in-sync set {terms.in_sync:#x}: replicas are 0 to {MEMBERS_MAX - 1}"
        )
    members = tuple(member_name(shard, number) for number in range(MEMBERS_MAX) if terms.in_sync >> number & 1)
    return NOBODY if terms.primary == PRIMARY_NOBODY else member_name(shard, terms.primary), members


def _replica(shard: int, name: str) -> int:
    found = re.fullmatch(r"engine-(0|[1-9][0-9]?)-([0-9])", name)
    if found is None or int(found[1]) != shard or int(found[2]) >= MEMBERS_MAX:
        raise ForeignMemberError(f"{name} is no replica of shard {shard}")
    return int(found[2])
