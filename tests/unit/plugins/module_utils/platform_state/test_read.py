# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything is read, side by side, from an account of moto's; what cannot be read is named and stops nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account, ResourceError
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.plan import Run
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import read
from botocore.exceptions import ClientError
from platform_resources import TAGS, Client, case_of, clients, converge, in_this_process, provide

pytestmark = pytest.mark.slow
PAIRS = [{"Key": key, "Value": value} for key, value in TAGS.items()]


class Refusing:
    """A client that may not do one thing."""

    def __init__(self, client: Any, operation: str) -> None:
        self._client, self._operation = client, operation

    def __getattr__(self, name: str) -> Any:
        if name == self._operation:
            return self._refuse
        return (lambda _operation: False) if name == "can_paginate" else getattr(self._client, name)

    def _refuse(self, **_parameters: Any) -> None:
        answer = {"Error": {"Code": "AccessDenied", "Message": "no identity-based policy allows it"}}
        raise ClientError(answer, self._operation)


def all_of(client: Client) -> tuple[list[tuple[str, str]], list[str]]:
    account = Account(client, 60)
    place = read.whereabouts(account, "us-east-1", "trading")
    found, problems = read.read(account, Run(TAGS), place, read.listings())
    return [(item.kind, item.name) for item in found.ours], problems


def test_a_kind_that_cannot_be_read_is_named_and_the_others_are_read() -> None:
    with in_this_process():
        client = clients()
        client("kinesis").create_stream(StreamName="trading-s", ShardCount=1)
        client("kinesis").add_tags_to_stream(StreamName="trading-s", Tags=TAGS)
        client("s3").create_bucket(Bucket="trading-b")
        client("s3").put_bucket_tagging(Bucket="trading-b", Tagging={"TagSet": PAIRS})
        client("sqs").create_queue(QueueName="trading-q", tags=TAGS)  # which no listing of ours knows
        assert all_of(client) == (
            [("kinesis_stream", "trading-s"), ("s3_bucket", "trading-b"), ("sqs", "trading-q")], []
        )  # fmt: skip

        def denied(service: str) -> Any:
            return Refusing(client(service), "list_streams") if service == "kinesis" else client(service)

        found, problems = all_of(denied)
        assert found == [("s3_bucket", "trading-b"), ("sqs", "trading-q")]
        assert problems == [
            "kinesis_stream of any name: reading what is there failed: no identity-based policy allows it "
            "(AccessDenied): allow kinesis:ListStreams to the credentials of this run"
        ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_the_reconcile_engine_makes_is_listed_with_its_arn(kind: str) -> None:
    case = case_of(kind)
    with in_this_process():
        client = clients()
        provide(client)
        made = converge(client, {**case.beside, KINDS[kind].plural: [{"name": "one", **case.variants[0]}]})
        assert made.problems == []
        account = Account(client, 60)
        place = read.whereabouts(account, "us-east-1", "another")
        found, problems = read.read(account, Run(TAGS), place, read.listings())
    assert problems == []
    arns = {(item.kind, item.id): item.arn for item in found.ours}
    assert {(kind_, id_) for (kind_, _name), id_ in made.ids.items()} <= arns.keys()
    assert [arn for arn in arns.values() if not arn.startswith("arn:aws:")] == []
    assert len(set(arns.values())) == len(arns)


def test_credentials_that_nobody_knows_are_one_line() -> None:
    with in_this_process(), pytest.raises(ResourceError, match=r"account of these credentials: reading .* failed"):
        client = clients()
        read.whereabouts(
            Account(lambda service: Refusing(client(service), "get_caller_identity"), 5), "us-east-1", "trading"
        )
