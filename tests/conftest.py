# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test shares: the import path of the collection, and the marks that name rows of the mission."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, configuration, settings

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent

# `ansible_collections.ironbook.trading` is found through the link that the Makefile makes; no pytest-ansible, which
# would put a farm of symlinks into the repository.
sys.path[:0] = [str(TESTS), str(ROOT / ".venv" / "collections")]

from feature_rows import FeatureMarks  # noqa: E402  (found through the line above)

# What hypothesis remembers lies beside our other caches and not in the checkout; and no property fails because a
# machine is slow or stalls, where each example would have 200 ms.
configuration.set_hypothesis_home_dir(ROOT / ".cache" / "hypothesis")
settings.register_profile("ironbook", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ironbook")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks of this repository and start recording what the tests prove."""
    config.addinivalue_line("markers", "integration: starts real servers; not part of `make test-fast`")
    config.addinivalue_line("markers", "slow: pure, but takes seconds; not part of `make test-fast`")
    config.pluginmanager.register(FeatureMarks(config), "feature-marks")


def pytest_collection_finish() -> None:
    """Have boto3 read the description of a service once for all sessions, which takes a third of a second for EC2's."""
    if session := sys.modules.get("botocore.session"):
        loader = session.create_loader()
        session.create_loader = lambda path=None: loader
