# SPDX-License-Identifier: GPL-3.0-or-later
"""Production phase by phase, on an account that was empty: what each adds is what docs/phases.md says, and no more.

A lane of its own, with an environment of its own: the tests read what the runs of one fixture left behind. The last one
changes nothing in it, and test_phases_teardown.py ends it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import psycopg
import pytest
from integration.phases_site import Phases, Resource
from integration.production_site import ACCOUNT, PARTNERS, PREFIX, PREMISES, ZONES, planned
from local_processes import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

# What the words in capitals of docs/phases.md stand for in production.
WORDS = {
    "NAME": PREFIX, "ACCOUNT": ACCOUNT, "ZONE": "|".join(ZONES), "TIER": "public|private|database", "SHARD": "0",
    "REPLICA": "[012]", "GROUP": "[a-z-]+", "SERVICE": "[a-z0-9-]+", "DESTINATION": "s3", "OUTPOST": "[a-z]+",
    "PORT": f"{PREFIX}-(premises|venues)", "INTERFACE": "premises|nyse|nasdaq|client-a",
}  # fmt: skip
# The entries of its last column that do not hold in production.
NOT_HERE = {
    "`aws_network_outposts`",
    "`aws_network_flow_logs` has `cloudwatch`",
    "`aws_compute_tenancy` is `host`",
    "the market calls for one",
}


class Row(NamedTuple):
    """A row of docs/phases.md."""

    phase: int
    kind: str
    name: str
    only_where: str

    def is_about(self, resource: Resource) -> bool:
        """Whether the resource is one of the row."""
        pattern = re.sub("[A-Z]+", lambda word: f"({WORDS[word[0]]})", self.name)
        return resource.kind == self.kind and re.fullmatch(pattern, resource.name) is not None


ROWS = [
    Row(int(phase), kind, name, where.strip())
    for phase, kind, name, where in re.findall(
        r"^\| (\d) \| `(\w+)` \| `([^`]+)` \|(.*)\|$", (ROOT / "docs/phases.md").read_text(), re.MULTILINE
    )
]


FOUNDATION = {"vpcs": 1, "subnets": 9, "nat": 3, "buckets": 2, "databases": 1, "keys": 1}
ADDED: dict[int, dict[str, int]] = {
    2: {"streams": 1, "tables": 1, "roles": 1, "profiles": 1},
    3: {"groups": 3, "instances": 3, "volumes": 3},
    4: {
        "hubs": 1, "attachments": 2, "virtual_gateways": 1, "customers": 1, "vpns": 1, "ports": 2, "interfaces": 4,
        "wire_gateways": 2,
    },
    5: {"templates": 1, "workers": 1},
}  # fmt: skip


@pytest.mark.feature("ORC-26", by="M", repaired="tags of NAT gateways and addresses")
def test_phase_1_makes_the_foundation_and_nothing_else(phases: Phases) -> None:
    """Read back from each service: of what comes later there is nothing at all."""
    counts = phases.counts[1]
    assert {what: count for what, count in counts.items() if count} == FOUNDATION
    assert counts.keys() == FOUNDATION.keys() | {what for added in ADDED.values() for what in added}
    assert not any({PREMISES, *PARTNERS} & routes for routes in phases.routes[1].values())


@pytest.mark.feature("ORC-26", by="M", repaired="tags of NAT gateways and addresses")
@pytest.mark.parametrize("phase", [1, 2, 3, 4, 5])
def test_a_phase_adds_exactly_what_is_documented(phases: Phases, phase: int) -> None:
    """What was there keeps its ids; each new resource is of one row of the phase, and each row has one."""
    before = phases.there.get(phase - 1, set())
    added = phases.there[phase] - before
    assert before <= phases.there[phase]
    rows = [row for row in ROWS if row.phase == phase]
    assert rows and added
    assert [found for found in added if sum(row.is_about(found) for row in rows) != 1] == []
    missing = {row for row in rows if not any(row.is_about(found) for found in added)}
    assert missing == {row for row in rows if row.only_where in NOT_HERE}
    was = phases.counts.get(phase - 1, dict.fromkeys(phases.counts[1], 0))
    more = {what: count - was[what] for what, count in phases.counts[phase].items() if count != was[what]}
    assert more == (FOUNDATION if phase == 1 else ADDED[phase])


def test_only_phase_4_changes_what_was_there_and_that_is_the_routes_of_the_private_subnets(phases: Phases) -> None:
    changed = {
        2: {"streams", "configuration_store", "identity"},
        3: {f"placement_{zone}" for zone in ZONES} | {f"instance_0_{n}" for n in range(3)} | {"localhost"},
        4: {"localhost", "hybrid"} | {f"routes_{zone}" for zone in ZONES},
        5: {"workers"},
    }
    assert {phase: set(phases.runs[phase].changed) for phase in changed} == changed
    private = {f"{PREFIX}-private-{zone}" for zone in ZONES}
    for phase in (2, 3, 4, 5):
        new = {name: routes - phases.routes[phase - 1][name] for name, routes in phases.routes[phase].items()}
        ways = {PREMISES, *PARTNERS} if phase == 4 else set()
        assert new == {name: ways if name in private else set() for name in new}


def test_site_ends_well_in_phase_1_and_says_what_it_left(phases: Phases) -> None:
    """The schema is there, what there is was verified, and no play touched a host."""
    lines = phases.runs[1].lines
    left = (
        "streams (2), configuration_store (2), identity (2), image (3), placement (3), instance (3), hybrid (4), "
        "workers (5)"
    )
    assert lines.count(f"platform_phase is 1; left to later phases: {left}") == 1
    said = "platform_phase is 1, and engine hosts come with 3: the plays that work on them have nothing to do"
    assert lines.count(said) == 1
    assert "Hold AWS against the inventory" in lines
    secrets = phases.production.site.state / "secrets"
    place = {"host": "127.0.0.1", "port": phases.production.site.port + 1, "dbname": "trading_platform"}
    password = (secrets / "database_password").read_text().split()[0]
    with psycopg.connect(**place, user="trading_admin", password=password) as connection:
        (applied,) = connection.execute("select count(*) from ironbook.schema_history").fetchone() or (0,)
    assert applied >= len(list((ROOT / "roles/rds_schema/files").glob("V*.sql")))


def test_the_whole_inventory_is_judged_in_each_phase(phases: Phases) -> None:
    """A network of premises that come with phase 4, and workers that come with phase 5."""
    for wrong, complaint in (
        ("aws_network_on_premises_cidrs: [10.0.0.0/8]", "aws_network_on_premises_cidrs"),
        ("aws_compute_workers_least: 21", "aws_compute_workers_least is 21, and aws_compute_workers_most 20"),
    ):
        run = phases.production.play("provision", variables=f"platform_phase: 1\n{wrong}")
        assert run.returncode != 0
        assert complaint in run.output
        assert "Call up the provisioners" not in run.output


@pytest.mark.feature("ORC-26", by="M", repaired="tags of NAT gateways and addresses")
def test_all_phases_make_what_a_run_without_them_makes_and_a_lower_one_takes_nothing_away(phases: Phases) -> None:
    """A last test: it runs provision with the variable left out, and then in phase 1, where all is there."""
    production, whole = phases.production, phases.there[5]
    assert production.must("provision", "discover").changed == {}
    lower = "platform_phase: 1"
    plan = planned(production.must("plan", check=True, variables=lower))
    assert plan == ["plan: 0 to add, 0 to change, 0 to destroy"]
    assert production.must("provision", variables=lower).changed == {}
    assert (phases.resources(), phases.counted(), phases.leading()) == (whole, phases.counts[5], phases.routes[5])
    discover = production.play("discover", variables=lower)
    assert discover.returncode != 0
    assert "engine_hosts has engine-0-0, engine-0-1, engine-0-2, which nobody asked for" in discover.output
    assert "(none are asked for before platform_phase 3)" in discover.output
    verify = production.apply("platform_check", variables="platform_phase: 3")
    assert verify.returncode != 0
    assert f"has a route to {PREMISES} through tgw-" in verify.output
