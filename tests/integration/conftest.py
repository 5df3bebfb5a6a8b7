# SPDX-License-Identifier: GPL-3.0-or-later
"""What most tests of a real engine begin with; a file whose engine is another one defines its own of the name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.engine_process import Engine
from integration.etcd_cluster import Cluster, etcd_cluster
from integration.phases_site import Phases, raised
from integration.production_site import Venue
from integration.production_site import venue as venue_in
from integration.shard import Shard, replicated_shard
from integration.stores import Etcd


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A running engine."""
    process = Engine(tmp_path).start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real cluster of etcd, for the tests of one file."""
    with etcd_cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
def shard(cluster: Cluster) -> Iterator[Shard]:
    """A replicated shard of three engines and their agents, its record in `cluster`."""
    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    with replicated_shard(settings, backend.open(), backend.shard()) as shard:
        yield shard


@pytest.fixture(scope="session")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """The one environment of tests/integration/test_production_*.py."""
    with venue_in(tmp_path_factory.mktemp("venue")) as venue:
        yield venue


@pytest.fixture(scope="session")
def phases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phases]:
    """The one environment of tests/integration/test_phases*.py."""
    with raised(tmp_path_factory.mktemp("phases")) as phases:
        yield phases


@pytest.fixture
def ec2(venue: Venue) -> Any:
    """A client of EC2 in that environment."""
    return venue.client("ec2")


@pytest.fixture
def vpc(venue: Venue) -> dict[str, Any]:
    """Its VPC."""
    return venue.vpc


@pytest.fixture
def subnets(venue: Venue) -> dict[str, dict[str, Any]]:
    """Its subnets by their addresses."""
    return venue.subnets


@pytest.fixture
def tables(venue: Venue) -> list[dict[str, Any]]:
    """Its route tables."""
    return venue.tables
