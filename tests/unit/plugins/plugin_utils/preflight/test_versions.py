# SPDX-License-Identifier: GPL-3.0-or-later
"""Prerequisites below their minimum are named, and the minimum is the one that the repository installs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight.versions import (
    below_minimum,
    installed_version,
)

ROOT = Path(__file__).resolve().parents[5]
MINIMUM = yaml.safe_load((ROOT / "roles/preflight/defaults/main.yml").read_text())["preflight_minimum_versions"]


@pytest.mark.feature("ORC-03", by="U")
@pytest.mark.parametrize(
    ("name", "found", "complaint"),
    [
        ("ansible-core", "2.19.13", "ansible-core 2.19.13 is too old; at least 2.19.14 is needed"),
        ("ansible-core", "2.9.27", "ansible-core 2.9.27 is too old; at least 2.19.14 is needed"),
        ("boto3", "1.44.4", "boto3 1.44.4 is too old; at least 1.44.5 is needed"),
        ("boto3", None, "boto3 is not installed; at least 1.44.5 is needed"),
        ("amazon.aws", "9.5.0", "amazon.aws 9.5.0 is too old; at least 10.1.2 is needed"),
    ],
)
def test_older_than_the_minimum_is_refused(name: str, found: str | None, complaint: str) -> None:
    installed = MINIMUM | {name: found}
    assert below_minimum(installed, MINIMUM) == [complaint]


@pytest.mark.parametrize("found", ["2.19.14", "2.19.15rc1", "2.20", "2.19.14.post1", "3"])
def test_the_minimum_and_newer_pass(found: str) -> None:
    assert below_minimum({"ansible-core": found}, {"ansible-core": "2.19.14"}) == []


def test_trailing_zero_and_unquoted_number_are_no_difference() -> None:
    assert below_minimum({"x": "2.19.0"}, {"x": "2.19"}) == []
    assert below_minimum({"x": "2.19"}, {"x": 2.19}) == []  # type: ignore[dict-item]


def test_what_is_installed_here_passes() -> None:
    assert below_minimum({name: installed_version(name) for name in MINIMUM}, MINIMUM) == []


def test_what_does_not_exist_has_no_version() -> None:
    assert installed_version("ironbook-no-such-distribution") is None
    assert installed_version("ironbook.nosuch") is None


def test_minimum_is_what_the_repository_pins() -> None:
    site = (ROOT / "requirements/site.txt").read_text()
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]
    assert re.search(rf"^boto3=={re.escape(MINIMUM['boto3'])}$", site, re.MULTILINE)
    for name in ("amazon.aws", "community.aws"):
        assert galaxy[name] == f">={MINIMUM[name]}"
