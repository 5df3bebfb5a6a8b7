# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook store init`: a shard's first record is made once, and never over another."""

from __future__ import annotations

import pytest
from ironbook.errors import CommandError
from ironbook.store.client import AnswerLostError, Done, Refused
from ironbook.store.command import initialise
from ironbook.store.items import Item, Record

from .memory_store import MemoryStore

NAMES = ("engine-0-0", "engine-0-1", "engine-0-2")


def record(version: int, epoch: int, primary: str, in_sync: tuple[str, ...]) -> Record:
    """A record of shard 0, which somebody else has written."""
    return Record(0, epoch, primary, in_sync, version, "another")


def test_the_first_record_has_no_primary_and_everybody_in_sync() -> None:
    """Once; whoever asks again finds it."""
    store = MemoryStore()
    made, changed = initialise(store, 0, 3, "engine-0-0")
    assert (made.version, made.epoch, made.primary, made.in_sync, changed) == (1, 0, "", NAMES, True)
    assert store.record(0) == made
    assert initialise(store, 0, 3, "engine-0-1") == (made, False)


def test_a_check_writes_nothing() -> None:
    """And says what would be."""
    store = MemoryStore()
    _, changed = initialise(store, 0, 3, "engine-0-0", check=True)
    assert changed and store.items == {}
    initialise(store, 0, 3, "engine-0-0")
    assert initialise(store, 0, 3, "engine-0-0", check=True)[1] is False


@pytest.mark.parametrize("in_sync", [NAMES, NAMES[1:], NAMES[1:2]])
def test_a_record_that_has_a_life_behind_it_is_left_alone(in_sync: tuple[str, ...]) -> None:
    """Whoever is in sync: that is not the shard map's to say."""
    there = record(7, 4, "engine-0-1", in_sync)
    store = MemoryStore({there.key: there})
    assert initialise(store, 0, 3, "engine-0-0") == (there, False)
    assert store.items == {there.key: there}


@pytest.mark.parametrize("primary", ["engine-0-3", "engine-0-0"])
def test_a_record_of_other_members_is_refused(primary: str) -> None:
    """By the name of who is too many, in one line; nothing is written."""
    there = record(7, 4, primary, ("engine-0-0", "engine-0-3"))
    store = MemoryStore({there.key: there})
    with pytest.raises(
        CommandError, match=r"record of shard 0 names engine-0-3, and the shard map has engine-0-0, eng"
    ):
        initialise(store, 0, 3, "engine-0-0")
    assert store.items == {there.key: there}


@pytest.mark.parametrize("members", [0, 9])
def test_a_shard_has_one_to_eight_members(members: int) -> None:
    """As the core has it."""
    with pytest.raises(CommandError, match="a shard has 1 to 8 members"):
        initialise(MemoryStore(), 0, members, "engine-0-0")


def test_two_at_once_make_one_record() -> None:
    """Who comes second has read that there was none, and takes what the first one made."""
    first = record(1, 0, "", NAMES)

    class Raced(MemoryStore):
        def _put(self, key: str, item: Item, known: Item | None, seconds: float) -> Done | Refused:
            self.items[key] = first
            return super()._put(key, item, known, seconds)

    assert initialise(Raced(), 0, 3, "engine-0-0") == (first, False)


def test_a_lost_answer_is_no_success() -> None:
    """Nor a failure: it says that nobody knows."""

    class Deaf(MemoryStore):
        def _put(self, key: str, item: Item, known: Item | None, seconds: float) -> Done | Refused:
            raise AnswerLostError("the cable")

    with pytest.raises(CommandError, match="whether the record of shard 0 was made is not known: the cable"):
        initialise(Deaf(), 0, 3, "engine-0-0")
