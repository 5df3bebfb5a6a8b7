# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of production and its negative controls: each thing broken is named, and mended by the next run."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from integration import platform_drift as drift
from integration.production_site import PREFIX, PREMISES, TIERS, ZONES, Venue, count_resources

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def test_verification_finds_nothing_to_complain_about(venue: Venue) -> None:
    assert drift.found_problems(venue.client) == []


def must_say(venue: Venue, complaint: str, breakage: Callable[[], object]) -> None:
    """Break something; verification must name it in a line of its own."""
    before = set(drift.found_problems(venue.client))
    breakage()
    new = set(drift.found_problems(venue.client)) - before
    assert any(line.startswith(complaint) for line in new), f"{complaint}: {new}"


def must_refuse_a_changed_password(venue: Venue) -> None:
    """AWS does not tell whether the password is still ours; the login does."""
    superuser = (venue.site.state / "secrets" / "postgres_superuser_password").read_text().strip()
    place = {"host": "127.0.0.1", "port": venue.site.port + 1, "dbname": "postgres"}
    with psycopg.connect(**place, user="rdsadmin", password=superuser, autocommit=True) as connection:
        connection.execute("alter role trading_admin password 'changed by hand'")
    refused = venue.play("migrate")
    assert refused.returncode != 0
    assert "password authentication failed" in refused.output
    assert "-e aws_database_reset_password=true" in refused.output


def test_what_is_broken_is_found_by_verification_and_mended_by_the_next_run(
    venue: Venue, ec2, vpc, subnets, tables
) -> None:
    """Negative controls of the verification, all in one life, since a run takes its time."""
    must_refuse_a_changed_password(venue)
    there = count_resources(venue)
    theirs = drift.bring_theirs(ec2, subnets)
    with_their_tags = drift.tags_of(ec2, theirs)
    for breakage, complaint in drift.BREAKAGES.items():
        must_say(venue, complaint, lambda breakage=breakage: breakage(ec2, vpc, subnets, tables))  # type: ignore[misc]
    for resource, kind in drift.untag_of_ec2(ec2, vpc, subnets).items():
        untag = {"Resources": [resource], "Tags": [{"Key": "Team"}]}
        must_say(venue, f"tag Team of {resource} of {kind} is missing", lambda u=untag: ec2.delete_tags(**u))  # type: ignore[misc]
    for complaint, undo in (drift.untag_the_rest(venue.client) | drift.undo_stores(venue.client)).items():
        must_say(venue, complaint, undo)
    for complaint, undo in drift.undo_network(ec2, subnets, tables).items():
        must_say(venue, complaint, undo)
    no_way = f"subnet {TIERS['private'][0]} ({ZONES[0]}) has no route to {PREMISES}, through a transit gateway"
    must_say(venue, no_way, lambda: drift.break_hybrid(ec2, subnets, tables))
    must_say(venue, f"0 VPCs are named {PREFIX}", lambda: drift.take_names(ec2, vpc, subnets, tables))
    mended = venue.must("provision", variables="aws_database_reset_password: true")
    untouched = {
        "identity",
        "zone_us-east-1a",
        "placement_us-east-1a",
        "placement_us-east-1c",
        "instance_0_2",
        "workers",
    }
    assert set(mended.changed) == set(venue.first.changed) - untouched
    # What others have in our VPC is told and left alone.
    assert drift.tags_of(ec2, theirs) == with_their_tags
    assert any(line.startswith(f"instance {theirs[0]} (their-bastion)") for line in drift.found_problems(venue.client))
    drift.remove_theirs(ec2, theirs)
    # An address is never released behind your back: others may let it in by its number.
    (left,) = drift.found_problems(venue.client)
    assert re.match(rf"address eipalloc-\w+ \({PREFIX}-us-east-1b\) belongs to no NAT gateway any more", left)
    ec2.release_address(AllocationId=left.split()[1])
    assert drift.found_problems(venue.client) == []
    # What is deleted is still told: a gateway of ours, and theirs and their host.
    told = {"nat": there["nat"] + 2, "instances": there["instances"] + 1}
    assert count_resources(venue) == there | told
    venue.must("migrate")
    (database,) = venue.client("rds").describe_db_instances()["DBInstances"]
    assert (database["DeletionProtection"], database["BackupRetentionPeriod"]) == (True, 30)


def test_what_provision_cannot_set_back_is_named(venue: Venue, ec2) -> None:
    """A host without its Name is nobody's, and data stays under the key that it was written under."""
    host, kms = drift.engine(ec2, "engine-0-0")["InstanceId"], venue.client("kms")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"]
    unnamed = {"Resources": [host], "Tags": [{"Key": "Name"}]}
    must_say(venue, f"instance {host} (without a Name) in us-east-1a", lambda: ec2.delete_tags(**unnamed))
    must_say(venue, "of keys there is none", lambda: kms.delete_alias(AliasName=f"alias/{PREFIX}"))
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    under = f"database {PREFIX}-database is encrypted under arn:aws:kms:"
    must_say(venue, under, lambda: kms.create_alias(AliasName=f"alias/{PREFIX}", TargetKeyId=other))
    kms.update_alias(AliasName=f"alias/{PREFIX}", TargetKeyId=key)
    ec2.create_tags(Resources=[host], Tags=[{"Key": "Name", "Value": "engine-0-0"}])
    assert drift.found_problems(venue.client) == []
