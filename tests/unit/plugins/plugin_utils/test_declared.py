# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles declare is filled in with their defaults, which give way to the inventory."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight.needs import Needs
from ansible_collections.ironbook.trading.plugins.plugin_utils import declared
from local_processes import ROOT


def production() -> dict[str, Any]:
    paths = sorted((ROOT / "inventories/production/group_vars/all").glob("*.yml"))
    return {name: value for path in paths for name, value in yaml.safe_load(path.read_text()).items()}


def needs(**changed: Any) -> Needs:
    variables, loader = {**production(), **changed}, DataLoader()
    found: dict[str, list[Any]] = {}
    for mapping in declared.of_roles("needs.yml", loader, Templar(loader, variables), variables):
        for kind, wanted in mapping.items():
            found.setdefault(kind, []).extend(wanted)
    return Needs.of(found, variables["ironbook_zones"])


def test_productions_needs_are_those_of_its_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    found = needs()
    assert found.vpcs == [{"name": "production-trading-engine", "cidr": "10.0.0.0/16"}]
    assert found.nat_gateways == [f"production-trading-engine-us-east-1{letter}" for letter in "abc"]
    assert [(one["name"], one["type"], one["zone"]) for one in found.instances] == [
        (f"engine-0-{n}", "c5n.metal", f"us-east-1{letter}") for n, letter in enumerate("abc")
    ]
    assert found.streams == [{"name": "production-trading-engine-market-data", "shards": 10}]
    asked = {(one["resource"], action) for one in found.permissions for action in one["actions"]}
    assert ("*", "ec2:CreateVpc") in asked
    assert ("*", "ec2:CreateTransitGateway") in asked, "production is joined to premises"
    prefix = "production-trading-engine"
    for resource, action in (
        (f"arn:aws:kinesis:us-east-1:111122223333:stream/{prefix}-market-data", "kinesis:CreateStream"),
        (f"arn:aws:rds:us-east-1:111122223333:db:{prefix}-database", "rds:CreateDBInstance"),
        (f"arn:aws:dynamodb:us-east-1:111122223333:table/{prefix}-configuration", "dynamodb:CreateTable"),
        (f"arn:aws:s3:::{prefix}-audit-111122223333", "s3:CreateBucket"),
        (f"arn:aws:iam::111122223333:role/{prefix}-engine", "iam:PassRole"),
        (f"arn:aws:s3:::{prefix}-logs-111122223333", "s3:PutLifecycleConfiguration"),
        ("*", "ec2:CreateFlowLogs"),
    ):
        assert (resource, action) in asked


def test_the_inventory_wins_over_the_defaults() -> None:
    found = needs(aws_network_on_premises_cidrs=[], aws_network_nat_gateway_count=1, aws_streams_name="mine")
    assert len(found.nat_gateways) == 1
    assert [one["name"] for one in found.streams] == ["mine"]
    assert not [one for one in found.permissions if "ec2:CreateTransitGateway" in one["actions"]]


def more_than_without(**changed: Any) -> set[tuple[str, str]]:
    """The permissions that these variables ask for beside production's own."""
    with_them, without = (
        {(one["resource"], action) for one in found.permissions for action in one["actions"]}
        for found in (needs(**changed), needs())
    )
    assert without <= with_them
    return with_them - without


def test_the_run_lock_needs_something_only_where_runs_are_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    asked = {one["resource"] for one in needs().permissions}
    assert not [resource for resource in asked if "run-lock" in resource or "-state-" in resource]
    prefix = "production-trading-engine"
    table = f"arn:aws:dynamodb:us-east-1:111122223333:table/{prefix}-run-lock"
    bucket = f"arn:aws:s3:::{prefix}-state-111122223333"
    locked = {(table, f"dynamodb:{action}Item") for action in ("Get", "Put", "Delete")}
    locked |= {(f"{bucket}/*", "s3:PutObject"), ("*", "kms:GenerateDataKey")}
    made = {(table, f"dynamodb:{action}") for action in ("CreateTable", "UpdateContinuousBackups", "TagResource")}
    puts = ("BucketVersioning", "EncryptionConfiguration", "BucketOwnershipControls", "BucketPublicAccessBlock")
    made |= {(bucket, f"s3:Put{put}") for put in puts} | {(bucket, "s3:CreateBucket"), (bucket, "s3:PutBucketTagging")}
    assert more_than_without(run_lock_wanted=True) == locked | made
    assert more_than_without(run_lock_wanted=True, backend_existing=True) == locked, "somebody else makes them"
    theirs = needs(run_lock_wanted=True, backend_existing=True, backend_lock_table="theirs", backend_bucket="their-b")
    resources = {one["resource"] for one in theirs.permissions}
    assert {"arn:aws:dynamodb:us-east-1:111122223333:table/theirs", "arn:aws:s3:::their-b/*"} <= resources
