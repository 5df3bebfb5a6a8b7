# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runs of an environment share, and that one at a time changes it; a killed run leaves its lock."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.platform_runs import command_of
from integration.production_site import ACCOUNT, PREFIX, Venue
from local_processes import ROOT, kill_family, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

# The smallest run that takes the lock: it holds it until the file `go` is there, or fails after `patience` seconds.
HOLD = """
- import_playbook: ironbook.trading.preflight
- hosts: "{{ 'localhost' | ironbook.trading.after_preflight }}"
  gather_facts: false
  roles: [ironbook.trading.run_lock]
  tasks:
    - ansible.builtin.wait_for: {path: "{{ go }}", timeout: "{{ patience }}"}
"""
BUCKET, TABLE = f"{PREFIX}-state-{ACCOUNT}", f"{PREFIX}-run-lock"
LOCKED = "run_lock_wanted: true"


def holder(venue: Venue) -> dict[str, Any] | None:
    """Who holds the lock, as the table has it."""
    key = {"item": {"S": f"run-lock/{PREFIX}"}}
    found = venue.client("dynamodb").get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    return json.loads(found["holder"]["S"]) if found else None


def runs(venue: Venue) -> list[dict[str, Any]]:
    """The runs that the bucket has on record."""
    s3 = venue.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"runs/{PREFIX}/")["Contents"]
    return [json.loads(s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()) for each in listed]


@pytest.mark.feature("ORC-06", by="M")
def test_bootstrap_makes_what_runs_share_once_and_honours_what_exists(venue: Venue) -> None:
    s3, dynamodb, kms = (venue.client(service) for service in ("s3", "dynamodb", "kms"))
    bucket, table = BUCKET, TABLE
    lacking = venue.play("bootstrap", variables="backend_existing: true")
    assert lacking.returncode != 0 and f"of the bucket {bucket} and the table {table} not both are there" in lacking.err
    assert table not in dynamodb.list_tables()["TableNames"]

    first, second = venue.must("bootstrap"), venue.must("bootstrap")
    assert first.lines[-1].startswith("changed=3 ") and second.lines[-1].startswith("changed=0 ")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}-backend")["KeyMetadata"]["Arn"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    told = dynamodb.describe_table(TableName=table)["Table"]
    assert (told["SSEDescription"]["KMSMasterKeyArn"], told["DeletionProtectionEnabled"]) == (key, True)

    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    existing = venue.must("bootstrap", variables="backend_existing: true")
    assert existing.lines[-1].startswith("changed=0 ")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"  # somebody else's: as it was


@pytest.mark.feature("ORC-07", by="M", repaired="conditional writes")
@pytest.mark.feature("OPS-23", by="M", repaired="conditional writes")
def test_of_two_runs_one_holds_the_lock_and_a_killed_one_leaves_it(venue: Venue, tmp_path: Path) -> None:
    hold, logs = tmp_path / "hold.yml", [tmp_path / "a", tmp_path / "b"]
    hold.write_text(HOLD)
    inventory, options = venue.with_variables(LOCKED), ("-e", f"go={tmp_path}/go", "-e", "patience=500")
    both: list[subprocess.Popen[bytes]] = []
    try:
        for log in logs:
            with log.open("wb") as output:
                command, where = (
                    command_of(str(hold), *options, inventory=inventory),
                    {"cwd": ROOT, "env": venue.environment},
                )
                ends = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
                both.append(subprocess.Popen(command, start_new_session=True, **where, **ends))
        wait_for(lambda: any(run.poll() is not None for run in both), "one of two runs gives way", 400)
        held = holder(venue)
        assert held, [log.read_text() for log in logs]
        (winner,), (loser,) = ([r for r in both if (r.pid == held["pid"]) is holds] for holds in (True, False))
        assert winner.poll() is None and loser.wait(60) != 0
        said = logs[both.index(loser)].read_text()
        assert f"{PREFIX} is being changed by {held['user']}@{held['host']}, process {winner.pid}, since" in said
        assert "changed=0" in said

        refused = venue.play("unlock", "-e", f"run_lock_confirm={held['id']}")
        assert refused.returncode != 0 and "that run is alive: wait for its end, or end it" in refused.err
        assert winner.poll() is None
    finally:
        for run in both:
            if run.poll() is None:
                kill_family(run.pid)  # Mitogen's processes have sessions of their own
            run.wait()
    assert holder(venue) == held

    unnamed = venue.play("unlock")
    assert unnamed.returncode != 0
    assert f"that run has ended: to clear its lock, add -e run_lock_confirm={held['id']}" in unnamed.err
    assert holder(venue) == held
    cleared = venue.must("unlock", "-e", f"run_lock_confirm={held['id']}")
    assert cleared.lines[-1].startswith("changed=1 ")
    assert holder(venue) is None


def test_each_run_that_held_the_lock_is_recorded_and_a_failed_one_has_given_it_back(venue: Venue, tmp_path) -> None:
    hold = tmp_path / "hold.yml"
    hold.write_text(HOLD)
    failing = venue.play(str(hold), "-e", "go=/nowhere", "-e", "patience=1", variables=LOCKED)
    assert failing.returncode != 0 and "Timeout when waiting for file /nowhere" in failing.output
    assert holder(venue) is None
    last = max(runs(venue), key=lambda run: run["since"])
    assert last["command"] == f"ansible-playbook {hold}" and last["ended"] >= last["since"]


@pytest.fixture(scope="module", autouse=True)
def nothing_left(venue: Venue) -> Iterator[None]:
    """What these tests made is gone when they have ended: the venue has no backend of its own."""
    yield
    s3, dynamodb, kms = (venue.client(service) for service in ("s3", "dynamodb", "kms"))
    for version in s3.list_object_versions(Bucket=BUCKET).get("Versions", ()):
        s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=BUCKET)
    dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=TABLE)
    key = kms.describe_key(KeyId=f"alias/{PREFIX}-backend")["KeyMetadata"]["KeyId"]
    kms.delete_alias(AliasName=f"alias/{PREFIX}-backend")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


@pytest.mark.feature("ORC-08", by="U")
def test_the_example_of_a_backend_loads_and_says_nothing_that_nobody_reads() -> None:
    given = yaml.safe_load((ROOT / "inventories/example/group_vars/all/backend.yml").read_text(encoding="utf-8"))
    read = {
        name
        for role in ("backend", "run_lock")
        for name in yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text(encoding="utf-8"))
    }
    assert {"backend_existing", "backend_bucket", "backend_lock_table", "run_lock_wanted"} == given.keys()
    assert given.keys() <= read
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles/backend/tasks").glob("*.yml"))
    assert [name for name in given if name.startswith("backend_") and name not in text] == []
