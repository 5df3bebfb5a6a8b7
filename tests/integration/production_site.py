# SPDX-License-Identifier: GPL-3.0-or-later
"""One environment for all tests of it: inventories/production on an emulator, planned, made, and made again.

The files tests/integration/test_production_*.py share it, one after the other in the order of their names: who changes
something sets it back. Where IRONBOOK_TEST_VENUE names a directory, the site stays there when the tests have ended, and
the next run begins with it and with what its first runs said; `ironbook local down --remove` ends it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.plan import Run as Reading
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import read
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.items import Estate, Place
from integration.platform_runs import AS_JSON, Run, client_of, of_site, play
from local_processes import ROOT, SITE_PORTS, LocalSite, free_port, local_site

ACCOUNT = "123456789012"
PREFIX = "production-trading-engine"
PORT = 21000  # ironbook_port_base
CIDR = "10.0.0.0/16"
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
TIERS = {
    "public": ["10.0.101.0/24", "10.0.102.0/24", "10.0.103.0/24"],
    "private": ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"],
    "database": ["10.0.11.0/24", "10.0.12.0/24", "10.0.13.0/24"],
}
PREMISES = "192.168.0.0/16"
PARTNERS = ["192.0.2.0/25", "192.0.2.128/25"]
TAGS = {
    "Environment": "production",
    "Project": "trading-engine",
    "ManagedBy": "ansible",
    "Team": "devops",
    "CostCenter": "engineering",
    "Compliance": "PCI-DSS",
}
ENGINES = {"engine-0-0": "us-east-1a", "engine-0-1": "us-east-1b", "engine-0-2": "us-east-1c"}
# What AWS makes beside what is asked for: no plan counts it.
BESIDE = {"elastic_ip", "volume", "network_interface", "rds_snapshot", "transit_gateway_vpn_attachment"}
# What an inventory for AWS needs, to be tried on the emulator: its account, modules from one warm interpreter, two
# regions in place of all, each of which takes it a while, and the authority of the PostgreSQL that stands for RDS.
ON_THE_EMULATOR = f"""aws_account_id: "{ACCOUNT}"
ironbook_warm_interpreter: true
aws_preflight_regions: [us-east-1, us-west-2]
ironbook_database_ca_certificate: "{{{{ ironbook_state_directory }}}}/secrets/postgres_authority.pem"
"""
# Where the engine hosts are this machine: how they are reached, and that none of them is tuned.
CONNECTION_HERE = ROOT / "inventories" / "local" / "group_vars" / "all" / "connection.yml"
HOSTS_HERE = """---
all:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
  children:
    tuned_hosts:
"""


@dataclass
class Production:
    """An inventory for AWS on an emulator."""

    site: LocalSite
    environment: dict[str, str]
    directory: Path
    inventory: Path = ROOT / "inventories" / "production"
    hosts_here: bool = False  # the engine hosts are this machine; otherwise nobody can reach them

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """A boto3 client of the emulator."""
        return client_of(self.environment, service, region)

    def with_variables(self, variables: str = "", name: str = "") -> Path:
        """A copy of the inventory with these variables in place of its own."""
        self.directory.mkdir(exist_ok=True)
        copy = self.directory / (name or f"inventory-{len(list(self.directory.iterdir()))}")
        shutil.copytree(self.inventory, copy)
        for file, text in (("zz_emulator", ON_THE_EMULATOR), ("zz_test", variables)):
            (copy / "group_vars" / "all" / f"{file}.yml").write_text(f"---\n{text}\n")
        if self.hosts_here:
            shutil.copy(CONNECTION_HERE, copy / "group_vars" / "engine_hosts.yml")
            (copy / "hosts.yml").write_text(HOSTS_HERE)
        return copy

    def play(self, *playbooks: str, check: bool = False, variables: str = "", **environment: str) -> Run:
        """Run playbooks, of the collection or by path, with these variables in place of the inventory's."""
        inventory = self.with_variables(variables)
        return play(self.environment | environment, *playbooks, inventory=inventory, check=check)

    def must(self, *playbooks: str, **how: Any) -> Run:
        """Run playbooks that have to succeed."""
        run = self.play(*playbooks, **how)
        assert run.returncode == 0, run.output
        return run

    def apply(self, *roles: str, variables: str = "", **environment: str) -> Run:
        """Run roles, or parts of them (ROLE:PART), in the VPC that is there: a tenth of the time of provision."""
        known = {"name": "vpc", "aws_network_vpc_id": self.vpc["VpcId"]}
        tasks: list[dict[str, Any]] = [{"ansible.builtin.add_host": known, "changed_when": False}]
        for role in roles:
            name, _, part = role.partition(":")
            include = {"ansible.builtin.include_role": {"name": f"ironbook.trading.{name}", "rolespec_validate": False}}
            tasks.append(include | ({"vars": {f"{name}_part": part}} if part else {}))
        self.directory.mkdir(exist_ok=True)
        playbook = self.directory / "apply.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        return self.play(str(playbook), variables=variables, **environment)

    def keep_requests(self) -> None:
        """Have the emulator keep what it is asked from now on."""
        self._requests.parent.mkdir(exist_ok=True)
        self._requests.touch()

    def requests(self, action: str) -> list[dict[str, Any]]:
        """The parameters of each request for this action of AWS since keep_requests(), in botocore's form."""
        told = [json.loads(line) for line in self._requests.read_text().splitlines()]
        return [request["parameters"] for request in told if request["action"] == action]

    def asked(self) -> dict[str, int]:
        """How often the emulator was asked for each action of AWS since keep_requests()."""
        told = (json.loads(line) for line in self._requests.read_text().splitlines())
        return dict(Counter(request["action"] for request in told))

    @property
    def _requests(self) -> Path:
        return self.site.state / "emulator" / "requests"

    def found(self) -> Estate:
        """What our own listings find, with no problem."""
        account, place = Account(self.client, 300), Place(ACCOUNT, "us-east-1", PREFIX)
        found, problems = read.read(account, Reading(TAGS), place, read.listings())
        assert problems == []
        return found

    @property
    def vpc(self) -> dict[str, Any]:
        """Our VPC."""
        (vpc,) = self.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [PREFIX]}])["Vpcs"]
        return vpc

    @property
    def subnets(self) -> dict[str, dict[str, Any]]:
        """The VPC's subnets by their addresses."""
        inside = [{"Name": "vpc-id", "Values": [self.vpc["VpcId"]]}]
        return {
            subnet["CidrBlock"]: subnet for subnet in self.client("ec2").describe_subnets(Filters=inside)["Subnets"]
        }

    @property
    def tables(self) -> list[dict[str, Any]]:
        """The VPC's route tables."""
        inside = [{"Name": "vpc-id", "Values": [self.vpc["VpcId"]]}]
        return self.client("ec2").describe_route_tables(Filters=inside)["RouteTables"]


