# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what reader.py read: the network as a graph, the engine hosts, and the tags of everything.  Pure.

Security groups are judged by rules.py, what keeps data by stores.py, and what the module platform_resources provides by
its own plan (roles/aws_network/tasks/verify.yml): of that, only that it carries our tags.

Rules: each subnet has its address, zone and an explicit route table; public subnets go out through the internet
gateway, private ones through the NAT gateway of their zone, and to the premises through a transit gateway, database
subnets not at all; nothing but NAT gateways and load balancers lies in a public subnet, and no other gives out public
addresses; each engine host stands in the private subnet and the placement group of its zone; every resource carries the
tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import rules, stores

EVERYWHERE = "0.0.0.0/0"

Found = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Wanted:
    """What there should be.

    `tiers`: addresses of the subnets of public, private and database, in the order of `zones`.  `hosts`: shard,
    replica, zone and role of each engine host.  `nat_gateway_count`: zones beyond it go out through an earlier one's.
    `security_groups`: name, ingress and egress of each, as rules.wanted_rules takes them. `on_premises`: networks that
    the private subnets reach through a transit gateway, `partners`: through a virtual private gateway. `outposts`: cidr
    and zone of each subnet of the private tier that lies on an Outpost. `workers`: how many there are at most.
    `stores`: the kinds of what keeps data of which there has to be one.
    """

    prefix: str
    cidr: str
    zones: Sequence[str]
    tiers: Mapping[str, Sequence[str]]
    nat_gateway_count: int
    hosts: Sequence[Mapping[str, Any]]
    tags: Mapping[str, str]
    security_groups: Sequence[Mapping[str, Any]]
    on_premises: Sequence[str] = ()
    partners: Sequence[str] = ()
    outposts: Sequence[Mapping[str, Any]] = ()
    workers: int = 0
    stores: Sequence[str] = stores.STORES


def problems(wanted: Wanted, found: Found) -> list[str]:
    """One line for each thing that is not as it should be; none when all is well."""
    if len(found["vpcs"]) != 1:
        return [f"{len(found['vpcs'])} VPCs are named {wanted.prefix}; there should be one"]
    return [
        *_vpc(wanted, found["vpcs"][0]),
        *_subnets(wanted, found),
        *_routes(wanted, found),
        *_public(wanted, found),
        *_addresses(wanted, found),
        *rules.problems(wanted.security_groups, found["security_groups"]),
        *_hosts(wanted, found),
        *_workers(wanted, found),
        *stores.problems(wanted.prefix, wanted.stores, found),
        *_tags(wanted, found),
    ]


def _vpc(wanted: Wanted, vpc: Mapping[str, Any]) -> Iterator[str]:
    if vpc["cidr"] != wanted.cidr:
        yield f"VPC {vpc['id']} is {vpc['cidr']}, not {wanted.cidr}"
    if not vpc["dns"]:
        yield f"VPC {vpc['id']} does not support DNS and DNS host names"


def _places(wanted: Wanted) -> dict[str, tuple[str, int]]:
    """Address of each wanted subnet -> its tier and the index of its zone."""
    places = {cidr: (tier, index) for tier, cidrs in wanted.tiers.items() for index, cidr in enumerate(cidrs)}
    zones = list(wanted.zones)
    return places | {each["cidr"]: ("private", zones.index(each["zone"])) for each in wanted.outposts}


def _subnets(wanted: Wanted, found: Found) -> Iterator[str]:
    places = _places(wanted)
    by_cidr = {subnet["cidr"]: subnet for subnet in found["subnets"]}
    for cidr, (tier, index) in places.items():
        if cidr not in by_cidr:
            yield f"the {tier} subnet {cidr} is missing in {wanted.zones[index]}"
        elif by_cidr[cidr]["zone"] != wanted.zones[index]:
            yield f"the {tier} subnet {cidr} is in {by_cidr[cidr]['zone']}, not in {wanted.zones[index]}"
    for cidr, subnet in by_cidr.items():
        if cidr not in places:
            yield f"subnet {subnet['id']} ({cidr}) is not described anywhere"


