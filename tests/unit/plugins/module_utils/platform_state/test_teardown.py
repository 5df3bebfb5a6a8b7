# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is ours goes, what rests on others first; what law keeps is told with its date; nobody else's is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.plan import Run
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import read, removal, teardown
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.items import Estate as Listed
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.items import Item
from platform_estate import Estate
from platform_resources import FOREIGN, TAGS, Client, FastClock, Recorder, clients, in_this_process

# What AWS makes beside other things, and the estate does not have.
BESIDE = {"rds_snapshot", "network_interface", "transit_gateway_vpn_attachment"}
UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2557)


def there(client: Client, tags: Mapping[str, str] = TAGS, prefix: str = "trading") -> list[Item]:
    return estate(client, tags, prefix).ours


def estate(client: Client, tags: Mapping[str, str] = TAGS, prefix: str = "trading") -> Listed:
    account = Account(client, 60)
    place = read.whereabouts(account, "us-east-1", prefix)
    found, problems = read.read(account, Run(tags), place, read.listings())
    assert problems == []
    return found


def named(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.kind, item.name) for item in items]


@pytest.fixture
def client() -> Iterator[Client]:
    with in_this_process():
        yield clients()


@pytest.mark.slow
def test_all_of_ours_goes_and_what_stays_is_told_with_its_reason_and_nothing_of_others_is_touched(client) -> None:
    ours = Estate(client, TAGS, "trading")
    theirs, nobodys = Estate(client, FOREIGN, "theirs"), Estate(client, {}, "nobodys")
    others = named(there(client, FOREIGN, "theirs"))
    s3 = client("s3")
    s3.put_object(Bucket="trading-audit", Key="law", Body=b"a", ObjectLockMode="COMPLIANCE",
                  ObjectLockRetainUntilDate=UNTIL)  # fmt: skip
    s3.put_bucket_encryption(
        Bucket="trading-audit",
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ours.key}}]},
    )  # fmt: skip
    other_key = client("kms").create_key(Tags=[{"TagKey": k, "TagValue": v} for k, v in TAGS.items()])
    before = there(client)
    assert {item.kind for item in before} >= set(removal.REMOVALS) - set(KINDS) - BESIDE

    outcome = teardown.remove(Account(client, 60), before)
    assert outcome.problems == [] and teardown.left(outcome, estate(client)) == []
    kept = {(each.item.kind, each.until): each.why for each in outcome.kept}
    (final,) = client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    name = final["DBSnapshotIdentifier"]
    assert name.startswith("trading-final-")
    ends = client("kms").describe_key(KeyId=other_key["KeyMetadata"]["KeyId"])["KeyMetadata"]["DeletionDate"].date()
    assert ends == (datetime.now(UTC) + timedelta(days=removal.KEY_DAYS)).date()
    assert kept == {
        ("rds_snapshot", "somebody deletes it"): f"last state of {final['SnapshotCreateTime'].date()} of a database",
        ("s3_bucket", UNTIL.isoformat()): "1 versions of objects in it are locked",
        ("kms_key", "that is gone"): f"nothing else reads trading-audit, {name}",
        ("kms_key", ends.isoformat()): "it ends then, and its end can be taken back",
    }
    versions = s3.list_object_versions(Bucket="trading-audit")
    assert [each["Key"] for each in versions["Versions"]] == ["law"] and "DeleteMarkers" not in versions
    assert client("kms").describe_key(KeyId="alias/trading")["KeyMetadata"]["KeyState"] == "Enabled"

    assert named(there(client, FOREIGN, "theirs")) == others
    ec2 = client("ec2")
    assert {theirs.vpc, nobodys.vpc} <= {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    states = {instance["InstanceId"]: instance["State"]["Name"]
              for each in ec2.describe_instances()["Reservations"] for instance in each["Instances"]}  # fmt: skip
    assert states[ours.instance] == "terminated"
    assert (states[theirs.instance], states[nobodys.instance]) == ("running", "running")
    assert {each["DBInstanceIdentifier"] for each in client("rds").describe_db_instances()["DBInstances"]} == {
        "theirs", "nobodys"
    }  # fmt: skip
    assert len(s3.list_object_versions(Bucket="nobodys-audit")["Versions"]) == 3

    again = teardown.remove(Account(client, 60), there(client))
    assert (again.removed, again.problems, again.changed) == ([], [], False)
    assert {each.item.kind for each in again.kept} == {"rds_snapshot", "s3_bucket", "kms_key"}


@pytest.mark.slow
def test_a_run_that_is_cut_off_anywhere_is_completed_by_the_next(client) -> None:
    """Refused from the first write on, from the tenth: each run goes on where the last one was cut off."""
    Estate(client, TAGS, "trading")
    removed = []
    for fail_at in (0, 9, 9):
        before = there(client)
        cut = teardown.remove(Account(Recorder(client, fail_at), 60, FastClock()), before)
        assert any("cut off here" in line for line in cut.problems)
        removed.append(len(cut.removed))
    assert removed[0] == 0 < removed[1] + removed[2]
    gone = Item("vpc", "vpc-1234567890abcdef0", "a", "")
    outcome = teardown.remove(Account(client, 60, FastClock()), [gone, *there(client)])
    assert outcome.problems == [] and gone in outcome.removed
    assert teardown.left(outcome, estate(client)) == []
    assert {item.kind for item in there(client)} == {"rds_snapshot", "kms_key"}


def test_what_rests_on_others_goes_before_them() -> None:
    place = {kind: number for number, kinds in enumerate(removal.stages()) for kind in kinds}
    order = ["instance", "elastic_ip", "internet_gateway", "vpc", "dynamodb_table", "kms_key"]
    assert sorted(reversed(order), key=place.__getitem__) == order
    before = [
        ("scaling_group", "instance"), ("scaling_group", "launch_template"), ("instance", "dedicated_host"),
        ("transit_gateway_vpc_attachment", "transit_gateway"), ("vpn_connection", "customer_gateway"),
        ("vpc_endpoint", "security_group"), ("direct_connect_interface", "direct_connect_connection"),
        ("direct_connect_interface", "direct_connect_gateway"), ("direct_connect_gateway", "transit_gateway"),
        ("virtual_private_gateway", "vpc"), ("flow_log", "s3_bucket"), ("s3_bucket", "kms_key"),
        ("db_instance", "db_subnet_group"), ("security_group", "vpc"),
    ]  # fmt: skip
    assert [pair for pair in before if place[pair[0]] >= place[pair[1]]] == []
    assert place.keys() == removal.REMOVALS.keys() >= {listing.kind for listing in read.listings()}
    assert removal.stages()[-2:] == [["dynamodb_table"], ["kms_key"]]  # the lock of the run, and what all rest on


def test_what_is_there_after_a_removal_is_what_is_left() -> None:
    gone = Item("nat_gateway", "nat-1", "a", "", parts=["eipalloc-1"])
    key, stays = Item("kms_key", "k-1", "a", ""), Item("vpc", "vpc-1", "a", "")
    outcome = teardown.Outcome([gone], [removal.Kept(key, "why", "then")])
    ours = [gone, Item("elastic_ip", "eipalloc-1", "a", ""), key, stays]
    assert teardown.left(outcome, Listed(ours, everything=[stays, key])) == [stays]  # tagged still, and ended
    assert teardown.left(outcome, Listed(ours, everything=[gone])) == [gone, stays]  # AWS said that it had gone
