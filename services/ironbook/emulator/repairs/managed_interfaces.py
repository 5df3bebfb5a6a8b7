# SPDX-License-Identifier: GPL-3.0-or-later
"""The network interfaces of NAT gateways and of interface endpoints are AWS's own, and say what they are for.

AWS: EC2 User Guide, "Requester-managed network interfaces" (an AWS service makes them for a resource of yours); EC2 API
reference, NetworkInterface: `RequesterManaged`, `InterfaceType` (natGateway, vpc_endpoint).
moto answers for them as for an interface that somebody made and attached to nothing.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.ec2.models import EC2Backend

if TYPE_CHECKING:
    from . import Settings


def apply(settings: Settings) -> None:
    """Have each listing look first at what the interfaces belong to."""
    stock = EC2Backend.get_all_network_interfaces
    if hasattr(stock, "__wrapped__"):
        return

    @wraps(stock)
    def get_all_network_interfaces(self: Any, *args: Any, **parameters: Any) -> list[Any]:
        for gateway in self.nat_gateways.values():
            _belongs(gateway._eni, "natGateway")
        for endpoint in self.vpc_end_points.values():
            for interface in endpoint.network_interface_ids or ():
                if interface in self.enis:
                    _belongs(self.enis[interface], "vpc_endpoint")
        found: list[Any] = stock(self, *args, **parameters)
        return found

    EC2Backend.get_all_network_interfaces = get_all_network_interfaces  # type: ignore[method-assign]


def _belongs(interface: Any, kind: str) -> None:
    interface.requester_managed, interface.interface_type = True, kind
