# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a VPC endpoint changes what it consists of: routes, addresses, its private name.

AWS: EC2 API reference, ModifyVpcEndpoint; AWS PrivateLink guide, "Gateway endpoints" (a route table that is added gets
a route to the endpoint, one that is removed loses it) and "Interface endpoints" (a network interface in each subnet);
CreateVpcEndpoint (PrivateDnsEnabled is of interface endpoints); "Error codes for the Amazon EC2 API"
(RouteAlreadyExists: a route table has one gateway endpoint of a service).
moto changes the endpoint's own lists alone, ignores PrivateDnsEnabled in a change, and tells it of gateway endpoints; a
second endpoint takes the first one's routes, which then cannot be deleted.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses.vpcs import VPCs
from moto.ec2.utils import random_private_ip

if TYPE_CHECKING:
    from . import Settings

MARK = "_ironbook_vpc_endpoints"


def apply(settings: Settings) -> None:
    """Have both operations do the rest of what AWS does."""
    if hasattr(VPCEndPoint, MARK):
        return
    setattr(VPCEndPoint, MARK, True)
    create, change, answer = EC2Backend.create_vpc_endpoint, VPCEndPoint.modify, VPCs.modify_vpc_endpoint

    @functools.wraps(create)
    def create_vpc_endpoint(self: Any, *args: Any, **parameters: Any) -> Any:
        refuse_second(self, parameters["service_name"], parameters["route_table_ids"])
        endpoint = create(self, *args, **parameters)
        if not is_interface(endpoint):
            endpoint.private_dns_enabled = False
        return endpoint

    @functools.wraps(change)
    def modify(self: Any, *args: Any, **parameters: Any) -> None:
        subnets, tables = list(self.subnet_ids or ()), list(self.route_table_ids or ())
        change(self, *args, **parameters)
        backend = self.ec2_backend
        for table in set(tables) - set(self.route_table_ids or ()):
            backend.delete_route(table, self.destination_prefix_list_id)
        for table in set(self.route_table_ids or ()) - set(tables):
            leads = {"gateway_id": self.id, "destination_prefix_list_id": self.destination_prefix_list_id}
            backend.create_route(table, None, **leads)
        if set(subnets) != set(self.subnet_ids or ()):
            move_interfaces(self)

    @functools.wraps(answer)
    def modify_vpc_endpoint(self: Any) -> Any:
        wanted = self._get_bool_param("PrivateDnsEnabled")
        if wanted is not None:
            self.ec2_backend.get_vpc_end_point(self._get_param("VpcEndpointId")).private_dns_enabled = wanted
        return answer(self)

    for owner, repaired in ((EC2Backend, create_vpc_endpoint), (VPCEndPoint, modify), (VPCs, modify_vpc_endpoint)):
        setattr(owner, repaired.__name__, repaired)


def refuse_second(backend: Any, service: str, tables: list[str]) -> None:
    """A route table leads to one gateway endpoint of a service."""
    for table in tables:
        for endpoint in backend.vpc_end_points.values():
            if endpoint.state != "deleted" and endpoint.service_name == service and table in endpoint.route_table_ids:
                prefix = endpoint.destination_prefix_list_id
                raise EC2ClientError(
                    "RouteAlreadyExists",
                    f"route table {table} already has a route with destination-prefix-list-id {prefix}",
                )


def is_interface(endpoint: Any) -> bool:
    """Whether it has addresses of its own; moto keeps the type as it was written."""
    return str(endpoint.vpc_endpoint_type).lower() == "interface"


def move_interfaces(endpoint: Any) -> None:
    """Leave a network interface in each of its subnets, and in no other."""
    backend = endpoint.ec2_backend
    there = {backend.enis[eni].subnet.id: eni for eni in endpoint.network_interface_ids if eni in backend.enis}
    for subnet in there.keys() - set(endpoint.subnet_ids):
        backend.enis.pop(there.pop(subnet))
    for subnet in set(endpoint.subnet_ids) - there.keys():
        there[subnet] = backend.create_network_interface(subnet, random_private_ip()).id
    endpoint.network_interface_ids = list(there.values())
