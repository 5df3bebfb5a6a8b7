# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lists in check mode what it tags or removes otherwise, and tells what stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import platform_state as module
from botocore.exceptions import ClientError
from platform_resources import CONNECTION, TAGS, Client, clients, in_this_process

PAIRS = [{"Key": key, "Value": value} for key, value in TAGS.items()]


@pytest.fixture
def client() -> Iterator[Client]:
    with in_this_process():
        client = clients()
        for bucket in ("trading-b", "theirs"):
            client("s3").create_bucket(Bucket=bucket)
        client("s3").put_bucket_tagging(Bucket="trading-b", Tagging={"TagSet": PAIRS})
        named = {**TAGS, "Name": "trading-k"}
        client("kms").create_key(Tags=[{"TagKey": key, "TagValue": value} for key, value in named.items()])
        yield client


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    given = {**CONNECTION, "state": "absent", "name_prefix": "trading", "tags": TAGS, **options}
    with patch_module_args(given), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def buckets(client: Client) -> list[str]:
    return [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]


def tags_of(client: Client, bucket: str) -> list[dict[str, str]]:
    try:
        return client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError:
        return []


@pytest.mark.slow
def test_all_that_is_listed_is_taken_or_nothing_is(capsys: pytest.CaptureFixture[str], client: Client) -> None:
    theirs = {"kind": "s3_bucket", "id": "theirs", "name": "trading-c", "tags": {"Purpose": "archive"}}
    wrong = {"kind": "vpc", "id": "vpc-0000000000000000a", "name": "trading"}
    refused = call(capsys, state="managed", resources=[theirs, wrong])
    assert refused["problems"] == ["vpc vpc-0000000000000000a: there is none of that id in this region: correct it"]
    assert tags_of(client, "theirs") == []
    preview = call(capsys, state="managed", resources=[theirs], _ansible_check_mode=True)
    wanted = {**TAGS, "Name": "trading-c", "Purpose": "archive"}
    assert preview["lines"] == ["~ s3_bucket trading-c (theirs)"]
    assert preview["diff"]["after"] == {"s3_bucket theirs": wanted} and tags_of(client, "theirs") == []
    done = call(capsys, state="managed", resources=[theirs])
    assert done["changed"] and done["actions"] == preview["actions"]
    assert {tag["Key"]: tag["Value"] for tag in tags_of(client, "theirs")} == wanted
    assert not call(capsys, state="managed", resources=[theirs])["changed"]


@pytest.mark.slow
def test_check_mode_lists_what_is_then_removed(capsys: pytest.CaptureFixture[str], client: Client) -> None:
    preview = call(capsys, _ansible_check_mode=True)
    assert preview["changed"] and preview["lines"] == ["- s3_bucket trading-b", "- kms_key trading-k"]
    assert preview["diff"] == {"before": "kms_key trading-k\ns3_bucket trading-b\n", "after": ""}
    assert buckets(client) == ["trading-b", "theirs"]

    done = call(capsys)
    assert done["changed"] and done["actions"] == [{"kind": "s3_bucket", "name": "trading-b", "action": "delete"}]
    (key,) = done["kept"]
    assert (key["kind"], key["why"]) == ("kms_key", "it ends then, and its end can be taken back")
    assert done["diff"]["after"] == "kms_key trading-k\n"
    assert buckets(client) == ["theirs"]
    again = call(capsys)
    assert (again["changed"], again["actions"], again["kept"]) == (False, [], [key])


def test_tags_that_do_not_say_whose_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, tags={"Environment": "dev"})
    assert answer["msg"] == "tags lack Project and ManagedBy, which tell what is ours: set them in ironbook_tags"
