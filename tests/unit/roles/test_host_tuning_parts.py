# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the role host_tuning against the catalogue: together they are all that can be set, each thing once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TUNABLES

ROLE = Path(__file__).parents[3] / "roles/host_tuning"


def read(name: str) -> dict[str, object]:
    found = yaml.safe_load((ROLE / name).read_text())
    assert isinstance(found, dict)
    return found


def test_the_parts_together_are_every_group_that_can_be_set() -> None:
    groups_of = read("vars/main.yml")["__host_tuning_groups_of"]
    assert isinstance(groups_of, dict)
    named = Counter(group for groups in groups_of.values() for group in groups)
    assert named == Counter({tunable.group for tunable in TUNABLES if tunable.settable})
    assert read("defaults/main.yml")["host_tuning_parts"] == list(groups_of)