def _routes(wanted: Wanted, found: Found) -> Iterator[str]:
    places = _places(wanted)
    tables = {subnet: table for table in found["route_tables"] for subnet in table["subnets"]}
    used = [table["id"] for table in tables.values()]
    for subnet in found["subnets"]:
        tier, index = places.get(subnet["cidr"], ("", 0))
        if subnet["id"] not in tables:
            yield f"subnet {subnet['cidr']} has no route table of its own and follows the VPC's main one"
        elif tier:
            routes = _without_endpoints(tables[subnet["id"]], found)
            if tier == "private":
                yield from _to_others(routes, subnet, wanted.on_premises, "transit")
                yield from _to_others(routes, subnet, wanted.partners, "virtual private")
            yield from _way_out(routes, subnet, _exits(wanted, found, tier, index))
    for table in found["route_tables"]:
        if not table["main"] and table["id"] not in used:
            yield f"route table {table['id']} belongs to no subnet"


def _public(wanted: Wanted, found: Found) -> Iterator[str]:
    """What the internet could reach, were it let in."""
    public = {subnet["id"]: subnet for subnet in found["subnets"] if subnet["cidr"] in wanted.tiers["public"]}
    for subnet in found["subnets"]:
        if subnet["public_addresses"]:
            yield f"{_named(subnet)} gives public addresses to what is launched in it"
    for interface in found["interfaces"]:
        if interface["subnet"] in public and interface["owner"] not in ("nat_gateway", "load_balancer"):
            where = _named(public[interface["subnet"]])
            yield f"interface {interface['id']} in the public {where} belongs to no NAT gateway and no load balancer"


def _exits(wanted: Wanted, found: Found, tier: str, index: int) -> set[str] | None:
    """Where the default route of a subnet may lead: one of these gateways; None: there must be no such route."""
    if tier == "database":
        return None
    if tier == "public":
        return {gateway["id"] for gateway in found["internet_gateways"]}
    public = wanted.tiers["public"][index % wanted.nat_gateway_count]
    home = {subnet["id"] for subnet in found["subnets"] if subnet["cidr"] == public}
    return {gateway["id"] for gateway in found["nat_gateways"] if gateway["subnet"] in home and gateway["public"]}


def _to_others(
    routes: dict[str, str], subnet: Mapping[str, Any], networks: Sequence[str], gateway: str
) -> Iterator[str]:
    """Judge the routes to networks behind a gateway of that kind, and take them out of `routes`."""
    beginning = {"transit": "tgw-", "virtual private": "vgw-"}[gateway]
    for network in networks:
        target = routes.pop(network, None)
        if target is None:
            yield f"{_named(subnet)} has no route to {network}, through a {gateway} gateway"
        elif not target.startswith(beginning):
            yield f"the route of {_named(subnet)} to {network} leads to {target}, not to a {gateway} gateway"


def _without_endpoints(table: Mapping[str, Any], found: Found) -> dict[str, str]:
    """Return its routes but those that AWS put there for an endpoint, whose own tags say whether it is ours."""
    endpoints = {endpoint["id"] for endpoint in found["vpc_endpoints"]}
    return {destination: target for destination, target in table["routes"].items() if target not in endpoints}


def _way_out(routes: dict[str, str], subnet: Mapping[str, Any], exits: set[str] | None) -> Iterator[str]:
    way_out = routes.pop(EVERYWHERE, None)
    for destination, target in routes.items():
        yield f"{_named(subnet)} has a route to {destination} through {target}, not described anywhere"
    if exits is None:
        if way_out is not None:
            yield f"the database subnet {subnet['cidr']} has a way out, through {way_out}"
    elif way_out is None:
        yield f"{_named(subnet)} has no default route; it should lead to {_either(exits)}"
    elif way_out not in exits:
        yield f"the default route of {_named(subnet)} leads to {way_out}, not to {_either(exits)}"


def _named(subnet: Mapping[str, Any]) -> str:
    return f"subnet {subnet['cidr']} ({subnet['zone']})"


def _either(gateways: set[str]) -> str:
    return " or ".join(sorted(gateways)) or "a gateway, and there is none"


