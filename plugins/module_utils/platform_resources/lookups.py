# SPDX-License-Identifier: GPL-3.0-or-later
"""What other modules provide and ours name: a VPC, a subnet. Its id is looked up by the tag Name.

A value that is an id already is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .kind import named, tags_of


@dataclass(frozen=True)
class Lookup:
    """How something is looked up in EC2: the listing, its key, the key of the id, and what an id looks like."""

    operation: str
    key: str
    id_key: str
    id_pattern: str

    def is_id(self, value: str) -> bool:
        """Whether that is an id and no name."""
        return re.fullmatch(self.id_pattern, value) is not None


LOOKUPS: Mapping[str, Lookup] = {
    "vpc": Lookup("describe_vpcs", "Vpcs", "VpcId", r"vpc-[0-9a-f]{8,17}"),
    "subnet": Lookup("describe_subnets", "Subnets", "SubnetId", r"subnet-[0-9a-f]{8,17}"),
    "route_table": Lookup("describe_route_tables", "RouteTables", "RouteTableId", r"rtb-[0-9a-f]{8,17}"),
    "security_group": Lookup("describe_security_groups", "SecurityGroups", "GroupId", r"sg-[0-9a-f]{8,17}"),
    "transit_gateway_attachment": Lookup(
        "describe_transit_gateway_attachments",
        "TransitGatewayAttachments",
        "TransitGatewayAttachmentId",
        r"tgw-attach-[0-9a-f]{8,17}",
    ),
}

# What is listed for a while after its end.
_GONE = ("deleted", "deleting")


def look_up(aws: Any, what: str, names: Iterable[str]) -> dict[str, list[str]]:
    """Return the ids for each name that is no id itself; no entry where there are none."""
    lookup = LOOKUPS[what]
    asked = sorted({name for name in names if not lookup.is_id(name)})
    found: dict[str, list[str]] = {}
    if not asked:
        return found
    for item in aws.pages(lookup.operation, lookup.key, **named(asked)):
        name = tags_of(item.get("Tags")).get("Name")
        if name in asked and item.get("State") not in _GONE:
            found.setdefault(name, []).append(item[lookup.id_key])
    return found
