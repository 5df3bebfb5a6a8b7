# SPDX-License-Identifier: GPL-3.0-or-later
"""Each inventory that we ship for AWS, and each profile, on an account that was empty: planned, made, made again.

Not a lane of `make test`, which has production alone: `make inventories-long`, with bench/results/inventories.json, or
`INVENTORIES="dev tech_99" pytest tests/every_inventory`. Profiles are laid over staging: production needs more hosts
for a shard than one of them has. On the emulator, engine hosts are machines in name only, so what site.yml does on them
is not part of it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.platform_runs import Run, of_site
from integration.production_site import TAGS, Production, plan_of_all, planned
from local_processes import ROOT, local_site

INVENTORIES = ROOT / "inventories"
PROFILES = {path.stem: path for path in sorted((INVENTORIES / "profiles").glob("*.yml"))}
EVERY = ["dev", "dr", "production", "staging", *PROFILES]
CHOSEN = os.environ.get("INVENTORIES", "").split() or EVERY

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


def region_of(inventory: Path) -> str:
    """The region that the inventory is for."""
    settings = yaml.safe_load((inventory / "group_vars" / "all" / "ironbook.yml").read_text())
    return str(settings["aws_region"])


def untagged(production: Production, region: str) -> list[str]:
    """The ARN of each resource with the environment's mark that lacks one of the six tags."""
    tagging = production.client("resourcegroupstaggingapi", region)
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": "ManagedBy", "Values": ["ansible"]}])
    found = [one for page in pages for one in page["ResourceTagMappingList"]]
    assert found
    return [
        one["ResourceARN"] for one in found if not {tag["Key"] for tag in one["Tags"] if tag["Value"]}.issuperset(TAGS)
    ]


@pytest.mark.feature("ORC-01", by="M", part="what site.yml does in AWS; its engine hosts are machines in name only")
@pytest.mark.feature("USR-07", by="M", part="what site.yml does in AWS; its engine hosts are machines in name only")
@pytest.mark.parametrize("name", CHOSEN)
def test_an_inventory_is_made_as_planned_and_then_unchanged(name: str, tmp_path: Path) -> None:
    inventory = INVENTORIES / ("staging" if name in PROFILES else name)
    profile = ["-e", f"@{PROFILES[name]}"] if name in PROFILES else []
    region = region_of(inventory)
    environment = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    seconds: dict[str, float] = {}

    def timed(what: str, run: Callable[[], Run]) -> Run:
        begin = time.monotonic()
        done = run()
        seconds[what] = round(time.monotonic() - begin, 1)
        return done

    with local_site() as site:
        production = Production(site, of_site(site) | environment, tmp_path, inventory)
        plan = timed("plan", lambda: production.must("plan", *profile, check=True))
        assert not production.client("ec2", region).describe_nat_gateways()["NatGateways"]
        timed("first", lambda: production.must("provision", "discover", *profile))
        run = timed("unchanged", lambda: production.must("provision", "discover", *profile))
        assert run.changed == {}
        *lines, count = planned(plan)
        *made, said = plan_of_all(production, *profile)
        assert sorted(lines) == made
        assert count == said
        assert untagged(production, region) == []
    report(name, {"resources": len(made), **seconds})


def report(name: str, figures: dict[str, Any]) -> None:
    """Add what was seen to the file of INVENTORIES_REPORT, where one is wanted."""
    if path := os.environ.get("INVENTORIES_REPORT"):
        file = Path(path)
        stored = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(stored | {name: figures}))
