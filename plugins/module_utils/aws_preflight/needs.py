# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment needs of its account, what the account has, and what of it is lacking.

Each role says in its meta/needs.yml what it needs; reader.py asks AWS what there is; `problems` holds one against the
other.  Pure: nothing is asked of anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from .addresses import Network, overlaps

ADDRESSES, VPCS, VCPUS = "addresses", "vpcs", "vcpus"


@dataclass(frozen=True)
class Quota:
    """A quota of an account in a region: its codes at Service Quotas, and what it limits."""

    service: str
    code: str
    what: str


# Service Quotas' own codes: "EC2-VPC Elastic IPs", "VPCs per Region", and "Running On-Demand Standard (A, C, D, H, I,
# M, R, T, Z) instances", which counts vCPUs.
QUOTAS = {
    ADDRESSES: Quota("ec2", "L-0263D0A3", "Elastic IP addresses"),
    VPCS: Quota("vpc", "L-F678F1CE", "VPCs"),
    VCPUS: Quota("ec2", "L-1216C47A", "vCPUs of running on-demand standard instances"),
}
STANDARD = frozenset("acdhimrtz")
# Families that begin with one of these letters, and have a quota of their own.
NOT_STANDARD = ("dl", "hpc", "inf", "mac", "trn")


@dataclass(frozen=True)
class Needs:
    """Of all roles together.

    `vpcs`: {name, cidr}. `nat_gateways`: names; each has an Elastic IP address. `instances`: {name, type, zone}.
    `streams`: {name, shards}. `permissions`: {resource, actions}.
    """

    zones: Sequence[str]
    vpcs: Sequence[Mapping[str, str]] = ()
    nat_gateways: Sequence[str] = ()
    instances: Sequence[Mapping[str, str]] = ()
    streams: Sequence[Mapping[str, Any]] = ()
    permissions: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, given: Mapping[str, Sequence[Any]], zones: Sequence[str]) -> Needs:
        """Return the needs that the roles declare; an instance has the name that the role aws_compute gives it."""
        instances = [{**one, "name": f"engine-{one['shard']}-{one['replica']}"} for one in given.get("instances", ())]
        return cls(zones=zones, **{**given, "instances": instances})


@dataclass(frozen=True)
class Found:
    """What there is in a region.

    `vpcs`: {id, name, region, cidrs} of all regions that were asked. `nat_gateways`: names. `instances`: {name, type,
    ours} that run. `offered`: the types of each zone. `vcpus`: of each type. `addresses`: how many there are. `quotas`:
    by their names above, None where AWS does not say. `streams`: the open shards of those that are needed and there.
    `shards`: open and the most, of all streams; None where AWS does not say.
    """

    region: str
    zones: Collection[str]
    vpcs: Sequence[Mapping[str, Any]] = ()
    nat_gateways: Collection[str] = ()
    instances: Sequence[Mapping[str, Any]] = ()
    offered: Mapping[str, Collection[str]] = field(default_factory=dict)
    vcpus: Mapping[str, int] = field(default_factory=dict)
    addresses: int = 0
    quotas: Mapping[str, float | None] = field(default_factory=dict)
    streams: Mapping[str, int] = field(default_factory=dict)
    shards: tuple[int, int] | None = None


def problems(needs: Needs, found: Found, accepted: Collection[str] = ()) -> list[str]:
    """What is lacking, one line each. `accepted`: ids of VPCs whose addresses may be ours, too."""
    return [
        *_zones(needs, found),
        *_offered(needs, found),
        *_overlaps(needs, found, accepted),
        *_vpcs(needs, found),
        *_addresses(needs, found),
        *_vcpus(needs, found),
        *_shards(needs, found),
    ]


def is_standard(instance_type: str) -> bool:
    """Whether the quota of standard instances counts that type, which the letter of its family says."""
    return instance_type[:1] in STANDARD and not instance_type.startswith(NOT_STANDARD)


