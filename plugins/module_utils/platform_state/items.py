# SPDX-License-Identifier: GPL-3.0-or-later
"""What a listing finds, and whose it is. Pure.

Ours is what carries our tags Project, Environment and ManagedBy, as in platform_resources/plan.py. What carries those
of another is somebody else's. What carries none of them is nobody's; it lacks its tags where it can only be a part of
ours: it lies in our VPC, belongs to something of ours, or its name begins as all of ours do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..platform_resources.plan import Run

# Of these every one is listed, and AWS, the tagging API too, goes on telling of one for a while after it has ended.
MAY_BE_GONE = {
    "ec2_customer_gateway", "ec2_dedicated_host", "ec2_instance", "ec2_natgateway", "ec2_transit_gateway",
    "ec2_transit_gateway_attachment", "ec2_transit_gateway_route_table", "ec2_vpc_endpoint",
    "ec2_vpn_connection", "ec2_vpn_gateway",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where is listed. `prefix`: what the names of our resources begin with, followed by a hyphen or by nothing."""

    account: str
    region: str
    prefix: str
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def is_named_as_ours(self, name: str) -> bool:
        """Whether that name begins as ours do."""
        return name == self.prefix or name.startswith(f"{self.prefix}-")


@dataclass(frozen=True)
class Item:
    """One resource. `vpc`: the id of the VPC that it lies in. `parts`: ids of what AWS made beside it.

    `shown`: what the environment's outputs may tell of it, such as an endpoint.
    """

    kind: str
    id: str
    name: str
    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)
    vpc: str = ""
    parts: Sequence[str] = ()
    shown: Mapping[str, Any] = field(default_factory=dict)

    def told(self, **more: Any) -> dict[str, Any]:
        """Return it as a module reports it."""
        return {"kind": self.kind, "id": self.id, "name": self.name, "arn": self.arn, "tags": dict(self.tags),
                "shown": dict(self.shown), **more}  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """A kind of resource and how all of it is listed. `find(aws, place)`: `aws` is platform_resources' Calls.

    It tells what is there, foreign ones too, but neither what has ended nor what AWS has by itself, such as the default
    security group of a VPC. `not_found`: codes by which AWS says that one has gone since it was listed.
    """

    kind: str
    service: str
    find: Callable[[Any, Place], Iterable[Item]]
    not_found: Sequence[str] = ()


@dataclass
class Estate:
    """What there is: `ours`, and `unmarked`, each with the reason why it is taken for ours in spite of its tags.

    `everything` is what the listings found, whoever's it is.
    """

    ours: list[Item] = field(default_factory=list)
    unmarked: list[tuple[Item, str]] = field(default_factory=list)
    everything: list[Item] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return a line for each resource, for each that lacks its tags, and for the count of both."""
        drift = "drift: {0.kind} {0.id} ({1}) does not carry the tags that say whose it is, and {2}: tag or remove it"
        return [
            *(f"{item.kind:<28} {item.name:<44} {item.arn or item.id}" for item in self.ours),
            *(drift.format(item, item.name or "without a Name", reason) for item, reason in self.unmarked),
            f"{len(self.ours)} resources, and {len(self.unmarked)} without the tags that say whose they are",
        ]


def sort_out(items: Iterable[Item], tagged: Mapping[str, Mapping[str, str]], run: Run, place: Place) -> Estate:
    """Say what is ours. `tagged`: ARN -> tags of what the tagging API knows to be ours, listed by a kind or not."""
    known = _without_doubles(items)
    found = Estate(everything=known)
    found.ours = [item for item in known if run.owner(item.tags) == "ours"]
    listed = {item.id for item in known} | {item.arn for item in known}
    found.ours += [
        Item(kind_of(arn), end_of(arn), tags.get("Name", end_of(arn)), arn, tags)
        for arn, tags in sorted(tagged.items())
        if arn.removesuffix(":*") not in listed and end_of(arn) not in listed and kind_of(arn) not in MAY_BE_GONE
    ]
    vpcs = {item.id: item.name for item in found.ours if item.kind == "vpc"}
    parts = {part: item.name or item.id for item in found.ours for part in item.parts}
    for item in known:
        if run.owner(item.tags) != "nobody":
            continue
        if item.id in parts:
            found.unmarked.append((item, f"it belongs to {parts[item.id]}"))
        elif item.vpc in vpcs:
            found.unmarked.append((item, f"it lies in the VPC {vpcs[item.vpc] or item.vpc}"))
        elif place.is_named_as_ours(item.name):
            found.unmarked.append((item, "its name begins as ours do"))
    found.ours.sort(key=lambda item: (item.kind, item.name, item.id))
    found.unmarked.sort(key=lambda pair: (pair[0].kind, pair[0].name, pair[0].id))
    return found


def _without_doubles(items: Iterable[Item]) -> list[Item]:
    return list({(item.kind, item.id): item for item in items}.values())


def end_of(arn: str) -> str:
    """Return what names a resource within its kind: the last part of its ARN, without a log group's asterisk."""
    return re.split("[:/]", arn.removesuffix(":*"))[-1]


def kind_of(arn: str) -> str:
    """Return a word for the kind of what only the tagging API knows: service and type, as the ARN has them."""
    _arn, _partition, service, _region, _account, resource = arn.split(":", 5)
    kind = re.split("[:/]", resource)[0]
    return f"{service}_{kind}".replace("-", "_") if kind != resource else service
