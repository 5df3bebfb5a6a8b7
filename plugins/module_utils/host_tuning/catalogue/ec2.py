# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0913, PLR0917  (an entry of the catalogue is a row of a table)
"""EC2: what only the API knows of an instance, beside what the host itself shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..check import Between, Computed, FromFacts, OneOf, Reader, Severity, Tunable, Wanted, exactly
from ..conditions import can, on_ec2, surely_can
from ..ec2_facts import (
    Api,
    checks,
    events,
    express,
    instance,
    interfaces,
    mirrored,
    named_group,
    queue_counts,
    tracked_rules,
    whole_host,
)
from ..facts import Facts
from ..settings import Advice


@dataclass(frozen=True)
class SuitsPlan:
    """A number of queues that the plan has CPUs for; the type's own number is settled on the host."""

    def best(self, facts: Facts) -> Any:
        """Return one for each housekeeping CPU."""
        return len(facts.housekeeping)

    def text(self, facts: Facts) -> str:
        """Say the number."""
        return str(len(facts.housekeeping))

    def tolerance(self) -> str:
        """Say the rest."""
        return "fewer, or the type's own"

    def accepts(self, value: Any, facts: Facts) -> bool:
        """Judge a number."""
        return value is None or 0 < value <= max(1, len(facts.housekeeping))


def names_venue(facts: Facts) -> str | None:
    """Need a plan that says where the venue is."""
    return None if facts.venue_zone else "the plan does not say which zone the venue is in"


def ec2(
    name: str,
    title: str,
    live: Reader,
    wanted: Wanted,
    severity: Severity,
    why: str,
    source: str,
    advice: str,
    **more: Any,
) -> Tunable:
    """Describe something that only the API sets."""
    needs = (on_ec2, *more.pop("needs", ()))
    return Tunable(
        f"ec2.{name}", title, live, wanted, severity, why, source, needs=needs, setting=Advice(advice), **more
    )


