# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the addresses of a network can be: in the inventory alone, and beside all other networks that it may meet.

Pure: nothing is asked of anything.  A line names both networks of an overlap, and the variables that they come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

# VPC User Guide, "Subnet CIDR blocks": the sizes of VPCs and subnets, and the first four addresses and the last one of
# each subnet, which are AWS's.
LARGEST, SMALLEST = 16, 28
RESERVED = 5


@dataclass(frozen=True)
class Network:
    """Some addresses, and what has them, in words."""

    cidr: str
    what: str

    def overlaps(self, other: Network) -> bool:
        """Whether the two have an address in common."""
        return IPv4Network(self.cidr).overlaps(IPv4Network(other.cidr))

    def __str__(self) -> str:
        """What a line calls it."""
        return f"{self.cidr} ({self.what})"


def problems(  # noqa: PLR0913, PLR0917  (a network has these parts)
    cidr: str,
    tiers: Mapping[str, Sequence[str]],
    zones: Sequence[str],
    elsewhere: Mapping[str, Sequence[str]],
    hosts: Iterable[Mapping[str, Any]],
    endpoints: int,
    outposts: Sequence[str] = (),
) -> list[str]:
    """What is wrong with a network, one line each.

    `tiers`: the subnets of public, private and database, in the order of `zones`; those beyond the last zone are not
    made.  `elsewhere`: variable -> networks that the VPC has routes to.  `hosts` lie in the private subnet of their
    `zone`, each of which has an address for each of `endpoints`.  `outposts`: the subnets on such.
    """
    vpc = Network(cidr, "aws_network_cidr")
    subnets = [
        Network(one, f"aws_network_{tier}_cidrs") for tier, cidrs in tiers.items() for one in cidrs[: len(zones)]
    ]
    subnets += [Network(one, "aws_network_outposts") for one in outposts]
    reached = [Network(one, variable) for variable, cidrs in elsewhere.items() for one in cidrs]
    return [
        *_too_few(tiers, zones),
        *_wrong_size([vpc, *subnets]),
        *_outside(vpc, subnets),
        *_crowded(tiers.get("private", ()), zones, hosts, endpoints),
        *overlaps(combinations(subnets, 2)),
        *overlaps((vpc, network) for network in reached),
        *overlaps(combinations(reached, 2)),
    ]


def overlaps(pairs: Iterable[tuple[Network, Network]]) -> Iterator[str]:
    """One line for each pair that has addresses in common."""
    for one, other in pairs:
        if one.overlaps(other):
            yield f"{one} and {other} have addresses in common: nothing could be sent from one to the other"


def _too_few(tiers: Mapping[str, Sequence[str]], zones: Sequence[str]) -> Iterator[str]:
    for tier, cidrs in tiers.items():
        if len(cidrs) < len(zones):
            yield f"aws_network_{tier}_cidrs has {len(cidrs)} subnets for the {len(zones)} zones of ironbook_zones"


def _wrong_size(networks: Iterable[Network]) -> Iterator[str]:
    for network in networks:
        if not LARGEST <= IPv4Network(network.cidr).prefixlen <= SMALLEST:
            yield f"{network} is too large or too small: AWS takes /{LARGEST} to /{SMALLEST}"


def _outside(vpc: Network, subnets: Iterable[Network]) -> Iterator[str]:
    for subnet in subnets:
        if not IPv4Network(subnet.cidr).subnet_of(IPv4Network(vpc.cidr)):
            yield f"{subnet} is not part of the VPC's {vpc}"


def _crowded(
    private: Sequence[str], zones: Sequence[str], hosts: Iterable[Mapping[str, Any]], endpoints: int
) -> Iterator[str]:
    wanted = Counter(str(host["zone"]) for host in hosts)
    for zone, cidr in zip(zones, private, strict=False):
        free = IPv4Network(cidr).num_addresses - RESERVED
        if wanted[zone] + endpoints > free:
            yield (
                f"{cidr} (aws_network_private_cidrs) has {free} addresses to give, and {wanted[zone]} engine hosts and "
                f"{endpoints} endpoints of {zone} need one each"
            )