@dataclass
class Venue(Production):
    """Production, and the runs that it began with."""

    too_early: Run = field(kw_only=True)
    plan: Run = field(kw_only=True)
    after_plan: dict[str, int] = field(kw_only=True)
    listed_empty: Run = field(kw_only=True)
    first: Run = field(kw_only=True)
    second: Run = field(kw_only=True)
    made_by: dict[str, int] = field(kw_only=True)


def tags_in(listed: list[dict[str, str]]) -> dict[str, str]:
    """Tags as AWS lists them, by their keys."""
    return {tag["Key"]: tag["Value"] for tag in listed}


def is_resource(line: str) -> bool:
    """Whether a line of a list is about a resource of ours."""
    return len(line.split()) == 3 and " arn:" in line


def planned(run: Run) -> list[str]:
    """The lines of a plan, the count as the last."""
    end = next(i for i, line in enumerate(run.lines) if line.startswith("plan: "))
    begin = end
    while run.lines[begin - 1][:2] in ("+ ", "~ ", "- "):
        begin -= 1
    return run.lines[begin : end + 1]


def listed(production: Production, *options: str) -> list[tuple[str, str]]:
    """Kind and name of each resource that there is."""
    return [
        (line.split()[0], line.split()[1])
        for line in production.must("state_list", *options).lines
        if is_resource(line)
    ]


def plan_of_all(production: Production, *options: str) -> list[str]:
    """What a plan says of an empty account where all that there is now is yet to come; the count as the last line."""
    made = sorted(f"+ {kind} {name}" for kind, name in listed(production, *options) if kind not in BESIDE)
    return [*made, f"plan: {len(made)} to add, 0 to change, 0 to destroy"]


def count_resources(production: Production) -> dict[str, int]:
    """How many resources there are of some kinds that provision makes, beside the VPC that every account has."""
    ec2 = production.client("ec2")
    return {
        "vpcs": len([vpc for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]),
        "nat": len(ec2.describe_nat_gateways()["NatGateways"]),
        "groups": len(ec2.describe_placement_groups()["PlacementGroups"]),
        "instances": len(ec2.describe_instances()["Reservations"]),
        "buckets": len(production.client("s3").list_buckets()["Buckets"]),
        "streams": len(production.client("kinesis").list_streams()["StreamNames"]),
        "tables": len(production.client("dynamodb").list_tables()["TableNames"]),
        "databases": len(production.client("rds").describe_db_instances()["DBInstances"]),
        "hubs": len(ec2.describe_transit_gateways()["TransitGateways"]),
    }


def begin(production: Production) -> dict[str, Any]:
    """The first runs of the environment, in the order of its life; the emulator keeps what it is asked."""
    production.keep_requests()
    return {
        "too_early": production.play("discover"),
        "plan": production.play("plan", "discover", check=True),
        "after_plan": count_resources(production),
        "listed_empty": production.play("state_list"),
        "first": production.play("provision", "discover"),
        "second": production.play("provision", "discover", **AS_JSON),
        "made_by": production.asked(),
    }


@contextmanager
def venue(directory: Path) -> Iterator[Venue]:
    """Production on a site of its own, which is gone afterwards; or the one that IRONBOOK_TEST_VENUE keeps."""
    if kept := os.environ.get("IRONBOOK_TEST_VENUE"):
        yield _kept(Path(kept))
        return
    with local_site() as site:
        production = Production(site, of_site(site), directory)
        yield Venue(site, production.environment, directory, **begin(production))


def _kept(directory: Path) -> Venue:
    told = directory / "runs.json"
    if told.exists():
        found = json.loads(told.read_text())
        port, runs = found.pop("port"), found
    else:
        directory.mkdir(parents=True, exist_ok=True)
        port, runs = free_port(SITE_PORTS), None
    site = LocalSite(directory / "s", port)
    if runs is None:
        site.up()
    shutil.rmtree(directory / "inventories", ignore_errors=True)
    production = Production(site, of_site(site), directory / "inventories")
    if runs is None:
        begun = begin(production)
        runs = {name: asdict(run) if isinstance(run, Run) else run for name, run in begun.items()}
        told.write_text(json.dumps(runs | {"port": port}))
    restored = {name: Run(**run) if "returncode" in run else run for name, run in runs.items()}
    return Venue(site, production.environment, production.directory, **restored)
