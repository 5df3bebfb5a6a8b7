# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists what our reconcile engine makes, by the declarations of its kinds: a new kind is listed without a line here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..platform_resources.kind import Kind
from ..platform_resources.kinds import KINDS
from .items import Item, Listing, Place


def listing(kind: Kind) -> Listing:
    """Return the listing of one kind. The ARN of what is not EC2's and does not say it is left open."""

    def find(aws: Any, place: Place) -> Iterator[Item]:
        for found in kind.find(aws, None):
            form = kind.arn or (f"{kind.name.replace('_', '-')}/{{id}}" if kind.service == "ec2" else "")
            there = replace(place, region="") if kind.is_global else place
            arn = there.arn(kind.service, form.format(id=found.id)) if form else ""
            vpc = str(found.fields.get("vpc") or "")
            yield Item(kind.name, found.id, found.name, arn, found.tags, vpc, shown=dict(found.fields))

    return Listing(kind.name, kind.service, find, kind.not_found)


def listings(kinds: Mapping[str, Kind] = KINDS) -> list[Listing]:
    """Return the listing of each kind."""
    return [listing(kinds[name]) for name in sorted(kinds)]