EC2: tuple[Tunable, ...] = (
    ec2(
        "placement_group",
        "The instance is in a placement group",
        Computed("EC2 instance: Placement.GroupName", lambda machine: {"GroupName": named_group(machine)}),
        exactly("in one"),
        "critical",
        "Hosts of a cluster group are within a hop or two, 35 µs against 100 elsewhere in the zone.",
        "EC2: network latency; HFT-05",
        "launch it into the cluster placement group: a running instance is stopped, moved, and started",
        risk="A group can be out of capacity.",
    ),
    ec2(
        "zone",
        "The instance is in the venue's zone",
        instance("Placement", "AvailabilityZoneId"),
        FromFacts(lambda facts: facts.venue_zone),
        "critical",
        "Another zone is 300 µs away; a zone's name means another place in each account, its ID does not.",
        "EC2: zone IDs; A. Putra",
        "a subnet whose AvailabilityZoneId is the venue's",
        needs=(names_venue,),
        risk="One zone can fail as a whole.",
    ),
    ec2(
        "placement_strategy",
        "The placement group is a cluster",
        Api("placement_group", ("Strategy",)),
        OneOf(("cluster", "precision-time")),
        "critical",
        "A spread or a partition puts hosts apart on purpose.",
        "EC2: placement groups; HFT-05",
        "a placement group with Strategy=cluster",
        risk="Hosts that are near each other can fail together.",
    ),
    ec2(
        "tenancy",
        "No other customer is on the machine",
        Computed("EC2 instance: Placement.Tenancy", whole_host),
        exactly("alone"),
        "high",
        "Neighbours share the last cache, the memory's bandwidth and the card.",
        "EC2: dedicated instances; HFT-06",
        "a metal or the largest size, or Tenancy=dedicated in the launch template",
        risk="The price of a whole machine.",
    ),
    ec2(
        "threads",
        "The instance has one thread a core",
        instance("CpuOptions", "ThreadsPerCore"),
        exactly(1),
        "high",
        "Switched off before the kernel starts, no interrupt has to move when a sibling goes.",
        "EC2: CPU options",
        "CpuOptions={CoreCount=…,ThreadsPerCore=1} in the launch template",
        needs=(can("threads_option", "choice of threads a core: nosmt does it on the host"),),
        risk="Half of the vCPUs at the same price.",
    ),
    ec2(
        "ena_support",
        "Enhanced networking is on",
        instance("EnaSupport"),
        exactly(True),
        "critical",
        "Without it the instance has an emulated adapter.",
        "EC2: enhanced networking; HFT-04",
        "aws ec2 modify-instance-attribute --ena-support, with the instance stopped",
        risk="An image without the driver has no network then.",
    ),
    ec2(
        "ena_express",
        "ENA Express is off",
        Computed("EC2 instance: NetworkInterfaces.Attachment.EnaSrdSpecification", express),
        exactly(False),
        "medium",
        "It spreads packets over paths and puts them in order again, tens of µs more where traffic is light.",
        "EC2: ENA Express",
        "EnaSrdSpecification={EnaSrdEnabled=false} in modify-network-interface-attribute",
        needs=(can("ena_express", "ENA Express"),),
        risk="On a congested path the slowest thousandth would be faster with it.",
    ),
    ec2(
        "queue_count",
        "The API gives the interface no more queues than the plan has CPUs for",
        Computed("EC2 instance: NetworkInterfaces.Attachment.EnaQueueCount", queue_counts),
        SuitsPlan(),
        "low",
        "A queue that the host does not use is a queue less for another interface.",
        "EC2: ENA queues",
        "EnaQueueCount in the launch template",
        needs=(surely_can("queue_option", "a choice of queues by the API"),),
        risk="A change takes a new attachment.",
    ),
    ec2(
        "disk_bandwidth",
        "Disks have a network of their own",
        instance("EbsOptimized"),
        exactly(True),
        "medium",
        "A journal's write does not wait behind packets then.",
        "EC2: EBS-optimized instances",
        "aws ec2 modify-instance-attribute --ebs-optimized, with the instance stopped",
        risk="None: current types have it at no price.",
    ),
    ec2(
        "metadata_tokens",
        "Metadata wants a token",
        instance("MetadataOptions", "HttpTokens"),
        exactly("required"),
        "medium",
        "Without one any program that can be made to fetch a page can fetch the host's keys.",
        "EC2: IMDSv2",
        "aws ec2 modify-instance-metadata-options --http-tokens required",
        risk="A program that knows no tokens gets nothing.",
    ),
    ec2(
        "metadata_hops",
        "Metadata does not leave the host",
        instance("MetadataOptions", "HttpPutResponseHopLimit"),
        exactly(1),
        "low",
        "A container or a forwarder is a hop further, and has no business with the host's keys.",
        "EC2: IMDSv2",
        "aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 1",
        risk="Containers without the host's network get nothing.",
    ),
    ec2(
        "hibernation",
        "The instance does not hibernate",
        instance("HibernationOptions", "Configured", default=False),
        exactly(False),
        "low",
        "It keeps room for the whole memory on a disk, and devices come back with a reset.",
        "EC2: hibernation",
        "launch it without HibernationOptions",
        risk="None.",
    ),
    ec2(
        "burstable",
        "The instance's CPU is its own",
        Computed("EC2 instance: InstanceType", lambda machine: {"type": bool(machine.facts.can("burstable"))}),
        exactly(False),
        "critical",
        "A burstable type is slowed to a tenth when its credits are spent.",
        "EC2: burstable instances",
        "any type but t2, t3, t3a and t4g",
        risk="The price.",
    ),
    ec2(
        "spot",
        "The instance cannot be taken away",
        instance("InstanceLifecycle", default="on-demand"),
        OneOf(("on-demand", "scheduled", "capacity-block")),
        "critical",
        "A spot instance is stopped two minutes after Amazon wants it back.",
        "EC2: spot; HFT-10",
        "launch it without InstanceMarketOptions",
        risk="The price.",
    ),
    ec2(
        "scheduled_events",
        "No event is scheduled",
        Computed("EC2 status: Events", events),
        exactly("none"),
        "high",
        "The host is rebooted or retired at a time that Amazon chose.",
        "EC2: scheduled events",
        "stop and start the instance in quiet hours, which moves it to another machine",
        risk="None.",
        counter=True,
    ),
    ec2(
        "status_checks",
        "Amazon finds the instance well",
        Computed("EC2 status: InstanceStatus, SystemStatus", checks),
        exactly("ok"),
        "high",
        "A host that fails them is about to be moved or is unreachable already.",
        "EC2: status checks",
        "see the system log, and stop and start the instance",
        risk="None.",
        counter=True,
    ),
    ec2(
        "recovery",
        "The instance is not moved by itself",
        instance("MaintenanceOptions", "AutoRecovery", default="default"),
        exactly("disabled"),
        "low",
        "A member of a cluster that comes back elsewhere is outside its placement; another one takes over anyway.",
        "EC2: instance recovery",
        "aws ec2 modify-instance-maintenance-options --auto-recovery disabled",
        needs=(can("threads_option", "automatic recovery"),),
        risk="Somebody has to replace it.",
    ),
    ec2(
        "admin_interface",
        "Administration has an interface of its own",
        Computed("EC2 instance: NetworkInterfaces", lambda machine: {"interfaces": len(interfaces(machine))}),
        Between(2, low=2),
        "low",
        "Logs and logins share queues and allowances with orders otherwise.",
        "EC2: Nitro considerations",
        "a second network interface in another subnet",
        risk="Routes have to be right: up to Nitro version 3 a gateway of the same subnet takes the slow path.",
    ),
    ec2(
        "security_groups",
        "Security groups track no connection",
        Computed("EC2 security_groups: IpPermissions", tracked_rules),
        exactly("untracked"),
        "low",
        "Each tracked flow is looked up, has an allowance, and is forgotten when idle.",
        "EC2: connection tracking",
        "rules of 0.0.0.0/0 both ways for the engine's ports, where another boundary filters",
        risk="The ports are open to whoever can reach the subnet.",
    ),
    ec2(
        "mirroring",
        "No session copies the instance's packets",
        Computed("EC2 mirror_sessions", mirrored),
        exactly(0),
        "medium",
        "Each packet is sent twice, from the same bandwidth.",
        "EC2: Nitro considerations",
        "aws ec2 delete-traffic-mirror-session",
        risk="Whoever watches by it sees nothing.",
    ),
)
