# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of real journals, taken and removed by the module; a fake engine says how much is committed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.doc_fragments.engine_member import ModuleDocFragment
from ansible_collections.ironbook.trading.plugins.modules import engine_snapshot, engine_snapshot_info
from fixtures.fake_admin import FakeMember, fake_member
from ironbook import core
from unit.core.test_binding import command_at


@pytest.fixture
def alone() -> Iterator[FakeMember]:
    """A member whose engine runs alone, and is down; its journal has 40 commands."""
    with fake_member(members=0) as member:
        write(member, 1, 40)
        yield member


@pytest.fixture
def standby() -> Iterator[FakeMember]:
    """A standby that answers: 30 of its 40 commands are committed."""
    with fake_member(replica=1) as member:
        write(member, 1, 40)
        member.answers["status"] = member.status("standby", 0, [0, 1, 2], commit=30)
        member.start()
        yield member


def write(member: FakeMember, first: int, last: int) -> None:
    with core.Journal(member.journal, shard=member.shard) as journal:
        journal.append([command_at(seq) for seq in range(first, last + 1)])


def call(
    capsys: pytest.CaptureFixture[str], member: FakeMember, module: ModuleType = engine_snapshot, **options: Any
) -> dict[str, Any]:
    with patch_module_args({"config": str(member.config)} | options), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def there(member: FakeMember) -> list[int]:
    return [int(path.stem) for path in core.snapshots(member.journal)]


def damage(member: FakeMember, seq: int) -> None:
    path = member.journal / f"{seq:020}.snapshot"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)


def test_their_options_are_documented() -> None:
    for module in (engine_snapshot, engine_snapshot_info):
        shared = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
        assert set(yaml.safe_load(module.DOCUMENTATION)["options"]) | set(shared) == set(module.ARGUMENTS)


def test_one_is_taken_once(alone: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    """A preview takes nothing; the second run changes nothing; what it leads to is what the journal leads to."""
    preview = call(capsys, alone, _ansible_check_mode=True)
    assert (preview["changed"], there(alone)) == (True, [])
    name = f"{40:020}.snapshot"
    assert preview["diff"] == {"before": {"sound": []}, "after": {"sound": [name]}}
    answer = call(capsys, alone)
    assert answer["actions"] == preview["actions"]
    assert answer["diff"] == preview["diff"]
    [snapshot] = answer["snapshots"]
    assert (snapshot["seq"], snapshot["fault"]) == (40, "")
    assert int(snapshot["state_hash"], 16) == core.replay(alone.journal).state_hash
    again = call(capsys, alone)
    assert (again["changed"], again["actions"], there(alone)) == (False, [], [40])


def test_at_least_and_not_older_than(alone: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    core.snapshot_take(alone.journal, 20)
    assert call(capsys, alone, at_least=20)["changed"] is False
    assert call(capsys, alone, max_age=3600)["changed"] is False
    then = time.time() - 7200
    os.utime(alone.journal / f"{20:020}.snapshot", (then, then))
    assert call(capsys, alone, at_least=20)["changed"] is False
    assert call(capsys, alone, max_age=3600)["changed"] is True
    assert there(alone) == [20, 40]
    assert "what is committed ends at 40" in call(capsys, alone, at_least=41)["msg"]


def test_the_newest_stay(alone: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    for seq in (10, 20, 30):
        core.snapshot_take(alone.journal, seq)
    preview = call(capsys, alone, keep=2, _ansible_check_mode=True)
    assert [(one["action"], one["seq"]) for one in preview["actions"]] == [("take", 40), ("remove", 10), ("remove", 20)]
    assert there(alone) == [10, 20, 30]
    assert call(capsys, alone, keep=2)["changed"] is True
    assert there(alone) == [30, 40]
    assert call(capsys, alone, keep=2)["changed"] is False


def test_a_damaged_one_counts_for_nothing(alone: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    """The only sound one stays, however many newer ones there are; the damaged one is named."""
    for seq in (10, 20, 40):
        core.snapshot_take(alone.journal, seq)
    damage(alone, 20)
    damage(alone, 40)
    info = call(capsys, alone, engine_snapshot_info, verify=True)
    assert [one["seq"] for one in info["snapshots"] if not one["fault"]] == [10]
    assert len(info["problems"]) == 2 and f"{20:020}.snapshot" in info["problems"][0]
    assert call(capsys, alone, keep=1, at_least=5)["changed"] is False
    assert there(alone) == [10, 20, 40]
    answer = call(capsys, alone, keep=1)  # the one of 40 is taken anew, and is sound then
    assert answer["changed"] is True
    assert there(alone) == [40]
    assert call(capsys, alone, engine_snapshot_info, verify=True)["problems"] == []


def test_nothing_that_is_not_committed_is_in_one(standby: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    """What a standby has beyond may be cut off again. One that was taken of it by hand is not counted."""
    core.snapshot_take(standby.journal, 40)
    answer = call(capsys, standby)
    assert [(one["seq"], bool(one["fault"])) for one in answer["snapshots"]] == [(30, False), (40, True)]
    assert "more than the 30 commands that are committed" in answer["snapshots"][1]["fault"]
    assert set(standby.requests) == {"status"}  # it asks, and nothing else
    standby.stop()
    refusal = call(capsys, standby)["msg"]
    assert "does not answer, so nobody knows how much of its journal is committed" in refusal


def test_a_primary_leaves_it_to_a_standby(standby: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    standby.answers["status"] = standby.status("primary", 1, [0, 1], commit=30)
    answer = call(capsys, standby)
    assert (answer["changed"], there(standby)) == (False, [])
    assert answer["left_to"] == "replica 1 is the primary, and replica 0 is in sync: it is left to the standby"
    assert call(capsys, standby, on_primary=True)["changed"] is True
    assert there(standby) == [30]
    standby.answers["status"] = standby.status("primary", 1, [1], commit=35)
    assert call(capsys, standby)["changed"] is True  # nobody else could
    assert there(standby) == [30, 35]


def test_refusals_are_one_line(alone: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        "keep is 0: the least is 1": {"keep": 0},
        "max_age is -1": {"max_age": -1},
        "give the engine.json of a member": {"config": "/nowhere/engine.json"},
    }
    for words, options in cases.items():
        message = call(capsys, alone, **options)["msg"]
        assert words in message and "\n" not in message
    alone.config.write_text('{"shard": 0}')
    assert "is no configuration of an engine ('replica')" in call(capsys, alone)["msg"]


def test_another_shards_journal_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_member(shard=3, members=0) as member:
        with core.Journal(member.journal, shard=4) as journal:
            journal.append([command_at(1)])
        assert call(capsys, member)["failed"] is True
        assert there(member) == []


def test_another_members_socket_is_refused(standby: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    other = standby.status("standby", 0, [0, 1, 2]) | {"replica": 2}
    standby.answers["status"] = other
    assert "answered by shard 0 replica 2" in call(capsys, standby)["msg"]
    assert there(standby) == []
