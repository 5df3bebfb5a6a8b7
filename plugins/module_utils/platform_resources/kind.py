# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of resource is: its fields, how each can change, and the calls that find, make, change and remove one.

A declaration decides nothing. Whose a resource is, what differs, in which order it is done, how long it is waited for
and what is tried again is the engine's (plan.py, engine.py, calls.py), the same for each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# How a field of a resource that exists becomes what is wanted.
IN_PLACE = "in place"
REPLACE = "by replacement"  # the resource is deleted and made anew; only where it holds nothing that could be lost
NEVER = "never"  # refused, with a remedy: replacing it would lose data, or end what runs on it

# States of a resource. One that AWS shows for a while after its end does not count as found: `find` leaves it out.
READY = "ready"
PENDING = "pending"
FAILED = "failed"

# A default that stands for the tags of the run.
TAGS = object()


@dataclass(frozen=True)
class Field:
    """One field, as the inventory gives it and as `find` tells it: both in the same form, so that they compare.

    `type`, `elements` and `choices` are those of an argument of Ansible. `to` says what a
    value names: a kind, or one of lookups.py; the plan puts the id there (for a dictionary, in place of its values).
    `words` are values that name nothing, since they have a meaning of their own.
    """

    name: str
    says: str
    type: str = "str"
    change: str = IN_PLACE
    default: Any = None
    required: bool = False
    choices: Sequence[Any] = ()
    elements: str = ""
    to: str = ""
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """A resource as AWS has it. `fields` has every field of its kind."""

    name: str
    id: str
    fields: Mapping[str, Any]
    tags: Mapping[str, str]
    state: str = READY


def no_problem(_fields: Mapping[str, Any]) -> Iterable[str]:
    """Find nothing wrong."""
    return ()


@dataclass(frozen=True)
class Kind:
    """A kind of resource. The functions get `aws` (calls.Calls), through which alone they ask AWS.

    `find(aws, names)`: those of these names, or all where names is None; foreign ones too. Those that end are left out.
    `create(aws, name, fields, tags)`: make it with its tags in one call, so that whatever happens then, it is known as
    ours; return its id. `update(aws, found, fields, changed)`: set the fields named in `changed`; `fields` is all that
    is wanted. `delete(aws, found)`. `tag(aws, found, tags)`: set these, beside others.
    `problems(fields)`: a line for each thing that is wrong with what is wanted, asked before the first call; here alone
    `fields` has the `name` as well.
    `not_found`: codes by which AWS says that it, or what it rests on, is not there.
    `arn`: the last part of its ARN, with {id}; it may be left out where that is EC2's own form, `kind-name/{id}`.
    `is_global`: whether its ARN names no region.
    `name_is_unique`: AWS allows no two with one name. `id_is_name`: the name is the id as well.
    """

    name: str
    says: str
    service: str
    fields: Sequence[Field]
    find: Callable[[Any, Sequence[str] | None], Iterable[Found]]
    create: Callable[[Any, str, Mapping[str, Any], Mapping[str, str]], str]
    update: Callable[[Any, Found, Mapping[str, Any], Sequence[str]], None]
    delete: Callable[[Any, Found], None]
    tag: Callable[[Any, Found, Mapping[str, str]], None]
    not_found: Sequence[str] = ()
    arn: str = ""
    is_global: bool = False
    name_is_unique: bool = False
    id_is_name: bool = False
    problems: Callable[[Mapping[str, Any]], Iterable[str]] = no_problem
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plural(self) -> str:
        """The argument of the modules that lists resources of this kind."""
        return f"{self.name}s"

    def field_named(self, name: str) -> Field:
        """One of its fields."""
        return next(field for field in self.fields if field.name == name)

    def one(self, aws: Any, identifier: str, name: str = "") -> Found | None:
        """The one with that id, or None; with its name, AWS is asked for that alone."""
        listed = self.find(aws, [name] if name else None)
        return next((found for found in listed if found.id == identifier), None)

    def remove(self, aws: Any, found: Found) -> None:
        """Delete it, and wait until AWS shows it no more."""
        aws.unless_gone(lambda: self.delete(aws, found), None)
        aws.wait_until(lambda: self.one(aws, found.id, found.name) is None, "it was not gone")

    @property
    def rests_on(self) -> set[str]:
        """The kinds and lookups that its fields name."""
        return {field.to for field in self.fields if field.to}


def unchangeable(_aws: Any, found: Found, _fields: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Stand for `update` where no field changes in place."""
    raise ValueError(f"{found.name}: {', '.join(changed)} cannot be changed in place")


def tag_ec2(aws: Any, found: Found, tags: Mapping[str, str]) -> None:
    """Tag what belongs to EC2."""
    aws.call("create_tags", Resources=[found.id], Tags=pairs(tags))


def specification(resource_type: str, name: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """What EC2 takes as TagSpecifications: our tags, and the name."""
    return [{"ResourceType": resource_type, "Tags": pairs({**tags, "Name": name})}]


def named(names: Sequence[str] | None) -> dict[str, Any]:
    """What EC2 takes as Filters for resources whose Name is one of these; nothing where all are wanted."""
    return {"Filters": [{"Name": "tag:Name", "Values": list(names)}]} if names is not None else {}


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_of(listed: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as AWS tells them, as a dictionary."""
    return {pair["Key"]: pair["Value"] for pair in listed or ()}
