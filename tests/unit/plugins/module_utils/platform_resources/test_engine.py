# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine against kinds that the test makes up, whose account is a dictionary."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.engine import (
    Outcome,
    find_all,
    reconcile,
)
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kind import (
    FAILED,
    PENDING,
    READY,
    REPLACE,
    Field,
    Found,
    Kind,
)
from botocore.exceptions import ClientError
from platform_resources import FOREIGN, TAGS, FastClock


def refused(code: str, operation: str = "CreateThing") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"said {code}"}}, operation)


@dataclass
class World:
    """An account with things. `late`: readings until a change shows. `errors`: what a call raises before it works."""

    things: dict[str, Found] = field(default_factory=dict)
    late: int = 0
    first_state: str = READY
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    shown: dict[str, Found] = field(default_factory=dict)
    stale: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    meet: threading.Barrier | None = None

    def change(self, identifier: str, thing: Found | None) -> None:
        self.stale = self.late
        if thing is None:
            del self.things[identifier]
        else:
            self.things[identifier] = thing

    def describe_things(self) -> list[Found]:
        with self.lock:
            if self.stale:
                self.stale -= 1
            else:
                self.shown = dict(self.things)
                for key, thing in self.things.items():  # what is pending gets ready once it has been seen
                    self.things[key] = replace(thing, state=READY) if thing.state == PENDING else thing
            return list(self.shown.values())

    def _act(self, what: str) -> None:
        if self.errors.get(what):
            raise self.errors[what].pop(0)
        self.done.append(what)

    def create_thing(self, kind: str, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        if self.meet:
            self.meet.wait(20)
        with self.lock:
            self._act(f"create {name}")
            identifier = f"{kind}-{len(self.done)}"
            self.change(identifier, Found(name, identifier, dict(fields), dict(tags), self.first_state))
            return identifier

    def modify_thing(self, identifier: str, fields: Mapping[str, Any]) -> None:
        with self.lock:
            self._act(f"modify {self.things[identifier].name}")
            self.change(identifier, replace(self.things[identifier], fields=dict(fields)))

    def tag_thing(self, identifier: str, tags: Mapping[str, str]) -> None:
        with self.lock:
            thing = self.things[identifier]
            self._act(f"tag {thing.name}")
            self.change(identifier, replace(thing, tags={**thing.tags, **tags}))

    def delete_thing(self, identifier: str) -> None:
        with self.lock:
            self._act(f"delete {self.things[identifier].name}")
            self.change(identifier, None)


def made_up(name: str, fields: Sequence[Field], **more: Any) -> Kind:
    def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
        for thing in aws.call("describe_things"):
            if thing.id.startswith(f"{name}-") and (names is None or thing.name in names):
                yield thing

    return Kind(
        name=name,
        says="A thing.",
        service="things",
        fields=fields,
        find=find,
        create=lambda aws, called, values, tags: aws.call(
            "create_thing", kind=name, name=called, fields=values, tags=tags
        ),
        update=lambda aws, found, values, _changed: aws.call("modify_thing", identifier=found.id, fields=values),
        delete=lambda aws, found: aws.call("delete_thing", identifier=found.id),
        tag=lambda aws, found, tags: aws.call("tag_thing", identifier=found.id, tags=tags),
        not_found=("NotFound",),
        **more,
    )


KINDS = {
    kind.name: kind
    for kind in (
        made_up("base", (Field("size", "s", "int", default=1), Field("shape", "s", default="round", change=REPLACE))),
        made_up("top", (Field("base", "s", to="base"), Field("size", "s", "int", default=1))),
    )
}
BOTH: dict[str, Any] = {"bases": [{"name": "b"}], "tops": [{"name": "t", "base": "b"}]}


def go(world: World, options: Mapping[str, Any], *, check: bool = False, adopt: bool = False, **more: Any) -> Outcome:
    clock = more.pop("clock", FastClock())
    wanted = plan.wanted_of(KINDS, {"tags": TAGS, **options})
    account = Account(lambda _service: world, more.pop("seconds", 600), clock)
    return reconcile(KINDS, wanted, plan.Run(TAGS, adopt, check), account, **more)


def done_by(outcome: Outcome) -> list[str]:
    return [f"{step.action} {step.wanted.name}" for step in outcome.done]


def test_what_is_named_is_made_before_what_names_it() -> None:
    """And its id, which nobody knows before, is what the other is made with."""
    world = World()
    outcome = go(world, BOTH)
    assert (outcome.problems, done_by(outcome)) == ([], ["create b", "create t"])
    assert world.things["top-2"].fields["base"] == "base-1"
    assert go(world, BOTH).planned == []


def test_what_is_named_is_removed_after_what_names_it() -> None:
    world = World()
    go(world, BOTH)
    world.done.clear()
    outcome = go(world, {key: [{**each, "state": "absent"} for each in value] for key, value in BOTH.items()})
    assert (outcome.problems, world.done, world.things) == ([], ["delete t", "delete b"], {})


def test_what_is_made_anew_passes_its_new_id_on() -> None:
    world = World()
    go(world, BOTH)
    outcome = go(world, {**BOTH, "bases": [{"name": "b", "shape": "square"}]})
    assert done_by(outcome) == ["replace b", "update t"]
    (top,) = [thing for thing in world.things.values() if thing.name == "t"]
    assert world.things[top.fields["base"]].fields["shape"] == "square"


def test_what_does_not_depend_is_done_side_by_side() -> None:
    """Each creation waits until all four have begun: one after the other, none would ever end."""
    world = World(meet=threading.Barrier(4))
    outcome = go(world, {"bases": [{"name": f"b{number}"} for number in range(4)]})
    assert (outcome.problems, len(world.things)) == ([], 4)


@pytest.mark.parametrize("late", [1, 5])
def test_it_is_done_only_once_aws_shows_it(late: int) -> None:
    """A new resource that does not show yet is waited for, and its next run finds it instead of making a second one."""
    world, clock = World(late=late, first_state=PENDING), FastClock()
    assert go(world, BOTH, clock=clock).problems == []
    assert clock.waits >= late and all(thing.state == READY for thing in world.things.values())
    assert go(world, BOTH).planned == []
    outcome = go(world, {**BOTH, "bases": [{"name": "b", "size": 2}]})
    assert (outcome.problems, [thing.fields["size"] for thing in world.describe_things() if thing.name == "b"]) == (
        [],
        [2],
    )


def test_what_never_shows_ends_at_the_deadline() -> None:
    outcome = go(World(late=10**6), {"bases": [{"name": "b"}]}, seconds=30)
    assert outcome.problems == [
        "base b: creating it: it was not as wanted (AWS does not show it) within the 30 s of this run: "
        "run again, it goes on from here"
    ]


def test_what_aws_gave_up_is_said() -> None:
    outcome = go(World(first_state=FAILED), {"bases": [{"name": "b"}]})
    assert outcome.problems == [
        "base b: creating it: AWS says that it has failed: remove it (state: absent), and run again"
    ]


def test_throttling_is_waited_out_and_seen() -> None:
    world, clock = World(errors={"create b": [refused("RequestLimitExceeded")] * 4}), FastClock()
    assert go(world, {"bases": [{"name": "b"}]}, clock=clock).problems == []
    assert clock.waits >= 4 and world.done == ["create b"]
    world = World(errors={"create b": [refused("Throttling")] * 10_000})
    (line,) = go(world, {"bases": [{"name": "b"}]}).problems
    assert line == (
        "base b: creating it failed: said Throttling (Throttling): "
        "AWS let no more requests through until the deadline; run again, it goes on from here"
    )


def test_what_was_just_made_may_not_be_found_yet() -> None:
    """Only by what rests on it: a wrong name would else be waited for until the deadline."""
    world = World(errors={"create t": [refused("NotFound")] * 3})
    assert go(world, BOTH).problems == []
    world = World(errors={"create b": [refused("NotFound")]})
    (line, left_out) = go(world, BOTH).problems
    assert line.startswith("base b: creating it failed: said NotFound (NotFound): it, or what it names, is not there")
    assert left_out == "top t: left out, since base b failed: correct that first"


def test_denied_permission_names_the_action_and_the_resource() -> None:
    world = World(errors={"create b": [refused("UnauthorizedOperation")]})
    assert go(world, {"bases": [{"name": "b"}]}).problems == [
        "base b: creating it failed: said UnauthorizedOperation (UnauthorizedOperation): "
        "allow things:CreateThing to the credentials of this run"
    ]


def test_a_failure_in_the_middle_leaves_what_the_next_run_completes() -> None:
    world = World(errors={"create t": [refused("InternalError")]})
    options = {**BOTH, "bases": [{"name": "b"}, {"name": "other"}]}
    outcome = go(world, options)
    assert len(outcome.problems) == 1 and sorted(done_by(outcome)) == ["create b", "create other"]
    again = go(world, options)
    assert (again.problems, done_by(again)) == ([], ["create t"])
    assert go(world, options).planned == []


def test_check_mode_on_an_empty_account_shows_and_does_nothing() -> None:
    world = World()
    outcome = go(world, BOTH, check=True)
    assert (outcome.problems, world.done, outcome.done) == ([], [], [])
    assert [step.told for step in outcome.planned] == [
        {"kind": "base", "name": "b", "action": "create"},
        {"kind": "top", "name": "t", "action": "create"},
    ]
    assert outcome.planned[1].after == {"base": plan.UNKNOWN, "size": 1, "tags": dict(sorted(TAGS.items()))}
    alone = go(world, {"tops": BOTH["tops"]}, check=True)
    assert (alone.problems, alone.planned[0].after["base"]) == ([], plan.UNKNOWN)


def test_a_read_cannot_write() -> None:
    """Whatever a declaration's `find` tries: in check mode and in the twin that only reads nothing is ever changed."""
    world = World(things={"base-1": Found("b", "base-1", {"size": 1, "shape": "round"}, TAGS)})
    broken = replace(KINDS["base"], find=lambda aws, _names: [aws.call("delete_thing", identifier="base-1")])
    ours, problems = find_all({"base": broken}, plan.Run(TAGS), Account(lambda _service: world, 60, FastClock()))
    assert (ours, world.done) == ([], [])
    assert "delete_thing would change something, and this run only reads" in problems[0]


def test_what_is_named_and_nowhere_is_said_before_anything_is_done() -> None:
    world = World()
    outcome = go(world, {"bases": [{"name": "b"}], "tops": [{"name": "t", "base": "nobody"}]})
    assert outcome.problems == [
        "top t: it names the base nobody, which does not exist: correct the name, or provide that first"
    ]
    assert world.done == []


def test_a_foreign_one_is_neither_changed_nor_removed() -> None:
    foreign = Found("b", "base-9", {"size": 7, "shape": "square"}, FOREIGN)
    world = World(things={"base-9": foreign})
    for adopt in (False, True):
        assert go(world, {"bases": [{"name": "b", "state": "absent"}]}, adopt=adopt).planned == []
    go(world, {"bases": [{"name": "b"}]}, adopt=True)
    assert world.things["base-9"] == foreign and len(world.things) == 2


def test_lost_tags_are_set_again_and_others_let_alone() -> None:
    tags = {**TAGS, "Team": "wrong", "Backup": "daily"}
    world = World(things={"base-9": Found("b", "base-9", {"size": 1, "shape": "round"}, tags)})
    outcome = go(world, {"bases": [{"name": "b"}]})
    assert [step.told for step in outcome.done] == [{"kind": "base", "name": "b", "action": "tag", "fields": ["tags"]}]
    assert world.things["base-9"].tags == {**TAGS, "Backup": "daily"} and world.done == ["tag b"]


def test_what_is_nobodys_is_adopted_when_asked() -> None:
    world = World(things={"base-9": Found("b", "base-9", {"size": 1, "shape": "round"}, {"Backup": "daily"})})
    (line,) = go(world, {"bases": [{"name": "b"}]}).problems
    assert line == (
        "base b: base-9 has that name and lacks the tags that say whose it is (Project, Environment, ManagedBy): "
        "take it under management (adopt: true), or give ours another name"
    )
    assert world.done == []
    outcome = go(world, {"bases": [{"name": "b"}]}, adopt=True)
    assert (outcome.problems, world.done) == ([], ["tag b"])
    assert go(world, {"bases": [{"name": "b"}]}).planned == []
