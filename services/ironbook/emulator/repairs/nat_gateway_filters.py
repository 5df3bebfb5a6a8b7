# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeNatGateways honours the filters `tag:<key>` and `tag-key`, and refuses a filter that it does not know.

AWS: EC2 API reference, DescribeNatGateways, parameter `Filter.N`; error code InvalidParameterValue.
moto ignores every filter but four, and so answers with gateways that were not asked for.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.utils import tag_filter_matches

if TYPE_CHECKING:
    from . import Settings

_MOTO_FILTERS = {"nat-gateway-id", "vpc-id", "subnet-id", "state"}


def apply(settings: Settings) -> None:
    """Wrap the backend's method: moto narrows by its four filters, tags are matched here."""
    stock = NatGatewayBackend.describe_nat_gateways
    if hasattr(stock, "__wrapped__"):
        return

    @wraps(stock)
    def describe_nat_gateways(self: Any, filters: dict[str, list[str]] | None, nat_gateway_ids: list[str]) -> list[Any]:
        tags = {name: values for name, values in (filters or {}).items() if name not in _MOTO_FILTERS}
        for name in tags:
            if name != "tag-key" and not name.startswith("tag:"):
                raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
        gateways = stock(self, filters, nat_gateway_ids)
        return [g for g in gateways if all(tag_filter_matches(g, name, values) for name, values in tags.items())]

    NatGatewayBackend.describe_nat_gateways = describe_nat_gateways  # type: ignore[method-assign,assignment]
