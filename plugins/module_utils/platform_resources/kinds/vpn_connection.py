# SPDX-License-Identifier: GPL-3.0-or-later
"""A VPN connection between a customer gateway and a transit gateway: two tunnels of IPsec, with routes by BGP.

Both tunnels take one suite of algorithms and IKEv2 alone: whatever more AWS would accept for them is a change. Routes
are BGP's, never static: a static route of a transit gateway would be preferred to Direct Connect's. The keys of the
tunnels are AWS's, and none of them is among the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import NEVER, PENDING, READY, TAGS, Field, Found, Kind, named, pairs, specification, tag_ec2, tags_of

STATES = {"available": READY, "pending": PENDING, "modifying": PENDING}
# Field -> what it is called among the options of a tunnel, for each phase of IKE. (EC2, VpnTunnelOptionsSpecification)
SUITE = {
    "encryption": ("Phase1EncryptionAlgorithms", "Phase2EncryptionAlgorithms"),
    "integrity": ("Phase1IntegrityAlgorithms", "Phase2IntegrityAlgorithms"),
    "dh_group": ("Phase1DHGroupNumbers", "Phase2DHGroupNumbers"),
}
IKE = "ikev2"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find those over a transit gateway, with the tags of their attachments. Deleted ones are listed for a while."""
    listed = aws.pages("describe_vpn_connections", "VpnConnections", **named(names))
    there = [each for each in listed if each["State"] in STATES and each.get("TransitGatewayId")]
    attachments = attachments_of(aws, [each["VpnConnectionId"] for each in there])
    for connection in there:
        tags, identifier = tags_of(connection.get("Tags")), connection["VpnConnectionId"]
        tunnels = connection.get("Options", {}).get("TunnelOptions", ())
        attachment = attachments.get(identifier)
        fields = {
            "transit_gateway": connection["TransitGatewayId"],
            "customer_gateway": connection["CustomerGatewayId"],
            **{field: agreed(tunnels, field) for field in SUITE},
            "attachment_tags": attachment_tags(attachment, tags.get("Name", "")),
        }
        state = STATES[connection["State"]] if attachment else PENDING
        yield Found(tags.get("Name", ""), identifier, fields, tags, state)


def agreed(tunnels: Sequence[Mapping[str, Any]], field: str) -> Any:
    """Return the one value of a field that all tunnels have in all phases, or a text that no choice is like."""
    listed = [[each["Value"] for each in tunnel.get(called, ())] for tunnel in tunnels for called in SUITE[field]]
    if not listed or any(values != listed[0] for values in listed) or len(listed[0]) != 1:
        return " or ".join(", ".join(map(str, values)) or "whatever AWS takes" for values in listed)
    versions = {each["Value"] for tunnel in tunnels for each in tunnel.get("IkeVersions", ())}
    if field == "encryption" and versions != {IKE}:
        return f"{listed[0][0]} under {', '.join(sorted(versions)) or 'any IKE'}"
    return listed[0][0]


