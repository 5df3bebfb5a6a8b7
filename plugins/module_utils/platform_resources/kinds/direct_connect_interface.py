# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual interface of Direct Connect: a VLAN of a connection, with BGP to whoever is at the other end.

The key of its BGP session is AWS's, and is not among the fields. What the other end has not done yet, AWS does not do
either: an interface that is down counts as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import direct_connect
from ..kind import NEVER, Field, Found, Kind

STATES = ("confirming", "verifying", "pending", "available", "down", "testing", "unknown")
# How much a packet may hold, by the type of the interface. (Direct Connect user guide, "MTUs")
MTUS = {"private": (1500, 9001), "transit": (1500, 8500)}
# How an interface of each type is asked for.
NEW = {
    "private": ("create_private_virtual_interface", "newPrivateVirtualInterface"),
    "transit": ("create_transit_virtual_interface", "newTransitVirtualInterface"),
}
SMALL = 2**31  # an autonomous system beyond takes another parameter


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Find what no switch and no router would take."""
    if not 1 <= fields["vlan"] <= 4094:
        yield f"vlan {fields['vlan']} is none: take 1 to 4094 (IEEE 802.1Q)"
    if fields["bgp_asn"] not in direct_connect.ASNS:
        yield f"bgp_asn {fields['bgp_asn']} is none: take 1 to 4294967294"
    if fields["mtu"] not in MTUS[fields["type"]]:
        wanted = " or ".join(map(str, MTUS[fields["type"]]))
        yield f"mtu {fields['mtu']} is not one of a {fields['type']} interface: take {wanted}"


def listed(aws: Any) -> list[Mapping[str, Any]]:
    """Return the private and transit ones that have not ended; there is no filter."""
    found = aws.pages("describe_virtual_interfaces", "virtualInterfaces")
    return [each for each in found if each["virtualInterfaceState"] in STATES and each["virtualInterfaceType"] in NEW]


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them by their own names."""
    for each in listed(aws):
        if names is None or each["virtualInterfaceName"] in names:
            fields = {
                "type": each["virtualInterfaceType"],
                "connection": each["connectionId"],
                "gateway": each.get("directConnectGatewayId"),
                "vlan": each["vlan"],
                "bgp_asn": each.get("asnLong") or each["asn"],
                "mtu": each.get("mtu", 1500),
            }
            tags = direct_connect.tags_of(each.get("tags"))
            yield Found(each["virtualInterfaceName"], each["virtualInterfaceId"], fields, tags)


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it."""
    operation, parameter = NEW[fields["type"]]
    asn = "asn" if fields["bgp_asn"] < SMALL else "asnLong"
    wanted = {
        "virtualInterfaceName": name,
        "vlan": fields["vlan"],
        asn: fields["bgp_asn"],
        "mtu": fields["mtu"],
        "addressFamily": "ipv4",
        "directConnectGatewayId": fields["gateway"],
        "tags": direct_connect.pairs(name, tags),
    }
    answer = aws.call(operation, connectionId=fields["connection"], **{parameter: wanted})
    made = answer["virtualInterface"] if fields["type"] == "transit" else answer
    return str(made["virtualInterfaceId"])


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Set how much a packet may hold; traffic stops for a moment."""
    aws.call("update_virtual_interface_attributes", virtualInterfaceId=found.id, mtu=fields["mtu"])


def delete(aws: Any, found: Found) -> None:
    """Delete it, and wait for its end: till then AWS keeps connection and gateway."""
    aws.call("delete_virtual_interface", virtualInterfaceId=found.id)

    def is_gone() -> bool:
        there = aws.pages("describe_virtual_interfaces", "virtualInterfaces")
        return all(each["virtualInterfaceState"] == "deleted" for each in there
                   if each["virtualInterfaceId"] == found.id)  # fmt: skip

    aws.wait_until(is_gone, "it was not deleted")


def tag(aws: Any, found: Found, tags: Mapping[str, str]) -> None:
    """Set tags."""
    there = next(each for each in listed(aws) if each["virtualInterfaceId"] == found.id)
    direct_connect.tag(aws, there, f"dxvif/{found.id}", tags)


KIND = Kind(
    name="direct_connect_interface",
    says="A private or transit virtual interface of Direct Connect.",
    service="directconnect",
    fields=(
        Field("type", "V(private) leads to a virtual private gateway, V(transit) to a transit gateway.", change=NEVER,
              default="private", choices=("private", "transit")),
        Field("connection", "Name of the connection.", change=NEVER, required=True, to="direct_connect_connection"),
        Field("gateway", "Name of the gateway of Direct Connect.", change=NEVER, required=True,
              to="direct_connect_gateway"),
        Field("vlan", "Its VLAN on the connection.", "int", change=NEVER, required=True),
        Field("bgp_asn", "The autonomous system at the other end.", "int", change=NEVER, required=True),
        Field("mtu", "Bytes that a packet may hold.", "int", default=1500),
    ),
    arn="dxvif/{id}",
    find=find, create=create, update=update, delete=delete, tag=tag,
    not_found=direct_connect.NOT_FOUND,
    problems=problems,
    example={"name": "nyse", "connection": "nyse-mahwah", "gateway": "venues", "vlan": 101, "bgp_asn": 65101},
)  # fmt: skip
