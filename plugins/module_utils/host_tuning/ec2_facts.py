# SPDX-License-Identifier: GPL-3.0-or-later
"""What the EC2 API says of an instance, in its own words, and the readers of it.

`instance` is the entry of DescribeInstances, `placement_group` of DescribePlacementGroups, `status` of
DescribeInstanceStatus; `security_groups` and `mirror_sessions` are lists of the entries of DescribeSecurityGroups and
DescribeTrafficMirrorSessions. A part that was not asked for is missing, and what is read from it is unknown; `refused`
says of a part that the API refused by which call and why. ec2_reader.py asks for all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .check import Machine, Parse
from .host import UnreadableError

MISSING = object()


@dataclass(frozen=True)
class Api:
    """A value of the API's answer: the part, and the names on the way to it; a missing last one has a default."""

    part: str
    way: tuple[str, ...]
    default: Any = MISSING
    parse: Parse | None = None

    @property
    def path(self) -> str:
        """Say where it is read."""
        return f"EC2 {self.part}: {'.'.join(self.way)}"

    def read(self, machine: Machine) -> dict[str, Any]:
        """Walk to it."""
        value: Any = part(machine, self.part)
        for name in self.way:
            value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
        if value is MISSING:
            value = self.default
        if value is MISSING:
            raise UnreadableError(f"{self.path}: not in the answer")
        return {self.path: value}


def part(machine: Machine, name: str) -> Any:
    """Return a part of what the API said.

    Raises:
        UnreadableError: nobody asked it, or it refused; `refused` names the call.

    """
    if machine.ec2 is None:
        raise UnreadableError(f"EC2 {name}: the API was not asked")
    if machine.ec2.get(name) is None:
        why = (machine.ec2.get("refused") or {}).get(name, "the API was not asked, or has none")
        raise UnreadableError(f"EC2 {name}: {why}")
    return machine.ec2[name]


def instance(*way: str, default: Any = MISSING) -> Api:
    """Read a value of DescribeInstances."""
    return Api("instance", way, default)


def named_group(machine: Machine) -> str:
    """Tell whether the instance is in a placement group."""
    placement = part(machine, "instance").get("Placement", {})
    return "in one" if placement.get("GroupName") or placement.get("GroupId") else "in none"


def whole_host(machine: Machine) -> dict[str, Any]:
    """Tell whether another customer's instance may be on the same machine."""
    tenancy = part(machine, "instance").get("Placement", {}).get("Tenancy", "default")
    alone = tenancy in ("dedicated", "host") or bool(machine.facts.can("whole_host"))
    return {"Placement.Tenancy": "alone" if alone else "shared"}


def interfaces(machine: Machine) -> list[dict[str, Any]]:
    """Return the network interfaces of the instance."""
    found = part(machine, "instance").get("NetworkInterfaces")
    if not found:
        raise UnreadableError("EC2 instance: no network interface in the answer")
    return list(found)


def express(machine: Machine) -> dict[str, Any]:
    """Tell for each interface whether ENA Express is on."""
    found = {}
    for each in interfaces(machine):
        attached = each.get("Attachment", {}).get("EnaSrdSpecification") or {}
        found[each.get("NetworkInterfaceId", "interface")] = bool(attached.get("EnaSrdEnabled", False))
    return found


def queue_counts(machine: Machine) -> dict[str, Any]:
    """Return the number of queues that the API gives each interface; None where it is the type's own."""
    return {
        each.get("NetworkInterfaceId", "interface"): each.get("Attachment", {}).get("EnaQueueCount")
        for each in interfaces(machine)
    }


def events(machine: Machine) -> dict[str, Any]:
    """Return the events that Amazon has scheduled for the instance, those that are over left out."""
    status = part(machine, "status")
    codes = [
        event.get("Code", "event")
        for event in status.get("Events") or ()
        if not str(event.get("Description", "")).startswith(("[Completed]", "[Canceled]"))
    ]
    return {"Events": ", ".join(codes) or "none"}


def checks(machine: Machine) -> dict[str, Any]:
    """Return the results of Amazon's own checks."""
    status = part(machine, "status")
    return {name: status.get(name, {}).get("Status", "unknown") for name in ("InstanceStatus", "SystemStatus")}


def tracked_rules(machine: Machine) -> dict[str, Any]:
    """Tell for each security group whether its rules make the card track connections.

    Nothing is tracked where everything is allowed both ways for the same protocol and ports.
    """
    found = {}
    for group in part(machine, "security_groups"):
        open_out = any(_to_all(rule) and rule.get("IpProtocol") == "-1" for rule in group["IpPermissionsEgress"])
        tracked = [rule for rule in group["IpPermissions"] if rule.get("IpProtocol") != "icmp" and not _to_all(rule)]
        found[group["GroupId"]] = "untracked" if open_out and not tracked else "tracked"
    return found


def _to_all(rule: dict[str, Any]) -> bool:
    return any(entry.get("CidrIp") == "0.0.0.0/0" for entry in rule.get("IpRanges", ()))


def mirrored(machine: Machine) -> dict[str, Any]:
    """Return how many sessions copy the instance's packets."""
    mine = {each.get("NetworkInterfaceId") for each in interfaces(machine)}
    sessions = part(machine, "mirror_sessions")
    return {"TrafficMirrorSessions": sum(session.get("NetworkInterfaceId") in mine for session in sessions)}