def attachments_of(aws: Any, connections: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the attachment to the transit gateway that AWS makes with each of these connections."""
    if not connections:
        return {}
    asked = [{"Name": "resource-type", "Values": ["vpn"]}]
    listed = aws.pages("describe_transit_gateway_attachments", "TransitGatewayAttachments", Filters=asked)
    return {each["ResourceId"]: each for each in listed
            if each["ResourceId"] in connections and each["State"] == "available"}  # fmt: skip


def attachment_tags(attachment: Mapping[str, Any] | None, name: str) -> dict[str, str]:
    """Return the tags of an attachment; its Name only where it is not the connection's."""
    tags = tags_of(attachment.get("Tags")) if attachment else {}
    shown = {key: value for key, value in tags.items() if key != "Name" and not key.startswith("aws:")}
    return shown if tags.get("Name") == name else {"Name": tags.get("Name", ""), **shown}


def suite(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tunnel shall take; where the peer falls silent, AWS begins anew."""
    wanted = {called: [{"Value": fields[field]}] for field, names in SUITE.items() for called in names}
    return {**wanted, "IKEVersions": [{"Value": IKE}], "DPDTimeoutAction": "restart"}


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it; its attachment is tagged once AWS shows it."""
    answer = aws.call(
        "create_vpn_connection",
        Type="ipsec.1",
        CustomerGatewayId=fields["customer_gateway"],
        TransitGatewayId=fields["transit_gateway"],
        Options={"StaticRoutesOnly": False, "TunnelOptions": [suite(fields), suite(fields)]},
        TagSpecifications=specification("vpn-connection", name, tags),
    )
    identifier = str(answer["VpnConnection"]["VpnConnectionId"])
    aws.wait_until(lambda: bool(attachments_of(aws, [identifier])), "it was not attached")
    mark(aws, identifier, {**fields["attachment_tags"], "Name": name})
    return identifier


def update(aws: Any, found: Found, fields: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Change a tunnel, wait until it is done, then the other: one of them always stands."""
    if "attachment_tags" in changed:
        mark(aws, found.id, {**fields["attachment_tags"], "Name": found.name})
    if not SUITE.keys() & set(changed):
        return
    for tunnel in connection_of(aws, found.id)["Options"]["TunnelOptions"]:
        aws.call(
            "modify_vpn_tunnel_options",
            VpnConnectionId=found.id,
            VpnTunnelOutsideIpAddress=tunnel["OutsideIpAddress"],
            TunnelOptions=suite(fields),
        )
        aws.wait_until(lambda: connection_of(aws, found.id)["State"] == "available", "a tunnel was not changed")


def connection_of(aws: Any, identifier: str) -> Mapping[str, Any]:
    """Return it as AWS has it."""
    answer: Mapping[str, Any] = aws.call("describe_vpn_connections", VpnConnectionIds=[identifier])["VpnConnections"][0]
    return answer


def mark(aws: Any, identifier: str, tags: Mapping[str, str]) -> None:
    """Give the attachment of a connection these tags, and no others: AWS makes it without any."""
    attachment = attachments_of(aws, [identifier])[identifier]
    there, place = tags_of(attachment.get("Tags")), [attachment["TransitGatewayAttachmentId"]]
    others = [{"Key": key} for key in there if key not in tags and not key.startswith("aws:")]
    if others:
        aws.call("delete_tags", Resources=place, Tags=others)
    aws.call("create_tags", Resources=place, Tags=pairs(tags))


def delete(aws: Any, found: Found) -> None:
    """Delete it, and wait for its end, which takes minutes: till then AWS keeps the customer gateway."""
    aws.call("delete_vpn_connection", VpnConnectionId=found.id)
    aws.wait_until(lambda: connection_of(aws, found.id)["State"] == "deleted", "it was not deleted")


KIND = Kind(
    name="vpn_connection",
    says="A VPN connection of two tunnels between a customer gateway and a transit gateway, with routes by BGP.",
    service="ec2",
    fields=(
        Field("transit_gateway", "Name of the transit gateway.", change=NEVER, required=True, to="transit_gateway"),
        Field("customer_gateway", "Name of the customer gateway.", change=NEVER, required=True, to="customer_gateway"),
        Field("encryption", "How both phases encrypt, under IKEv2.", default="AES256-GCM-16",
              choices=("AES128-GCM-16", "AES256", "AES256-GCM-16")),
        Field("integrity", "How both phases prove that nothing was changed.", default="SHA2-512",
              choices=("SHA2-256", "SHA2-384", "SHA2-512")),
        Field("dh_group", "The group of Diffie-Hellman of both phases, so that each has forward secrecy.", "int",
              default=20, choices=(14, 15, 16, 19, 20, 21)),
        Field("attachment_tags", "All tags of its attachment to the transit gateway, beside its name; without them, "
              "O(tags).", "dict", default=TAGS),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidVpnConnectionID.NotFound", "InvalidVpnConnectionId.NotFound",
               "InvalidCustomerGatewayID.NotFound", "InvalidTransitGatewayID.NotFound"),
    example={"name": "head-office", "transit_gateway": "trading", "customer_gateway": "head-office"},
)  # fmt: skip
