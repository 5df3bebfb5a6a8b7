# SPDX-License-Identifier: GPL-3.0-or-later
"""Production raised from phase 1 to phase 5 on an account that was empty, and what each phase left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from integration.platform_runs import Run, of_site
from integration.production_site import PREFIX, Production, count_resources
from local_processes import local_site


class Resource(NamedTuple):
    """A resource of the environment."""

    kind: str
    name: str
    identifier: str


@dataclass
class Phases:
    """What the runs left behind, by their phase."""

    production: Production
    runs: dict[int, Run] = field(default_factory=dict)
    there: dict[int, set[Resource]] = field(default_factory=dict)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    routes: dict[int, dict[str, set[str]]] = field(default_factory=dict)

    def reach(self, phase: int, *playbooks: str) -> None:
        """Run the playbooks in a phase, and remember what is there then."""
        self.runs[phase] = self.production.must(*playbooks, variables=f"platform_phase: {phase}")
        self.there[phase] = self.resources()
        self.counts[phase] = self.counted()
        self.routes[phase] = self.leading()

    def resources(self) -> set[Resource]:
        """All that carries the tags of the environment."""
        found = self.production.found()
        assert found.unmarked == []
        return {Resource(item.kind, item.name, item.id) for item in found.ours}

    def counted(self) -> dict[str, int]:
        """How many there are of some kinds, whatever their tags: each service itself is asked."""
        client = self.production.client
        ec2, iam, wires, scaling = (client(name) for name in ("ec2", "iam", "directconnect", "autoscaling"))
        return count_resources(self.production) | {
            "subnets": len(self.production.subnets),
            "keys": len([a for a in client("kms").list_aliases()["Aliases"] if PREFIX in a["AliasName"]]),
            "roles": len(iam.list_roles()["Roles"]),
            "profiles": len(iam.list_instance_profiles()["InstanceProfiles"]),
            "volumes": len(ec2.describe_volumes()["Volumes"]),
            "templates": len(ec2.describe_launch_templates()["LaunchTemplates"]),
            "workers": len(scaling.describe_auto_scaling_groups()["AutoScalingGroups"]),
            "attachments": len(ec2.describe_transit_gateway_attachments()["TransitGatewayAttachments"]),
            "virtual_gateways": len(ec2.describe_vpn_gateways()["VpnGateways"]),
            "customers": len(ec2.describe_customer_gateways()["CustomerGateways"]),
            "vpns": len(ec2.describe_vpn_connections()["VpnConnections"]),
            "ports": len(wires.describe_connections()["connections"]),
            "interfaces": len(wires.describe_virtual_interfaces()["virtualInterfaces"]),
            "wire_gateways": len(wires.describe_direct_connect_gateways()["directConnectGateways"]),
        }

    def leading(self) -> dict[str, set[str]]:
        """Where the routes of each route table of ours lead, by its name."""
        return {
            tag["Value"]: {r.get("DestinationCidrBlock", "") for r in table["Routes"] if r.get("GatewayId") != "local"}
            for table in self.production.tables
            for tag in table["Tags"]
            if tag["Key"] == "Name"
        }


@contextmanager
def raised(directory: Path) -> Iterator[Phases]:
    """Production on a site of its own, which is gone afterwards; each phase is verified in the run that makes it."""
    verify = directory / "verify.yml"
    verify.write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": ["ironbook.trading.platform_check"]}])
    )
    with local_site() as site:
        phases = Phases(Production(site, of_site(site), directory / "inventories"))
        phases.reach(1, "site")
        for phase in (2, 3, 4, 5):
            phases.reach(phase, "provision", str(verify))
        yield phases
