# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the EC2 API what ec2_facts.py judges, for many instances at once; runs on the controller.

A part that the API refuses is left out, and `refused` of each instance says by which call and why, so that what rests
on it is unknown by name. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

AT_ONCE = 100
"""How many instances a call names; DescribeInstanceStatus takes no more."""

Said = dict[str, Any]
Pages = Iterable[Mapping[str, Any]]


class Asked:
    """The API, with what it refused."""

    def __init__(self, ec2: Any, reason: Callable[[Exception], str | None]) -> None:
        """Take a boto3 client; `reason` says why a call failed, or None where the error is not the API's."""
        self.ec2 = ec2
        self.reason = reason
        self.refused: dict[str, str] = {}

    def about(self, part: str, operation: str, key: str, **question: Any) -> list[dict[str, Any]]:
        """Return the entries under `key` of all pages of an answer; none where it is refused, which is kept."""
        try:
            return [dict(entry) for page in self._pages(operation, question) for entry in page.get(key, ())]
        except Exception as exc:
            why = self.reason(exc)
            if why is None:
                raise
            action = "".join(word.capitalize() for word in operation.split("_"))
            self.refused[part] = f"ec2:{action} was refused: {why}"
            return []

    def _pages(self, operation: str, question: Mapping[str, Any]) -> Pages:
        if self.ec2.can_paginate(operation):
            return self.ec2.get_paginator(operation).paginate(**question)
        return [getattr(self.ec2, operation)(**question)]


def read(ec2: Any, instances: Iterable[str], reason: Callable[[Exception], str | None]) -> dict[str, Said]:
    """Return what the API says of each instance.

    Args:
        ec2: a boto3 client.
        instances: their IDs.
        reason: why a call failed, of its exception; None where the error is not the API's and is to be raised.

    Returns:
        By ID the parts that ec2_facts.py names, and `refused`: part -> the call and why. An instance that the API does
        not know has no part but that.

    """
    wanted = sorted(set(instances))
    asked = Asked(ec2, reason)
    found: dict[str, dict[str, Any]] = {}
    # By a filter: of instances that are named, one that is gone makes the whole call fail.
    for some in _portions(wanted):
        answer = asked.about("instance", "describe_instances", "Reservations", Filters=_only("instance-id", some))
        found |= {each["InstanceId"]: each for reservation in answer for each in reservation["Instances"]}
    status: dict[str, dict[str, Any]] = {}
    for some in _portions(sorted(found)):
        answer = asked.about(
            "status", "describe_instance_status", "InstanceStatuses", InstanceIds=some, IncludeAllInstances=True
        )
        status |= {each["InstanceId"]: each for each in answer}
    secured: dict[str, dict[str, Any]] = {}
    for some in _portions(sorted({name for each in found.values() for name in _security_groups(each)})):
        answer = asked.about(
            "security_groups", "describe_security_groups", "SecurityGroups", Filters=_only("group-id", some)
        )
        secured |= {each["GroupId"]: each for each in answer}
    groups = asked.about("placement_group", "describe_placement_groups", "PlacementGroups")
    sessions = asked.about("mirror_sessions", "describe_traffic_mirror_sessions", "TrafficMirrorSessions")
    said: dict[str, Said] = {}
    for name in wanted:
        if name not in found:
            why = asked.refused.get("instance", f"ec2:DescribeInstances knows no {name}")
            said[name] = {"refused": dict.fromkeys(("instance", "status", "placement_group", "security_groups"), why)}
            continue
        parts: Said = {
            "instance": found[name],
            "status": status.get(name),
            "placement_group": _group(found[name], groups),
            "security_groups": [secured[each] for each in _security_groups(found[name]) if each in secured],
            "mirror_sessions": sessions,
        }
        had = {part: value for part, value in parts.items() if value is not None and part not in asked.refused}
        said[name] = {**had, "refused": dict(asked.refused)}
    return said


def _group(instance: Mapping[str, Any], groups: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the instance's placement group; one that another account shares is known by its ID alone."""
    placement = instance.get("Placement", {})
    named = {placement.get("GroupId"), placement.get("GroupName")} - {None, ""}
    return next((each for each in groups if named & {each.get("GroupId"), each.get("GroupName")}), None)


def _security_groups(instance: Mapping[str, Any]) -> list[str]:
    """Return the groups of all its interfaces, each once."""
    groups = [*instance.get("SecurityGroups", ())]
    for interface in instance.get("NetworkInterfaces", ()):
        groups += interface.get("Groups", ())
    return list(dict.fromkeys(group["GroupId"] for group in groups))


def _only(name: str, values: list[str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": values}]


def _portions(names: list[str]) -> Iterator[list[str]]:
    yield from (names[first : first + AT_ONCE] for first in range(0, len(names), AT_ONCE))
