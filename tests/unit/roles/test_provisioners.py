# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of the platform: docs/phases.md says what the roles declare, and each kind of resource has its phase."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.read import listings
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import declarations, inventory

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "phases.md").read_text()
DECLARED = declarations.read(ROOT)
# A kind that the module knows and no role makes; and one that AWS makes, and nothing but its tags tells of.
NOT_MADE, BY_TAGS = {"transit_gateway_route_table"}, {"rds_snapshot"}


def parts() -> list[dict[str, Any]]:
    """Every part of the platform that a provisioner makes."""
    declared = yaml.safe_load((ROOT / "roles/provisioners/vars/main.yml").read_text())
    return [part for name, listed in declared.items() if name.endswith("_parts") for part in listed]


def test_the_phases_are_documented_as_they_are_declared() -> None:
    in_order = sorted(parts(), key=lambda part: part["phase"])
    declared = {
        phase: {part["name"] for part in each} for phase, each in groupby(in_order, key=lambda part: part["phase"])
    }
    rows = re.findall(r"^\| (\d) \| [^`|]+ \| ([^|]+) \|", DOCUMENT, re.MULTILINE)
    assert {int(phase): set(re.findall(r"`(\w+)`", names)) for phase, names in rows} == declared
    assert sorted(declared) == [1, 2, 3, 4, 5]


def test_each_kind_of_resource_has_its_phase() -> None:
    documented = set(re.findall(r"^\| \d \| `(\w+)` \|", DOCUMENT, re.MULTILINE))
    assert documented == {listing.kind for listing in listings()} - NOT_MADE | BY_TAGS


@pytest.mark.parametrize(
    ("phase", "complaint"),
    [
        (0, "is 0; the least is 1"),
        (6, "is 6; the most is 5"),
        ("x", "is 'x'; type int is wanted"),
        (None, "has no value; type int is wanted"),
        ("3", ""),
        (1, ""),
    ],
)
def test_a_phase_that_there_is_not_is_refused_by_its_name(phase: Any, complaint: str) -> None:
    setting = inventory.Setting("platform_phase", phase, "-e", ours=False)
    lines = [f"-e: platform_phase {complaint}"] if complaint else []
    assert inventory.problems([setting], DECLARED, lambda value: value) == lines


def test_a_misspelt_phase_is_refused() -> None:
    setting = inventory.Setting("platform_fase", 1, "-e", ours=False)
    (line,) = inventory.problems([setting], DECLARED, lambda value: value)
    assert line.endswith("did you mean platform_phase?")
