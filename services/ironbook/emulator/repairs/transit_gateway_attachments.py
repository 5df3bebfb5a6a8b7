# SPDX-License-Identifier: GPL-3.0-or-later
"""An attachment of a VPC to a transit gateway has the tags that it is made with, and a listing of such has no others.

AWS: EC2 API reference, CreateTransitGatewayVpcAttachment (TagSpecifications), DescribeTransitGatewayVpcAttachments.
moto takes the tags meant for a route table alone, and lists the attachments of VPN connections and of peers as VPCs'.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.models.transit_gateway_attachments import TransitGatewayAttachmentBackend
from moto.ec2.responses.transit_gateway_attachments import TransitGatewayAttachment

if TYPE_CHECKING:
    from . import Settings

TYPE = "transit-gateway-attachment"


def apply(settings: Settings) -> None:
    """Add the tags to the answer of the one operation, and sort out the answer of the other."""
    create = TransitGatewayAttachment.create_transit_gateway_vpc_attachment
    if hasattr(create, "__wrapped__"):
        return

    @functools.wraps(create)
    def create_with_tags(self: Any) -> ActionResult:
        answer = create(self)
        made: Any = answer.result
        made["TransitGatewayVpcAttachment"].add_tags(self._parse_tag_specification().get(TYPE, {}))
        return answer

    describe = TransitGatewayAttachmentBackend.describe_transit_gateway_vpc_attachments

    @functools.wraps(describe)
    def describe_those_of_vpcs(self: Any, *args: Any, **parameters: Any) -> Any:
        return [each for each in describe(self, *args, **parameters) if each.resource_type == "vpc"]

    TransitGatewayAttachment.create_transit_gateway_vpc_attachment = create_with_tags  # type: ignore[method-assign]
    setattr(TransitGatewayAttachmentBackend, describe.__name__, describe_those_of_vpcs)
