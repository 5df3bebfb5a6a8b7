# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of instances: RunInstances keeps the group and the tenancy, and DescribeInstances shows them.

AWS: EC2 API reference, RunInstances and the data type Placement (GroupName, GroupId, Tenancy, PartitionNumber);
"Dedicated Instances" in the EC2 user guide (an instance in a VPC of tenancy `dedicated` is dedicated whatever it asked
for); "Placement group rules and limitations" (a cluster group lies in one Availability Zone).
moto reads the Availability Zone and the host id from Placement and drops the rest without a word.  The code of the
refusal of a second zone is not documented; InvalidParameterValue is what this file answers.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from .placement_groups import find_group, groups_of, instances_in

if TYPE_CHECKING:
    from . import Settings

TENANCIES = ("default", "dedicated", "host")


def apply(settings: Settings) -> None:
    """Wrap RunInstances: check the placement first, let moto make the instances, then write the placement into them."""
    stock = EC2Response.run_instances
    if hasattr(stock, "__wrapped__"):
        return

    @wraps(stock)
    def run_instances(self: Any) -> Any:
        placement = self._get_param("Placement", {}) or {}
        group = _group_of(self.ec2_backend, placement)
        _validate(self.ec2_backend, placement, group, _zone_of(self, placement))
        answer: Any = stock(self)
        for instance in answer.result.instances:
            _place(self.ec2_backend, instance, placement, group)
        return answer

    EC2Response.run_instances = run_instances  # type: ignore[method-assign]


def _group_of(backend: Any, placement: dict[str, Any]) -> Any:
    """Return the group that the request names, by name or by id, or None."""
    if placement.get("GroupName"):
        return find_group(backend, placement["GroupName"])
    if group_id := placement.get("GroupId"):
        by_id = {group.id: group for group in groups_of(backend).values()}
        return by_id.get(group_id) or find_group(backend, group_id)
    return None


def _zone_of(response: Any, placement: dict[str, Any]) -> str | None:
    """Return the Availability Zone that the request leads to, or None where moto chooses."""
    interfaces = response._get_param("NetworkInterfaces", []) or []
    subnets = [response._get_param("SubnetId"), *(interface.get("SubnetId") for interface in interfaces)]
    for subnet_id in filter(None, subnets):
        zone: str = response.ec2_backend.get_subnet(subnet_id).availability_zone
        return zone
    return placement.get("AvailabilityZone")


def _validate(backend: Any, placement: dict[str, Any], group: Any, zone: str | None) -> None:
    """Refuse what RunInstances refuses, before an instance exists."""
    tenancy = placement.get("Tenancy")
    if tenancy is not None and tenancy not in TENANCIES:
        raise EC2ClientError("InvalidParameterValue", f"Value ({tenancy}) for parameter tenancy is invalid.")
    if group is None or group.strategy != "cluster" or zone is None:
        return
    for other in {instance.placement.zone for instance in instances_in(backend, group.group_name)} - {zone}:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"The cluster placement group '{group.group_name}' holds instances in {other} and cannot span {zone}.",
        )


def _place(backend: Any, instance: Any, placement: dict[str, Any], group: Any) -> None:
    """Write the placement into the instance; moto's serializer reads it from there."""
    tenancy = placement.get("Tenancy") or "default"
    if tenancy == "default" and instance.vpc_id and backend.get_vpc(instance.vpc_id).instance_tenancy == "dedicated":
        tenancy = "dedicated"
    instance.placement.tenancy = tenancy
    if group is not None:
        instance.placement.group_name = group.group_name
        instance.placement.group_id = group.id
        instance.placement.partition_number = placement.get("PartitionNumber")