def _zones(needs: Needs, found: Found) -> Iterator[str]:
    for zone in needs.zones:
        if zone not in found.zones:
            yield (
                f"ironbook_zones has {zone}, which {found.region} does not have for this account; it has "
                f"{', '.join(sorted(found.zones))}"
            )


def _offered(needs: Needs, found: Found) -> Iterator[str]:
    for instance in needs.instances:
        kind, zone = instance["type"], instance["zone"]
        if zone in found.zones and kind not in found.offered.get(zone, ()):
            where = sorted(other for other, kinds in found.offered.items() if kind in kinds)
            remedy = (
                f"it is in {', '.join(where)}: move the host there, or take another type"
                if where
                else f"nor elsewhere in {found.region}: take another type"
            )
            yield f"{kind} (aws_compute_instance_type) is not offered in {zone}, where {instance['name']} is; {remedy}"


def _overlaps(needs: Needs, found: Found, accepted: Collection[str]) -> Iterator[str]:
    mine = [Network(vpc["cidr"], f"VPC {vpc['name']}") for vpc in needs.vpcs]
    ours = {vpc["name"] for vpc in needs.vpcs}  # by its name, or by its tags where somebody took its name away
    others = [
        Network(cidr, f"VPC {vpc['id']} {vpc['name']}".rstrip() + f" of {vpc['region']}")
        for vpc in found.vpcs
        if not (vpc["region"] == found.region and (vpc.get("ours") or vpc["name"] in ours))
        and vpc["id"] not in accepted
        for cidr in vpc["cidrs"]
    ]
    for line in overlaps(product(mine, others)):
        yield f"{line}: give ours others, or accept it (aws_preflight_accepted_vpcs)"


def _beyond(found: Found, name: str, used: int, more: int, what: str) -> Iterator[str]:
    most, quota = found.quotas.get(name), QUOTAS[name]
    if most is not None and more and used + more > most:
        yield (
            f"{more} more {quota.what} are needed ({what}), and {used} of the {most:g} that {found.region} allows are "
            f"in use: have the quota {quota.code} of {quota.service} raised, or remove what is not needed"
        )


def _vpcs(needs: Needs, found: Found) -> Iterator[str]:
    here = [vpc["name"] for vpc in found.vpcs if vpc["region"] == found.region]
    missing = [vpc["name"] for vpc in needs.vpcs if vpc["name"] not in here]
    yield from _beyond(found, VPCS, len(here), len(missing), ", ".join(missing))


def _addresses(needs: Needs, found: Found) -> Iterator[str]:
    missing = [name for name in needs.nat_gateways if name not in found.nat_gateways]
    what = f"one for each NAT gateway: {', '.join(missing)}"
    yield from _beyond(found, ADDRESSES, found.addresses, len(missing), what)


def _vcpus(needs: Needs, found: Found) -> Iterator[str]:
    there = {instance["name"] for instance in found.instances if instance["ours"]}
    missing = [one for one in needs.instances if one["name"] not in there and is_standard(one["type"])]
    used = sum(found.vcpus.get(one["type"], 0) for one in found.instances if is_standard(one["type"]))
    more = sum(found.vcpus.get(one["type"], 0) for one in missing)
    what = ", ".join(f"{one['name']} {one['type']}" for one in missing)
    yield from _beyond(found, VCPUS, used, more, what)


def _shards(needs: Needs, found: Found) -> Iterator[str]:
    if found.shards is None:
        return
    used, most = found.shards
    more = sum(max(0, int(stream["shards"]) - found.streams.get(stream["name"], 0)) for stream in needs.streams)
    if more and used + more > most:
        names = ", ".join(stream["name"] for stream in needs.streams)
        yield (
            f"{more} more Kinesis shards are needed ({names}), and {used} of the {most} that {found.region} allows are "
            "in use: have that quota raised, or lower aws_streams_shard_count"
        )
