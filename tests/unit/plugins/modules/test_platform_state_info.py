# SPDX-License-Identifier: GPL-3.0-or-later
"""The module tells what is ours and what lacks its tags, in lists and in lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import platform_state_info as module
from platform_resources import CONNECTION, TAGS, clients, in_this_process


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args({**CONNECTION, "name_prefix": "trading", **options}), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.slow
def test_it_tells_what_is_ours_and_what_lacks_its_tags(capsys: pytest.CaptureFixture[str]) -> None:
    with in_this_process():
        client = clients()
        client("dynamodb").create_table(
            TableName="trading-t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()],
        )
        client("s3").create_bucket(Bucket="trading-forgotten")
        client("s3").create_bucket(Bucket="theirs")
        answer = call(capsys, tags=TAGS)
    assert (answer["changed"], answer["problems"]) == (False, [])
    (table,) = answer["resources"]
    assert table["arn"] == "arn:aws:dynamodb:us-east-1:123456789012:table/trading-t"
    assert table["tags"] == TAGS
    (forgotten,) = answer["unmarked"]
    assert (forgotten["id"], forgotten["reason"]) == ("trading-forgotten", "its name begins as ours do")
    assert len(answer["lines"]) == 3


def test_tags_that_do_not_say_whose_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, tags={"Environment": "dev"})
    assert answer["msg"] == "tags lack Project and ManagedBy, which tell what is ours: set them in ironbook_tags"