def _addresses(wanted: Wanted, found: Found) -> Iterator[str]:
    """An address outlives the gateway that it was made for, and costs more without one."""
    names = {f"{wanted.prefix}-{zone}" for zone in wanted.zones}
    for address in found["addresses"]:
        if not address["used"] and address["tags"].get("Name") in names:
            yield f"address {address['id']} ({address['tags']['Name']}) belongs to no NAT gateway any more: release it"


def _hosts(wanted: Wanted, found: Found) -> Iterator[str]:
    named: dict[str | None, list[Mapping[str, Any]]] = {}
    for instance in found["instances"]:
        if instance["tags"].get("Role") != "worker":
            named.setdefault(instance["tags"].get("Name"), []).append(instance)
    for host in wanted.hosts:
        name = f"engine-{host['shard']}-{host['replica']}"
        instances = named.pop(name, [])
        if len(instances) == 1:
            yield from _host(wanted, found, host, instances[0])
        elif instances:
            yield f"{name} exists more than once: {', '.join(sorted(i['id'] for i in instances))}"
        else:
            yield f"{name} does not exist"
    for unknown, instances in named.items():
        for instance in instances:
            label = f"{instance['id']} ({unknown or 'without a Name'})"
            yield f"instance {label} in {instance['zone']} is not described anywhere"


def _workers(wanted: Wanted, found: Found) -> Iterator[str]:
    """How many there are is the market's to say; their template and their group are judged by the plan of these."""
    workers = [instance for instance in found["instances"] if instance["tags"].get("Role") == "worker"]
    places = _places(wanted)
    private = {each["id"] for each in found["subnets"] if places.get(each["cidr"], ("", 0))[0] == "private"}
    if len(workers) > wanted.workers:
        yield f"there are {len(workers)} workers, and {wanted.workers} at most are described"
    for worker in workers:
        if worker["subnet"] not in private:
            yield f"worker {worker['id']} is in {worker['subnet']}, which is no private subnet"


def _host(wanted: Wanted, found: Found, host: Mapping[str, Any], instance: Mapping[str, Any]) -> Iterator[str]:
    name = instance["tags"]["Name"]
    private = wanted.tiers["private"][list(wanted.zones).index(host["zone"])]
    group, security_group = f"{wanted.prefix}-{host['zone']}", f"{wanted.prefix}-engine"
    subnet = {subnet["id"]: subnet["cidr"] for subnet in found["subnets"]}.get(instance["subnet"])
    strategy = {group["id"]: group["strategy"] for group in found["placement_groups"]}.get(group)
    if instance["state"] not in ("pending", "running"):
        yield f"{name} is {instance['state']}, not running"
    if subnet != private:
        yield f"{name} is in subnet {subnet}, not in {private} of {host['zone']}"
    if instance["placement_group"] != group or strategy != "cluster":
        yield f"{name} is in placement group {instance['placement_group'] or 'none'}, not in cluster group {group}"
    if instance["instance_profile"] != f"{wanted.prefix}-engine":
        yield f"{name} has the instance profile {instance['instance_profile'] or 'none'}, not {wanted.prefix}-engine"
    if instance["security_groups"] != [security_group]:
        yield f"{name} is in the security groups {', '.join(instance['security_groups'])}, not in {security_group}"
    purpose = {
        "Role": "engine",
        "Shard": str(host["shard"]),
        "Replica": str(host["replica"]),
        "EngineRole": host["role"],
    }
    yield from _lacking(name, purpose, instance["tags"])


def _tags(wanted: Wanted, found: Found) -> Iterator[str]:
    for kind, resources in found.items():
        for resource in resources:
            if kind == "route_tables" and resource["main"]:
                continue  # AWS makes it with the VPC; nothing uses it
            if kind == "addresses" and not resource["used"]:
                continue  # _addresses says it
            if kind == "interfaces" and resource["owner"] != "instance":
                continue  # AWS makes it with what it belongs to
            yield from _lacking(f"{resource['id']} of {kind}", wanted.tags, resource["tags"])


def _lacking(what: str, wanted: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[str]:
    for key, value in wanted.items():
        if tags.get(key) != value:
            has = f"is {tags[key]!r}" if key in tags else "is missing"
            yield f"tag {key} of {what} {has}; it should be {value!r}"
