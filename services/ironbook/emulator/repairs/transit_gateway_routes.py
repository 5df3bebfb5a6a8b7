# SPDX-License-Identifier: GPL-3.0-or-later
"""A route of a transit gateway tells its attachment, and can be replaced.

AWS: EC2 API reference, TransitGatewayRoute (`transitGatewayAttachments` is a list), ReplaceTransitGatewayRoute.
moto answers with an empty list, since it keeps the one attachment where a list belongs, and has no such operation.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.transit_gateway_route_tables import TransitGatewayRouteTableBackend
from moto.ec2.responses.transit_gateway_route_tables import TransitGatewayRouteTable
from moto.utilities.utils import str2bool

if TYPE_CHECKING:
    from . import Settings

KEY = "transitGatewayAttachments"


def apply(settings: Settings) -> None:
    """Put the attachment of each new route into a list; add the operation."""
    if hasattr(TransitGatewayRouteTable, "replace_transit_gateway_route"):
        return
    create = TransitGatewayRouteTableBackend.create_transit_gateway_route

    @functools.wraps(create)
    def create_with_list(self: Any, *args: Any, **parameters: Any) -> Any:
        route: dict[str, Any] = create(self, *args, **parameters)
        if isinstance(route.get(KEY), dict):
            route[KEY] = [route[KEY]]
        return route

    TransitGatewayRouteTableBackend.create_transit_gateway_route = create_with_list  # type: ignore[method-assign]
    setattr(TransitGatewayRouteTable, replace_transit_gateway_route.__name__, replace_transit_gateway_route)


def replace_transit_gateway_route(self: Any) -> ActionResult:
    """Lead a route that is there elsewhere."""
    table, destination = self._get_param("TransitGatewayRouteTableId"), self._get_param("DestinationCidrBlock")
    tables = self.ec2_backend.transit_gateways_route_tables
    if table not in tables:
        raise EC2ClientError("InvalidRouteTableID.NotFound", f"Transit Gateway Route Table {table} was not found.")
    if destination not in tables[table].routes:
        raise EC2ClientError("InvalidRoute.NotFound", f"No route for {destination} in {table}.")
    route = self.ec2_backend.create_transit_gateway_route(
        transit_gateway_route_table_id=table,
        destination_cidr_block=destination,
        transit_gateway_attachment_id=self._get_param("TransitGatewayAttachmentId"),
        blackhole=str2bool(self._get_param("Blackhole")),
    )
    return ActionResult({"route": route})
