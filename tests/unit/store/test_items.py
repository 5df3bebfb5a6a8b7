# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in the configuration store, to the last byte."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ironbook.store.errors import (
    InvalidChangeError,
    ItemError,
    MalformedItemError,
    NewerFormatError,
    TwoPrimariesError,
    WrongShardError,
)
from ironbook.store.items import EPOCH_MAX, VERSION_MAX, Lease, Record, from_json, new_writer, to_json

MEMBERS = ("engine-0-0", "engine-0-1", "engine-0-2")
RECORD = Record(0, 7, MEMBERS[1], MEMBERS, 12, "engine-0-1:0123456789abcdef")
LEASE = Lease("drill/shard-0", "alice:1", 3, 3000, "drill_failover by alice", 5, "alice:2")


@pytest.mark.parametrize("item", [RECORD, LEASE])
def test_an_item_is_read_as_it_was_written(item: Record | Lease) -> None:
    assert type(item).parse(item.key, from_json("it", to_json(item.document())), 0) == item


@pytest.mark.parametrize("item", [RECORD, LEASE])
@pytest.mark.parametrize("value", [None, True, 1.0, -1, 2**64, "", "\x00", "a\nb", [], {}, [[]], ["A B"], "x" * 500])
def test_each_key_is_checked(item: Record | Lease, value: Any) -> None:
    """A value of a wrong kind in any place is refused by a line that names the key; a missing key as well."""
    for name in item.document():
        changed = item.document() | {name: value}
        try:
            found = type(item).parse(item.key, changed, 0)
        except ItemError as error:
            assert name in str(error) or "shard" in str(error)
            assert "\n" not in str(error) and item.key in str(error)
        else:
            assert (name, value) in {("holder", ""), ("purpose", "")} and found.document()[name] == value
    for name in item.document():
        rest = {key: there for key, there in item.document().items() if key != name}
        with pytest.raises(MalformedItemError, match=f"{name} is missing"):
            type(item).parse(item.key, rest, 0)


def test_every_byte_of_a_record_matters() -> None:
    """Cut at every length and with every bit flipped, it is refused, or is a record that says what it says.

    JSON has no checksum: a flipped digit is another number. What may never be is a record that breaks the rules.
    """
    text = to_json(RECORD.document()).encode()
    refused = taken = 0
    cut = [text[:length] for length in range(len(text))]
    flipped = [text[:at] + bytes([text[at] ^ 1 << bit]) + text[at + 1 :] for at in range(len(text)) for bit in range(8)]
    for number, data in enumerate(itertools.chain(cut, flipped)):
        try:
            found = Record.parse(RECORD.key, from_json("it", data), 0)
        except ItemError:
            refused += 1
            continue
        assert number >= len(cut), "a record that was cut short was taken for a whole one"
        taken += 1
        assert found.problem() == "" and found.shard == RECORD.shard
        assert to_json(found.document()) == to_json(json.loads(data))  # nothing was lost or made up
    assert refused > taken > 0


def test_a_record_with_two_primaries_is_called_so() -> None:
    text = to_json(RECORD.document())
    twice = text.replace('"primary":', '"primary":"engine-0-0","primary":')
    with pytest.raises(TwoPrimariesError, match="engine-0-0, engine-0-1"):
        from_json("it", twice)
    with pytest.raises(TwoPrimariesError, match="engine-0-0, engine-0-1"):
        Record.parse(RECORD.key, RECORD.document() | {"primary": ["engine-0-0", "engine-0-1"]}, 0)
    with pytest.raises(MalformedItemError, match="'epoch' is there twice"):
        from_json("it", text.replace('"epoch":', '"epoch":1,"epoch":'))


def test_a_record_of_another_shard_or_a_newer_build_is_called_so() -> None:
    with pytest.raises(WrongShardError, match="shard/1 says that it is of shard 0"):
        Record.parse("shard/1", RECORD.document(), 0)
    with pytest.raises(NewerFormatError, match="upgrade this one"):
        Record.parse(RECORD.key, {"format": 9, "anything": "else"}, 0)


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"x"', "{", "\ufeff{}", "[" * 100_000, "NaN"])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(MalformedItemError):
        Record.parse(RECORD.key, from_json("it", text), 0)


def test_two_writes_never_have_the_same_writer() -> None:
    assert len({new_writer("engine-0-0") for _ in range(1000)}) == 1000


names = st.sampled_from([*MEMBERS, "engine-0-3", "engine-1-0", "X Y", ""])
records = st.builds(
    Record,
    shard=st.sampled_from([0, 0, 0, 1, 100, -1]),
    epoch=st.sampled_from([0, 1, 2, 3, EPOCH_MAX, EPOCH_MAX + 1]),
    primary=names,
    in_sync=st.lists(names, max_size=4).map(tuple) | st.lists(names, max_size=4, unique=True).map(sorted).map(tuple),
    version=st.sampled_from([0, 1, 2, 3, VERSION_MAX]),
    writer=st.sampled_from(["a:b", "", "a b"]),
)


@given(records, records)
def test_what_may_follow_keeps_what_must_hold(known: Record, following: Record) -> None:
    """Whatever is accepted keeps the rules of ha.md's R3 and R4, written down here a second time."""
    try:
        known.require_valid()
        following.require_valid()
        following.require_follows(known)
    except InvalidChangeError:
        return
    assert following.shard == known.shard and following.version == known.version + 1
    if following.epoch == 0:
        assert following.primary == ""
    else:
        assert following.primary in following.in_sync
    assert list(following.in_sync) == sorted(set(following.in_sync))
    assert following.epoch >= known.epoch
    if following.epoch == known.epoch:
        assert following.primary == known.primary
    else:
        assert set(following.in_sync) <= set(known.in_sync)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"in_sync": MEMBERS[:2]}, None),
        ({"in_sync": (*MEMBERS, "engine-0-3")}, None),
        ({"epoch": 8, "primary": MEMBERS[0]}, None),
        ({"epoch": 9, "primary": MEMBERS[0], "in_sync": MEMBERS[:1]}, None),
        ({"epoch": 8}, None),
        ({"epoch": 6}, "cannot go back to 6"),
        ({"primary": MEMBERS[0]}, "a new primary needs a new epoch"),
        ({"epoch": 8, "primary": MEMBERS[0], "in_sync": MEMBERS[1:]}, "is not in_sync"),
        ({"epoch": 8, "in_sync": (*MEMBERS, "engine-0-3")}, "engine-0-3 was not in sync"),
    ],
)
def test_each_change_is_allowed_or_refused_for_its_reason(change: dict[str, Any], says: str | None) -> None:
    if says is None:
        assert RECORD.next("test", **change).version == RECORD.version + 1
    else:
        with pytest.raises(InvalidChangeError, match=says) as refused:
            RECORD.next("test", **change)
        assert "\n" not in str(refused.value)
