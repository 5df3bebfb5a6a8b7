# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml of an inventory for AWS, whole, on an account that was empty: its engine hosts are this machine.

What differs from the inventory is here and in production_site.py, and nowhere else: the account, how hosts are reached
and under what their services run, the ports. No host is in the group tuned_hosts, so that it is audited only, as those
of inventories/local are. Where the inventory has the audit stop the site, what is audited is not this machine, which is
not tuned, but the tree of a host that is (host_audit_root; a synthetic one, tests/fixtures/host_trees.py), by the CPUs
that it was tuned for. Outside of production, where it is refused, a short session is traded; an inventory of one firm
gets a second one for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import yaml
from fixtures import host_trees
from fixtures.host_types import TYPES
from integration.platform_runs import Run, of_site
from integration.production_site import TAGS, Production, plan_of_all, planned
from local_processes import ROOT, local_site

INVENTORIES = ROOT / "inventories"
PROFILES = {path.stem: path for path in sorted((INVENTORIES / "profiles").glob("*.yml"))}
MESSAGES = 2000

ON_THIS_MACHINE = """service_manager: supervisor
ironbook_port_base: {port}
"""
A_TUNED_HOST = """host_audit_root: {tree}
host_audit_isolated_cpus: "{cpus}"
"""
A_SESSION = f"""session_replay: true
session_replay_market_data: ""
session_replay_generated_messages: {MESSAGES}
engine_service_sessions:
  - {{username: MAKER1, firm: MAKR}}
  - {{username: TAKER1, firm: TAKR}}
"""


def variables_of(inventory: Path, directory: Path, port: int, trades: bool) -> str:
    """What is set in place of the inventory's own."""
    said = ON_THIS_MACHINE.format(port=port) + (A_SESSION if trades else "")
    if (inventory / "group_vars" / "all" / "host_audit.yml").exists():
        tree = host_trees.write(host_trees.tuned_metal(), directory / "tuned")
        said += A_TUNED_HOST.format(tree=tree, cpus=TYPES["c5n.metal"].isolated)
    return said


def settings_of(name: str) -> dict[str, Any]:
    """What concerns the whole venue, of an inventory or of a profile as it is laid over staging."""
    inventory = INVENTORIES / ("staging" if name in PROFILES else name)
    said: dict[str, Any] = yaml.safe_load((inventory / "group_vars" / "all" / "ironbook.yml").read_text())
    return said | (yaml.safe_load(PROFILES[name].read_text()) if name in PROFILES else {})


def untagged(production: Production, region: str) -> list[str]:
    """The ARN of each resource with the environment's mark that lacks one of the six tags."""
    tagging = production.client("resourcegroupstaggingapi", region)
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": "ManagedBy", "Values": ["ansible"]}])
    found = [one for page in pages for one in page["ResourceTagMappingList"]]
    assert found
    return [
        one["ResourceARN"] for one in found if not {tag["Key"] for tag in one["Tags"] if tag["Value"]}.issuperset(TAGS)
    ]


def trades_of(production: Production, region: str) -> int:
    """How many trades the tables have, read over TLS as the master user, whom RDS names with the endpoint."""
    (database,) = production.client("rds", region).describe_db_instances()["DBInstances"]
    secrets = production.site.state / "secrets"
    with psycopg.connect(
        host=database["Endpoint"]["Address"],
        port=database["Endpoint"]["Port"],
        user=database["MasterUsername"],
        dbname=database["DBName"],
        password=(secrets / "database_password").read_text().strip(),
        sslmode="verify-full",
        sslrootcert=str(secrets / "postgres_authority.pem"),
    ) as connection:
        row = connection.execute("select count(*) from trades").fetchone()
    assert row
    return int(row[0])


def must_be_made_whole(name: str, directory: Path) -> dict[str, Any]:
    """Plan it, make it, make it again; return how much there is of it, and the seconds that each run took."""
    settings, inventory = settings_of(name), INVENTORIES / ("staging" if name in PROFILES else name)
    trades = settings["ironbook_environment"] != "production"
    profile = ["-e", f"@{PROFILES[name]}"] if name in PROFILES else []
    region = str(settings["aws_region"])
    seconds: dict[str, float] = {}

    def timed(what: str, run: Callable[[], Run]) -> Run:
        begin = time.monotonic()
        done = run()
        seconds[what] = round(time.monotonic() - begin, 1)
        return done

    with local_site() as site:
        environment = of_site(site) | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        variables = variables_of(inventory, directory / "host", site.port, trades)
        production = Production(site, environment, directory / "inventories", inventory, hosts_here=True)

        def site_yml() -> Run:
            return production.must("site", *profile, variables=variables)

        plan = timed("plan", lambda: production.must("plan", *profile, check=True))
        assert not production.client("ec2", region).describe_nat_gateways()["NatGateways"]
        first = timed("first", site_yml)
        hosts = {f"engine-{host['shard']}-{host['replica']}" for host in settings["ironbook_engine_hosts"]}
        assert hosts <= set(first.changed)
        dealt = trades_of(production, region)
        assert (dealt > 0) == trades
        unchanged = timed("unchanged", site_yml)
        assert unchanged.changed == {}
        assert trades_of(production, region) == dealt
        *lines, count = planned(plan)
        *made, said = plan_of_all(production, *profile)
        assert sorted(lines) == made
        assert count == said
        assert untagged(production, region) == []
    return {"resources": len(made), "hosts": len(hosts), "trades": dealt, **seconds}
