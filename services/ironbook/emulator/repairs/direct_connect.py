# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct Connect has gateways, what they lead to, and virtual interfaces; a connection is named and tagged as AWS does.

AWS: Direct Connect API reference, Connection (connectionId such as dxcon-fg5678gh, ownerAccount), TagResource (the ARN
of a resource), CreateDirectConnectGateway, CreateDirectConnectGatewayAssociation (allowed prefixes are required for a
transit gateway), CreatePrivateVirtualInterface, CreateTransitVirtualInterface, UpdateVirtualInterfaceAttributes and
what describes and deletes them; a gateway belongs to the account and to no region.
moto has connections alone, gives them an id of its own making, keeps tags under that, and tells hasLogicalRedundancy
by a type that it has not.
"""

from __future__ import annotations

import functools
import json
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.directconnect import models
from moto.directconnect.responses import DirectConnectResponse

if TYPE_CHECKING:
    from . import Settings

HOME = "us-east-1"  # whose backend keeps what belongs to no region
GATEWAYS, ASSOCIATIONS, INTERFACES = "ironbook_gateways", "ironbook_associations", "ironbook_interfaces"


class Refused(JsonRESTError):
    """The one error that AWS has for whatever a client does wrong."""

    code = 400

    def __init__(self, message: str) -> None:
        """Refuse with these words."""
        super().__init__("DirectConnectClientException", message)


def apply(settings: Settings) -> None:
    """Name connections as AWS does, keep tags under ids whatever they are asked for by, and add the operations."""
    if hasattr(DirectConnectResponse, "create_direct_connect_gateway"):
        return
    _name_connections()
    for operation in OPERATIONS:
        setattr(DirectConnectResponse, operation.__name__, _answering(operation))


def _name_connections() -> None:
    told = models.Connection.to_dict
    for name in ("tag_resource", "untag_resource", "list_tags_for_resource"):
        setattr(models.DirectConnectBackend, name, _by_id(getattr(models.DirectConnectBackend, name)))

    def with_owner(self: Any) -> dict[str, Any]:
        return {**told(self), "ownerAccount": self.owner_account, "hasLogicalRedundancy": "no"}

    def with_id(self: Any) -> None:
        self.connection_id = self.connection_id or identifier("dxcon")

    models.Connection.to_dict = with_owner  # type: ignore[method-assign]
    models.Connection.__post_init__ = with_id  # type: ignore[method-assign]


def _by_id(method: Any) -> Any:
    """Have a method keep or find tags under the id that an ARN ends with; a group (LAG) stays as moto has it."""

    @functools.wraps(method)
    def with_id(self: Any, arn: str, *more: Any) -> Any:
        return method(self, arn if ":dxlag/" in arn else arn.rpartition("/")[2], *more)

    return with_id


def _answering(operation: Any) -> Any:
    def answer(self: Any) -> str:
        return json.dumps(operation(self.directconnect_backend, json.loads(self.body or "{}")))

    return answer


def identifier(beginning: str) -> str:
    """Return an id as Direct Connect has them."""
    return f"{beginning}-{secrets.token_hex(4)}"


def kept(backend: Any, what: str, everywhere: bool = False) -> dict[str, dict[str, Any]]:
    """Return what the account has of these in the region, or at all."""
    home = models.directconnect_backends[backend.account_id][HOME] if everywhere else backend
    store: dict[str, dict[str, Any]] = home.__dict__.setdefault(what, {})
    return store


def one(store: dict[str, dict[str, Any]], key: str | None) -> dict[str, Any]:
    """Return the one of that id, or refuse."""
    if key not in store:
        raise Refused(f"{key} does not exist.")
    return store[key]


def tagged(backend: Any, key: str, there: dict[str, Any], everywhere: bool = False) -> dict[str, Any]:
    """Return it with its tags as they are now."""
    home = models.directconnect_backends[backend.account_id][HOME] if everywhere else backend
    # TagResource is answered by the region that it is sent to, and a gateway is tagged from any.
    names = {**home.tagger.get_tag_dict_for_resource(key), **backend.tagger.get_tag_dict_for_resource(key)}
    tags = [{"key": name, "value": value} for name, value in names.items()]
    return {**there, "tags": tags} if tags else there


def create_direct_connect_gateway(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Make a gateway."""
    key = str(uuid.uuid4())
    backend.tagger.tag_resource(key, asked.get("tags") or [])
    kept(backend, GATEWAYS, everywhere=True)[key] = {
        "directConnectGatewayId": key,
        "directConnectGatewayName": asked["directConnectGatewayName"],
        "amazonSideAsn": asked.get("amazonSideAsn", 64512),
        "ownerAccount": backend.account_id,
        "directConnectGatewayState": "available",
    }
    return {"directConnectGateway": tagged(backend, key, kept(backend, GATEWAYS, everywhere=True)[key], True)}


