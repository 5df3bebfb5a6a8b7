# SPDX-License-Identifier: GPL-3.0-or-later
"""What production's playbooks refuse before they have changed anything."""

from __future__ import annotations

import json
import re

import pytest
from integration.platform_runs import play
from integration.production_site import ZONES, Venue

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def test_wrong_variables_are_refused_together_with_their_file_and_line(venue: Venue) -> None:
    wrong = "aws_streams_shard_cout: 10\naws_streams_retention_hours: soon\naws_database_backup_days: 99"
    run = venue.play("provision", variables=wrong)
    assert run.returncode != 0
    assert re.search(
        r"zz_test.yml:2: aws_streams_shard_cout is not a variable of any role; did you mean aws_streams_shard_count\?",
        run.output,
    )
    assert re.search(r"zz_test.yml:3: aws_streams_retention_hours is 'soon'; type int is wanted", run.output)
    assert re.search(r"zz_test.yml:4: aws_database_backup_days is 99; the most is 35", run.output)
    assert "Call up the provisioners" not in run.output


@pytest.mark.feature("ORC-03", by="U", part="the play stops")
def test_a_version_below_the_minimum_is_refused(venue: Venue) -> None:
    newer = "preflight_minimum_versions: {ansible-core: 99.1, boto3: 1.44.5, amazon.aws: 10.1.2}"
    run = venue.play("provision", variables=newer)
    assert run.returncode != 0
    assert re.search(r"ansible-core \S+ is too old; at least 99.1 is needed", run.output)


def test_another_account_is_refused(venue: Venue) -> None:
    run = venue.play("provision", variables='aws_account_id: "999999999999"')
    assert run.returncode != 0
    assert "the credentials are of account 123456789012, the inventory is for 999999999999" in run.output
    assert "Call up the provisioners" not in run.output


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9 does not answer"),
        (
            "https://ec2.us-east-1.amazonaws.com",
            "AWS_ENDPOINT_URL is https://ec2.us-east-1.amazonaws.com, which is not",
        ),
        ("", "AWS_ENDPOINT_URL is not set, so this would reach AWS itself"),
    ],
)
def test_a_local_inventory_reaches_nothing_but_a_live_emulator(venue: Venue, endpoint: str, complaint: str) -> None:
    run = play(venue.environment | {"AWS_ENDPOINT_URL": endpoint}, "provision")
    assert run.returncode != 0
    lines = run.output.splitlines()
    assert len(lines) == 1
    assert complaint in lines[0]
    assert "ironbook local up" in lines[0]


def test_a_replayed_session_in_production_is_refused(venue: Venue) -> None:
    run = venue.play("provision", variables="session_replay: true")
    assert run.returncode != 0
    assert "session_replay is set and ironbook_environment is production" in run.output


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        ([(0, 0), (0, 1)], "engine_hosts has engine-0-2, which nobody asked for"),
        ([(shard, n) for shard in (0, 1) for n in range(3)], "engine_hosts lacks engine-1-0, engine-1-1, engine-1-2"),
    ],
)
def test_discover_refuses_other_hosts_than_those_asked_for(
    venue: Venue, hosts: list[tuple[int, int]], complaint: str
) -> None:
    asked = [
        {"shard": shard, "replica": n, "zone": ZONES[n], "role": "standby" if n else "primary"} for shard, n in hosts
    ]
    shards = [{"shard": 0, "symbols": ["AAPL"]}, {"shard": 1, "symbols": ["MSFT"]}][: 1 + asked[-1]["shard"]]
    staging = "ironbook_environment: staging\n"  # where two hosts are enough
    other = f"{staging}ironbook_engine_hosts: {json.dumps(asked)}\nironbook_shards: {json.dumps(shards)}"
    run = venue.play("discover", variables=other)
    assert run.returncode != 0
    assert complaint in run.output
