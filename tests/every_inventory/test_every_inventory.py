# SPDX-License-Identifier: GPL-3.0-or-later
"""Each inventory that we ship for AWS, and each profile, on an account that was empty: its site.yml, whole, twice.

Not a lane of `make test`, which has the foundation of production alone: `make inventories-long`, with
bench/results/inventories.json, or `INVENTORIES="dev tech_99" pytest tests/every_inventory`. Profiles are laid over
staging: production needs more hosts for a shard than one of them has. What is not as on AWS: integration/whole_site.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from integration.whole_site import PROFILES, must_be_made_whole

EVERY = ["dev", "dr", "production", "staging", *PROFILES]
CHOSEN = os.environ.get("INVENTORIES", "").split() or EVERY

PART = "site.yml with this machine as the hosts: tune_hosts, which would change it, finds none to tune"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(4800)]


@pytest.mark.feature("ORC-01", by="M", part=PART)
@pytest.mark.feature("USR-07", by="M", part=PART)
@pytest.mark.parametrize("name", CHOSEN)
def test_an_inventory_is_made_as_planned_and_then_unchanged(name: str, tmp_path: Path) -> None:
    report(name, must_be_made_whole(name, tmp_path))


def report(name: str, figures: dict[str, Any]) -> None:
    """Add what was seen to the file of INVENTORIES_REPORT, where one is wanted."""
    if path := os.environ.get("INVENTORIES_REPORT"):
        file = Path(path)
        stored = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(stored | {name: figures}))
