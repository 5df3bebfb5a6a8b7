# SPDX-License-Identifier: GPL-3.0-or-later
"""A VPN connection has two tunnels, each with its own addresses and key, and takes what is asked of them.

AWS: EC2 API reference, CreateVpnConnection (Options), VpnConnection (options, vgwTelemetry,
customerGatewayConfiguration), ModifyVpnTunnelOptions; Site-to-Site VPN user guide, "Tunnel options" (inside addresses
of 169.254.0.0/16, keys of AWS's making) and "Download the configuration file" (what it says of algorithms is the
least that AWS takes, whatever the options are; so moto's words for them stay).
moto forgets all options, and writes the same tunnel twice, with one key and an autonomous system of its own.
"""

from __future__ import annotations

import functools
import re
import secrets
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidVpnConnectionIdError
from moto.ec2.models import vpn_connections as models
from moto.ec2.responses.vpn_connections import VPNConnections

if TYPE_CHECKING:
    from . import Settings

# What is told under another name than it is asked for by. (EC2: VpnTunnelOptionsSpecification and TunnelOption)
TOLD = {"DPDTimeoutSeconds": "DpdTimeoutSeconds", "DPDTimeoutAction": "DpdTimeoutAction", "IKEVersions": "IkeVersions"}
# AWS gives public addresses and a range for the inside of each tunnel; ours are for documentation (RFC 5737).
OUTSIDE = [str(address) for address in ip_network("198.51.100.0/24").hosts()]
INSIDE = [str(network) for network in ip_network("169.254.64.0/18").subnets(new_prefix=30)]


def apply(settings: Settings) -> None:
    """Keep the options of a new connection, give it its tunnels, and add the operation."""
    create = VPNConnections.create_vpn_connection
    if hasattr(create, "__wrapped__"):
        return

    @functools.wraps(create)
    def create_with_tunnels(self: Any) -> ActionResult:
        answer = create(self)
        made: Any = answer.result
        connection, options = made["VpnConnection"], self._get_param("Options", {})
        asked = [*options.get("TunnelOptions", ()), {}, {}][:2]
        first = 2 * (len(self.ec2_backend.vpn_connections) - 1)
        tunnels = [tunnel(first + number, wanted) for number, wanted in enumerate(asked)]
        static = options.get("StaticRoutesOnly", False) in (True, "true")
        connection.options = {"EnableAcceleration": False, "StaticRoutesOnly": static, "TunnelOptions": tunnels,
                              "OutsideIpAddressType": "PublicIpv4", "TunnelInsideIpVersion": "ipv4",
                              "LocalIpv4NetworkCidr": "0.0.0.0/0", "RemoteIpv4NetworkCidr": "0.0.0.0/0"}  # fmt: skip
        connection.vgw_telemetry = [
            {"OutsideIpAddress": each["OutsideIpAddress"], "Status": "DOWN", "StatusMessage": "IPSEC IS DOWN",
             "AcceptedRouteCount": 0, "LastStatusChange": utcnow()} for each in tunnels]  # fmt: skip
        return answer

    described: Any = models.VPNConnection.customer_gateway_configuration

    def configuration(self: Any) -> str:
        text: str = described.fget(self)
        numbers = iter(range(2))
        return re.sub(r"<ipsec_tunnel>.*?</ipsec_tunnel>", lambda found: written(self, next(numbers), found[0]), text,
                      flags=re.DOTALL)  # fmt: skip

    VPNConnections.create_vpn_connection = create_with_tunnels  # type: ignore[method-assign]
    models.VPNConnection.customer_gateway_configuration = property(configuration)  # type: ignore[assignment, method-assign]
    setattr(VPNConnections, modify_vpn_tunnel_options.__name__, modify_vpn_tunnel_options)


def tunnel(number: int, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the account's tunnel of that number, as AWS tells them."""
    chosen = {
        "OutsideIpAddress": OUTSIDE[number % len(OUTSIDE)],
        "TunnelInsideCidr": INSIDE[number % len(INSIDE)],
        "PreSharedKey": "k" + secrets.token_hex(15),  # 8 to 64 characters, of which the first is no zero
        "StartupAction": "add",
    }
    return chosen | told(asked)


def told(asked: dict[str, Any]) -> dict[str, Any]:
    """Return options of a tunnel by the names under which AWS tells them."""
    return {TOLD.get(name, name): value for name, value in asked.items()}


def written(connection: Any, number: int, moto: str) -> str:
    """Return the tunnel of the configuration file with its own addresses, key and autonomous systems."""
    options = connection.options["TunnelOptions"][number]
    amazon, customer = (str(host) for host in ip_network(options["TunnelInsideCidr"]).hosts())
    backend = connection.ec2_backend
    gateway = backend.customer_gateways[connection.customer_gateway_id]
    hub = backend.transit_gateways.get(connection.transit_gateway_id)
    values = {
        "ip_address": [gateway.ip_address, customer, options["OutsideIpAddress"], amazon],
        "asn": [gateway.bgp_asn, hub.options["AmazonSideAsn"] if hub else "64512"],
        "pre_shared_key": [options["PreSharedKey"]],
    }
    for element, texts in values.items():
        left = iter(texts)
        moto = re.sub(rf"<{element}>[^<]*<", lambda _, e=element, n=left: f"<{e}>{next(n)}<", moto)  # type: ignore[misc]
    return moto


def modify_vpn_tunnel_options(self: Any) -> ActionResult:
    """Change options of one tunnel, the one with that address."""
    identifier, address = self._get_param("VpnConnectionId"), self._get_param("VpnTunnelOutsideIpAddress")
    connection = self.ec2_backend.vpn_connections.get(identifier)
    if connection is None:
        raise InvalidVpnConnectionIdError(identifier)
    for options in connection.options["TunnelOptions"]:
        if options["OutsideIpAddress"] == address:
            options.update(told(self._get_param("TunnelOptions", {})))
            return ActionResult({"VpnConnection": connection})
    raise EC2ClientError("InvalidParameterValue", f"{identifier} has no tunnel with the address {address}")
