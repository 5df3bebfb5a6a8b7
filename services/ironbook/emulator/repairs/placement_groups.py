# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement groups: CreatePlacementGroup, DescribePlacementGroups, DeletePlacementGroup.

AWS: EC2 API reference, these three actions and the data type PlacementGroup; "Placement group rules and limitations"
in the EC2 user guide; the codes InvalidPlacementGroup.{Duplicate,InUse,Unknown} in EC2's "Error codes".
moto knows none of the three actions.  The groups live in the backend of their account and region, where
POST /moto-api/reset forgets them like everything else.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2 import utils
from moto.ec2.exceptions import EC2ClientError, MissingParameterError
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.responses import EC2Response

if TYPE_CHECKING:
    from . import Settings

STRATEGIES = ("cluster", "spread", "partition")
SPREAD_LEVELS = ("host", "rack")
NAME_CHARACTERS_MAX = 255
PARTITIONS_MAX = 7
ID_PREFIX = "pg"
_FILTERS = {
    "group-name": "group_name",
    "group-arn": "group_arn",
    "spread-level": "spread_level",
    "state": "state",
    "strategy": "strategy",
}


class PlacementGroup(TaggedEC2Resource):
    """One group, with the attributes that moto's serializer looks for by the names of the data type PlacementGroup."""

    def __init__(self, backend: Any, name: str, strategy: str, partitions: int | None, spread: str | None) -> None:
        """Make a group that is available at once, with AWS's defaults: 2 partitions, spread over racks."""
        self.ec2_backend = backend
        self.id = self.group_id = utils.random_id(prefix=ID_PREFIX)
        self.group_name = name
        self.group_arn = (
            f"arn:{backend.partition}:ec2:{backend.region_name}:{backend.account_id}:placement-group/{name}"
        )
        self.state = "available"
        self.strategy = strategy
        self.partition_count = partitions or (2 if strategy == "partition" else None)
        self.spread_level = spread or ("rack" if strategy == "spread" else None)


def apply(settings: Settings) -> None:
    """Give EC2's dispatcher the three actions, and its tags the resource type `placement-group`."""
    utils.EC2_RESOURCE_TO_PREFIX["placement-group"] = ID_PREFIX
    utils.EC2_PREFIX_TO_RESOURCE[ID_PREFIX] = "placement-group"
    for action in (create_placement_group, describe_placement_groups, delete_placement_group):
        setattr(EC2Response, action.__name__, action)


def create_placement_group(response: Any) -> ActionResult:
    """CreatePlacementGroup: the name is unique within its account and region."""
    name = response._get_param("GroupName")
    strategy = response._get_param("Strategy") or "cluster"
    partitions = response._get_int_param("PartitionCount")
    spread = response._get_param("SpreadLevel")
    tags = response._parse_tag_specification("placement-group").get("placement-group", {})
    _validate(name, strategy, partitions, spread)
    response.error_on_dryrun()
    group = PlacementGroup(response.ec2_backend, name, strategy, partitions, spread)
    if groups_of(response.ec2_backend).setdefault(name, group) is not group:
        raise EC2ClientError("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
    group.add_tags(tags)
    return ActionResult({"PlacementGroup": group})


def describe_placement_groups(response: Any) -> ActionResult:
    """DescribePlacementGroups: names and ids must exist, filters need not match."""
    backend = response.ec2_backend
    response.error_on_dryrun()
    found = list(groups_of(backend).values())
    if names := response._get_param("GroupNames", []):
        found = [find_group(backend, name) for name in names]
    if ids := response._get_param("GroupIds", []):
        for unknown in sorted(set(ids) - {group.id for group in found}):
            raise _unknown(unknown)
        found = [group for group in found if group.id in ids]
    for name, values in response._filters_from_querystring().items():
        found = [group for group in found if _matches(group, name, values)]
    return ActionResult({"PlacementGroups": found})


def delete_placement_group(response: Any) -> EmptyResult:
    """DeletePlacementGroup: refused as long as an instance in the group is not terminated."""
    backend = response.ec2_backend
    group = find_group(backend, response._get_param("GroupName"))
    response.error_on_dryrun()
    if instances_in(backend, group.group_name):
        message = f"The placement group '{group.group_name}' is in use and may not be deleted."
        raise EC2ClientError("InvalidPlacementGroup.InUse", message)
    del groups_of(backend)[group.group_name]
    backend.tags.pop(group.id, None)
    return EmptyResult()


def groups_of(backend: Any) -> dict[str, Any]:
    """Return the placement groups of one account and region, by name."""
    groups: dict[str, Any] = backend.__dict__.setdefault("placement_groups", {})
    return groups


def find_group(backend: Any, name: str) -> Any:
    """Return the group called `name`; raise EC2's InvalidPlacementGroup.Unknown where there is none."""
    try:
        return groups_of(backend)[name]
    except KeyError:
        raise _unknown(name) from None


def instances_in(backend: Any, name: str) -> list[Any]:
    """Return the instances of group `name` that are not terminated."""
    every = (instance for reservation in backend.reservations.values() for instance in reservation.instances)
    return [i for i in every if i.placement.group_name == name and i.state != "terminated"]


def _unknown(name: str) -> EC2ClientError:
    return EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")


def _validate(name: str | None, strategy: str, partitions: int | None, spread: str | None) -> None:
    """Refuse what CreatePlacementGroup refuses."""

    def invalid(value: object, parameter: str) -> EC2ClientError:
        return EC2ClientError("InvalidParameterValue", f"Value ({value}) for parameter {parameter} is invalid.")

    if not name:
        raise MissingParameterError("groupName")
    if len(name) > NAME_CHARACTERS_MAX or not name.isascii():
        raise invalid(name, "groupName")
    if strategy not in STRATEGIES:
        raise invalid(strategy, "strategy")
    if partitions is not None and (strategy != "partition" or not 1 <= partitions <= PARTITIONS_MAX):
        raise invalid(partitions, "partitionCount")
    if spread is not None and (strategy != "spread" or spread not in SPREAD_LEVELS):
        raise invalid(spread, "spreadLevel")


def _matches(group: Any, name: str, values: list[str]) -> bool:
    """Whether a group passes one filter of DescribePlacementGroups; `*` and `?` are wildcards, as everywhere in EC2."""
    if name == "tag-key" or name.startswith("tag:"):
        return bool(utils.tag_filter_matches(group, name, values))
    if name not in _FILTERS:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    value = getattr(group, _FILTERS[name]) or ""
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in values)