def describe_direct_connect_gateways(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """List gateways, all or the one."""
    wanted, store = asked.get("directConnectGatewayId"), kept(backend, GATEWAYS, everywhere=True)
    listed = [tagged(backend, key, each, True) for key, each in store.items() if wanted in (None, key)]
    return {"directConnectGateways": listed}


def delete_direct_connect_gateway(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Delete a gateway that leads nowhere and has no interface."""
    store, key = kept(backend, GATEWAYS, everywhere=True), asked["directConnectGatewayId"]
    there = one(store, key)
    using = [*kept(backend, ASSOCIATIONS, everywhere=True).values(), *kept(backend, INTERFACES).values()]
    if any(each.get("directConnectGatewayId") == key for each in using):
        raise Refused(f"{key} has associations or virtual interfaces.")
    del store[key]
    return {"directConnectGateway": {**there, "directConnectGatewayState": "deleted"}}


def create_direct_connect_gateway_association(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Lead a gateway to a transit gateway or to a virtual private gateway."""
    one(kept(backend, GATEWAYS, everywhere=True), asked["directConnectGatewayId"])
    to = asked.get("gatewayId") or asked.get("virtualGatewayId")
    prefixes = asked.get("addAllowedPrefixesToDirectConnectGateway") or []
    what = "transitGateway" if str(to).startswith("tgw-") else "virtualPrivateGateway"
    store = kept(backend, ASSOCIATIONS, everywhere=True)
    others = [each for each in store.values() if each["directConnectGatewayId"] == asked["directConnectGatewayId"]]
    if any(each["associatedGateway"]["type"] != what for each in others):
        raise Refused("A gateway leads to transit gateways or to virtual private gateways, not to both.")
    if what == "transitGateway" and not prefixes:
        raise Refused("Allowed prefixes are required for a transit gateway.")
    key = str(uuid.uuid4())
    store[key] = {
        "associationId": key,
        "directConnectGatewayId": asked["directConnectGatewayId"],
        "directConnectGatewayOwnerAccount": backend.account_id,
        "associationState": "associated",
        "associatedGateway": {
            "id": to,
            "type": what,
            "ownerAccount": backend.account_id,
            "region": backend.region_name,
        },
        "allowedPrefixesToDirectConnectGateway": prefixes,
    }
    return {"directConnectGatewayAssociation": store[key]}


def describe_direct_connect_gateway_associations(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """List what a gateway leads to."""
    store = kept(backend, ASSOCIATIONS, everywhere=True).values()
    names = {"directConnectGatewayId", "associationId"} & asked.keys()
    listed = [each for each in store if all(each[name] == asked[name] for name in names)]
    return {"directConnectGatewayAssociations": listed}


def update_direct_connect_gateway_association(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Tell the other end more, or less."""
    there = one(kept(backend, ASSOCIATIONS, everywhere=True), asked["associationId"])
    gone = asked.get("removeAllowedPrefixesToDirectConnectGateway") or []
    left = [each for each in there["allowedPrefixesToDirectConnectGateway"] if each not in gone]
    more = asked.get("addAllowedPrefixesToDirectConnectGateway") or []
    there["allowedPrefixesToDirectConnectGateway"] = left + more
    return {"directConnectGatewayAssociation": there}


def delete_direct_connect_gateway_association(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Have a gateway lead nowhere."""
    store = kept(backend, ASSOCIATIONS, everywhere=True)
    there = one(store, asked["associationId"])
    del store[asked["associationId"]]
    return {"directConnectGatewayAssociation": {**there, "associationState": "disassociating"}}


def interface(backend: Any, asked: dict[str, Any], what: str, parameter: str) -> dict[str, Any]:
    """Make an interface on a connection of the account."""
    wanted, connection = asked[parameter], backend.connections.get(asked["connectionId"])
    if connection is None or connection.connection_state == "deleted":
        raise Refused(f"{asked['connectionId']} does not exist.")
    one(kept(backend, GATEWAYS, everywhere=True), wanted["directConnectGatewayId"])
    there = [each for each in kept(backend, INTERFACES).values() if each["connectionId"] == asked["connectionId"]]
    if any(each["vlan"] == wanted["vlan"] for each in there):
        raise Refused(f"VLAN {wanted['vlan']} is in use on {asked['connectionId']}.")
    key = identifier("dxvif")
    asn = wanted.get("asnLong") or wanted["asn"]
    made = {
        "ownerAccount": backend.account_id,
        "virtualInterfaceId": key,
        "virtualInterfaceType": what,
        "virtualInterfaceName": wanted["virtualInterfaceName"],
        "connectionId": asked["connectionId"],
        "location": connection.location,
        "vlan": wanted["vlan"],
        **({"asn": asn} if asn < 2**31 else {}),
        "asnLong": asn,
        "mtu": wanted.get("mtu", 1500),
        "addressFamily": wanted.get("addressFamily", "ipv4"),
        "authKey": wanted.get("authKey") or secrets.token_hex(12),
        "virtualInterfaceState": "down",  # until somebody at the other end speaks BGP
        "directConnectGatewayId": wanted["directConnectGatewayId"],
        "region": backend.region_name,
    }
    backend.tagger.tag_resource(key, wanted.get("tags") or [])
    kept(backend, INTERFACES)[key] = made
    return tagged(backend, key, made)


def create_private_virtual_interface(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Make a private interface."""
    return interface(backend, asked, "private", "newPrivateVirtualInterface")


def create_transit_virtual_interface(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Make a transit interface; its answer has one more cover than a private one's."""
    return {"virtualInterface": interface(backend, asked, "transit", "newTransitVirtualInterface")}


def describe_virtual_interfaces(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """List interfaces, all or those of a connection or an id."""
    store = kept(backend, INTERFACES)
    names = {"connectionId", "virtualInterfaceId"} & asked.keys()
    listed = {key: each for key, each in store.items() if all(each[name] == asked[name] for name in names)}
    return {"virtualInterfaces": [tagged(backend, key, each) for key, each in listed.items()]}


def update_virtual_interface_attributes(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Change how much a packet may hold."""
    there = one(kept(backend, INTERFACES), asked["virtualInterfaceId"])
    there["mtu"] = asked.get("mtu", there["mtu"])
    return tagged(backend, asked["virtualInterfaceId"], there)


def delete_virtual_interface(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Delete an interface."""
    one(kept(backend, INTERFACES), asked["virtualInterfaceId"])
    del kept(backend, INTERFACES)[asked["virtualInterfaceId"]]
    return {"virtualInterfaceState": "deleted"}


OPERATIONS = (
    create_direct_connect_gateway,
    describe_direct_connect_gateways,
    delete_direct_connect_gateway,
    create_direct_connect_gateway_association,
    describe_direct_connect_gateway_associations,
    update_direct_connect_gateway_association,
    delete_direct_connect_gateway_association,
    create_private_virtual_interface,
    create_transit_virtual_interface,
    describe_virtual_interfaces,
    update_virtual_interface_attributes,
    delete_virtual_interface,
)
