# SPDX-License-Identifier: GPL-3.0-or-later
"""How AWS is asked: one client for all threads, pauses that grow, listings begun anew, lines with a remedy."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import calls
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account, Calls
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError
from platform_resources import FastClock


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said\n  so."}}, "CreateThing")


class Listing:
    """A client whose second page is throttled as often as is said."""

    def __init__(self, throttled: int) -> None:
        self.throttled = throttled

    def can_paginate(self, operation: str) -> bool:
        return operation == "describe_things"

    def describe_more(self) -> dict[str, list[int]]:
        return {"Things": [3]}

    def get_paginator(self, _operation: str) -> Listing:
        return self

    def paginate(self) -> Iterator[dict[str, list[int]]]:
        yield {"Things": [1]}
        if self.throttled:
            self.throttled -= 1
            raise refused("Throttling")
        yield {"Things": [2]}


def aws(client: Any, **more: Any) -> Calls:
    return Calls(Account(lambda _service: client, 60, FastClock()), "things", "thing", ("NotFound",), **more)


def test_a_service_has_one_client_for_all_threads() -> None:
    made, together = [], threading.Barrier(8)

    def make(service: str) -> str:
        made.append(service)
        return service

    account = Account(make, 60)

    def ask(number: int) -> Any:
        together.wait(20)
        return account.client(("ec2", "logs")[number % 2])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == ["ec2", "logs"] * 4
    assert sorted(made) == ["ec2", "logs"]


def test_a_throttled_page_begins_the_listing_anew() -> None:
    """Else what the first page had would be there twice, or the second not at all."""
    assert aws(Listing(throttled=3)).pages("describe_things", "Things") == [1, 2]
    assert aws(Listing(throttled=0)).pages("describe_more", "Things") == [3], "not every listing has pages"


def test_pauses_grow_and_are_not_alike() -> None:
    seconds = list(itertools.islice(calls.pauses(), 20))
    assert all(0 < pause <= calls.LONGEST_PAUSE for pause in seconds)
    assert seconds[0] <= calls.FIRST_PAUSE and min(seconds[8:]) >= calls.LONGEST_PAUSE / 2
    assert seconds != list(itertools.islice(calls.pauses(), 20))


def test_a_pause_does_not_pass_the_deadline() -> None:
    account = Account(lambda _service: None, 1, clock := FastClock())
    assert account.pause(0.9) and not account.pause(0.2)
    assert clock.now() == 0.9


def test_gone_is_an_answer_and_nothing_else_is() -> None:
    def refuse(code: str) -> str:
        raise refused(code)

    assert aws(None).unless_gone(lambda: refuse("NotFound"), "gone") == "gone"
    with pytest.raises(ClientError):
        aws(None).unless_gone(lambda: refuse("AccessDenied"), "gone")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (refused("AccessDenied"), "said so (AccessDenied): allow things:CreateThing to the credentials of this run"),
        (refused("ExpiredToken"), "said so (ExpiredToken): renew the credentials of this run"),
        (
            refused("HostLimitExceeded"),
            "said so (HostLimitExceeded): raise that quota of the account, or remove what is not needed",
        ),
        (
            refused("NotFound"),
            "said so (NotFound): it, or what it names, is not there; correct the name, or provide that first",
        ),
        (refused("InvalidThing"), "said so (InvalidThing): correct what CreateThing was given, and run again"),
        (
            calls.Refused("400", "no such bucket"),
            "no such bucket (400): correct what CreateThing was given, and run again",
        ),
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
            'Could not connect to the endpoint URL: "http://127.0.0.1:1": reach AWS at that endpoint, and run again',
        ),
        (ResponseParserError("no XML"), "no XML: reach AWS at that endpoint, and run again"),
    ],
    ids=lambda value: getattr(value, "__class__", type(value)).__name__,
)
def test_a_line_names_the_resource_the_action_and_the_remedy(error: Exception, line: str) -> None:
    asked = aws(None)
    asked.operation = "create_thing"
    assert isinstance(error, tuple(calls.expected()))
    assert str(asked.explain(error, "t", "creating it")) == f"thing t: creating it failed: {line}"
