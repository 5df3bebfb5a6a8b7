# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes resources under management that somebody made by other means: they get our tags, and their parts with them.

`plan` is pure and whole before the first change: where one of them cannot be taken, none is. What carries the tags of
another is never taken. Whether a resource is as the inventory describes it, the next run of provision says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..platform_resources.calls import Account, Calls, ResourceError
from ..platform_resources.kind import pairs, tags_of
from ..platform_resources.kinds import KINDS
from ..platform_resources.plan import Run
from .items import Item

DOING = "tagging it"


@dataclass(frozen=True)
class Wanted:
    """A resource to take: `name` is what the inventory calls it, `tags` what it carries beside those of all."""

    kind: str
    id: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """Tags that one resource lacks or has otherwise."""

    item: Item
    tags: Mapping[str, str]

    @property
    def told(self) -> dict[str, Any]:
        """It as a module reports it."""
        return {"kind": self.item.kind, "name": self.tags.get("Name", self.item.name), "id": self.item.id,
                "action": "tag"}  # fmt: skip


def plan(items: Sequence[Item], wanted: Sequence[Wanted], run: Run) -> tuple[list[Action], list[str]]:
    """Return what to tag, and a line for each that cannot be taken. `items`: everything that there is."""
    there = {(item.kind, item.id): item for item in items}
    by_id = {item.id: item for item in items}
    actions, problems = [], []
    named = Counter((each.kind, each.name) for each in wanted)
    for each in wanted:
        item = there.get((each.kind, each.id))
        problem = _problem(item, each, items, run)
        if not problem and named[each.kind, each.name] > 1:
            problem = f"another of this run is to have the name {each.name}, too: give it another"
        if item is None or problem:
            problems.append(f"{each.kind} {each.id}: {problem}")
            continue
        tags = {**run.tags, **each.tags, "Name": each.name}
        actions.append(_action(item, tags))
        owned = [by_id[part] for part in item.parts if part in by_id and run.owner(by_id[part].tags) == "nobody"]
        actions += [_action(part, {**run.tags, "Name": each.name}) for part in owned]
    return [action for action in actions if action.tags], problems


def _problem(item: Item | None, wanted: Wanted, items: Sequence[Item], run: Run) -> str:
    if item is None:
        return "there is none of that id in this region: correct it"
    owner = run.owner(item.tags)
    if owner not in ("ours", "nobody"):
        return f"it is somebody else's ({owner}): ask them"
    same = [other.id for other in items if other.kind == wanted.kind and other.id != wanted.id
            and other.name == wanted.name and run.owner(other.tags) == "ours"]  # fmt: skip
    return (
        f"{same[0]} is ours and has the name {wanted.name}: give this one another, or remove that one" if same else ""
    )


def _action(item: Item, tags: Mapping[str, str]) -> Action:
    return Action(item, {key: value for key, value in tags.items() if item.tags.get(key) != value})


def apply(account: Account, actions: Sequence[Action]) -> None:
    """Tag them, one after the other. ResourceError where AWS refuses; the next run goes on from there."""
    for action in actions:
        kind = KINDS.get(action.item.kind)
        service = kind.service if kind else SERVICES.get(action.item.kind, "ec2")
        aws = Calls(account, service, action.item.kind, kind.not_found if kind else ("NoSuchTagSet",))
        with aws.explained(action.item.id, DOING):
            if kind:
                found = kind.one(aws, action.item.id)
                if found is None:
                    raise ResourceError("it has gone since it was listed: run again")
                kind.tag(aws, found, action.tags)
            else:
                TAGGERS[service](aws, action.item, action.tags)


def _ec2(aws: Calls, item: Item, tags: Mapping[str, str]) -> None:
    aws.call("create_tags", Resources=[item.id], Tags=pairs(tags))


def _rds(aws: Calls, item: Item, tags: Mapping[str, str]) -> None:
    aws.call("add_tags_to_resource", ResourceName=item.arn, Tags=pairs(tags))


def _s3(aws: Calls, item: Item, tags: Mapping[str, str]) -> None:
    """S3 sets all of them at once: what is there beside stays."""
    there: list[dict[str, str]] = aws.unless_gone(lambda: aws.call("get_bucket_tagging", Bucket=item.id)["TagSet"], [])
    aws.call("put_bucket_tagging", Bucket=item.id, Tagging={"TagSet": pairs({**tags_of(there), **tags})})


def _kms(aws: Calls, item: Item, tags: Mapping[str, str]) -> None:
    aws.call("tag_resource", KeyId=item.id, Tags=[{"TagKey": key, "TagValue": value} for key, value in tags.items()])


def _kinesis(aws: Calls, item: Item, tags: Mapping[str, str]) -> None:
    aws.call("add_tags_to_stream", StreamName=item.id, Tags=dict(tags))


def _dynamodb(aws: Calls, item: Item, tags: Mapping[str, str]) -> None:
    aws.call("tag_resource", ResourceArn=item.arn, Tags=pairs(tags))


def _iam(aws: Calls, item: Item, tags: Mapping[str, str]) -> None:
    if item.kind == "iam_role":
        aws.call("tag_role", RoleName=item.id, Tags=pairs(tags))
    else:
        aws.call("tag_instance_profile", InstanceProfileName=item.id, Tags=pairs(tags))


SERVICES = {
    "kms_key": "kms", "s3_bucket": "s3", "kinesis_stream": "kinesis", "dynamodb_table": "dynamodb",
    "db_instance": "rds", "db_subnet_group": "rds", "iam_role": "iam", "instance_profile": "iam",
}  # fmt: skip
TAGGERS: Mapping[str, Callable[[Calls, Item, Mapping[str, str]], None]] = {
    "ec2": _ec2, "rds": _rds, "s3": _s3, "kms": _kms, "kinesis": _kinesis, "dynamodb": _dynamodb, "iam": _iam,
}  # fmt: skip
