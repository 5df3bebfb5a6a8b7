# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks AWS for everything of an environment, a listing for each kind, side by side.

One kind that cannot be read is a line of `problems`, and the others are read all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..platform_resources.calls import Account, Calls, ResourceError
from ..platform_resources.engine import WORKERS
from ..platform_resources.kind import tags_of
from ..platform_resources.plan import MARKS, Run
from . import hosts, network, own, stores
from .items import Estate, Item, Listing, Place, sort_out

READING = "reading what is there"


def listings() -> list[Listing]:
    """Return every listing."""
    return [*network.LISTINGS, *hosts.LISTINGS, *stores.LISTINGS, *own.listings()]


def whereabouts(account: Account, region: str, prefix: str) -> Place:
    """Ask whose credentials these are. ResourceError where AWS does not say."""
    aws = Calls(account, "sts", "account", read_only=True)
    with aws.explained("of these credentials", READING):
        arn = aws.call("get_caller_identity")["Arn"]
    _arn, partition, _service, _region, number, _who = arn.split(":", 5)
    return Place(number, region, prefix, partition)


def read(account: Account, run: Run, place: Place, kinds: Sequence[Listing]) -> tuple[Estate, list[str]]:
    """Return what there is, and a line for each kind that could not be read."""
    with ThreadPoolExecutor(WORKERS) as pool:
        tagged = pool.submit(_tagged, account, run)
        listed = [pool.submit(_list, account, place, kind) for kind in kinds]
    items: list[Item] = []
    problems: list[str] = []
    for future in listed:
        try:
            items += future.result()
        except ResourceError as error:
            problems.append(str(error))
    try:
        known = tagged.result()
    except ResourceError as error:
        known = {}
        problems.append(str(error))
    return sort_out(items, known, run, place), problems


def _list(account: Account, place: Place, kind: Listing) -> list[Item]:
    aws = Calls(account, kind.service, kind.kind, kind.not_found, read_only=True)
    with aws.explained("of any name", READING):
        return list(kind.find(aws, place))


def _tagged(account: Account, run: Run) -> Mapping[str, Mapping[str, str]]:
    """Return ARN -> tags of all that the tagging API has with our marks; what it names otherwise has no kind."""
    aws = Calls(account, "resourcegroupstaggingapi", "tagged resource", read_only=True)
    filters: list[Mapping[str, Any]] = [{"Key": mark, "Values": [run.tags[mark]]} for mark in MARKS]
    with aws.explained("of any name", READING):
        found = aws.pages("get_resources", "ResourceTagMappingList", TagFilters=filters)
    named = [mapping for mapping in found if mapping["ResourceARN"].startswith("arn:")]
    return {mapping["ResourceARN"]: tags_of(mapping.get("Tags")) for mapping in named}
