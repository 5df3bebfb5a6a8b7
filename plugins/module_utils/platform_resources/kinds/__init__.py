# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of resource that the engine knows, a file each.

They are imported by name: Ansible sends a module only the files that it finds named in an import.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..kind import Kind
from . import (
    customer_gateway,
    dedicated_host,
    direct_connect_connection,
    direct_connect_gateway,
    direct_connect_interface,
    flow_log,
    launch_template,
    log_group,
    network_acl,
    outpost_subnet,
    scaling_group,
    transit_gateway,
    transit_gateway_route_table,
    transit_gateway_vpc_attachment,
    virtual_private_gateway,
    vpc_endpoint,
    vpn_connection,
)

KINDS: Mapping[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        customer_gateway,
        dedicated_host,
        direct_connect_connection,
        direct_connect_gateway,
        direct_connect_interface,
        flow_log,
        launch_template,
        log_group,
        network_acl,
        outpost_subnet,
        scaling_group,
        transit_gateway,
        transit_gateway_route_table,
        transit_gateway_vpc_attachment,
        virtual_private_gateway,
        vpc_endpoint,
        vpn_connection,
    )
}
