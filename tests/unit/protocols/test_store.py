# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of the store socket, against those of docs/protocols/store.md written out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ironbook.protocols.store import (
    ForeignMemberError,
    Kind,
    Message,
    Outcome,
    Reason,
    Terms,
    to_names,
    to_terms,
)
from ironbook.store.items import Record

RECORD = Record(7, 3, "engine-7-2", ("engine-7-0", "engine-7-2"), 9, "a:b")
TERMS = Terms(9, 3, 2, 0b101)


def test_a_message_is_these_bytes() -> None:
    message = Message(Kind.ANSWER, 0x0102030405060708, Outcome.CONFLICT, Reason.NONE, TERMS)
    assert message.pack() == bytes.fromhex(
        "03000000 01000000 0807060504030201 0900000000000000 0300000000000000 05000000 02000000 01000000 00000000"
        "00000000000000000000000000000000"
    )
    assert Message.unpack(message.pack()) == message
    refused = Message(Kind.ANSWER, 1, Outcome.REFUSED, Reason.BAD_CHANGE)
    assert Message.unpack(refused.pack()) == refused and refused.terms is None


@given(st.binary(min_size=64, max_size=64))
def test_any_bytes_are_a_message_or_none(data: bytes) -> None:
    try:
        assert Message.unpack(data).pack() == data
    except ValueError:
        assert any(data[40:64])


@pytest.mark.parametrize("offset", range(48, 64))
def test_what_is_reserved_must_be_zero(offset: int) -> None:
    data = bytearray(Message(Kind.READ, 1).pack())
    data[offset] = 1
    with pytest.raises(ValueError, match="reserved"):
        Message.unpack(bytes(data))


def test_names_and_numbers_are_the_same_members() -> None:
    assert to_terms(RECORD) == TERMS
    assert to_names(7, TERMS) == ("engine-7-2", ("engine-7-0", "engine-7-2"))
    nobodys = Record(7, 0, "", ("engine-7-0",), 1, "a:b")
    assert to_terms(nobodys) == Terms(1, 0, 0xFF, 1)
    assert to_names(7, Terms(1, 0, 0xFF, 1)) == ("", ("engine-7-0",))


@pytest.mark.parametrize("name", ["engine-6-2", "engine-7-8", "engine-07-2", "engine-7-02", "node-7-2", "engine-7-2x"])
def test_a_member_that_is_no_replica_of_the_shard_is_foreign(name: str) -> None:
    with pytest.raises(ForeignMemberError, match=f"{name} is no replica of shard 7"):
        to_terms(Record(7, 3, name, (name,), 9, "a:b"))


@pytest.mark.parametrize("terms", [Terms(1, 1, 8, 1), Terms(1, 1, 0, 0x100), Terms(1, 1, 0xFFFFFFFF, 1)])
def test_a_number_that_no_replica_has_is_foreign(terms: Terms) -> None:
    with pytest.raises(ForeignMemberError):
        to_names(7, terms)
