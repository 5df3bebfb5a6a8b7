# SPDX-License-Identifier: GPL-3.0-or-later
"""No inventory is used with another account than its own."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import account
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError


class FakeSts:
    """STS as boto3 shows it."""

    def __init__(self, answer: dict[str, str] | Exception) -> None:
        self.answer = answer

    def get_caller_identity(self) -> dict[str, str]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def ask(
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, str] | Exception,
    endpoint: str | None,
    wanted: str | None = "111122223333",
) -> list[str]:
    monkeypatch.setattr(account.boto3, "client", lambda *_args, **_more: FakeSts(answer))
    return account.account_problems(wanted, endpoint)


def test_the_inventorys_account_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, {"Account": "111122223333"}, None) == []


def test_another_account_is_refused_by_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = ask(monkeypatch, {"Account": "999999999999"}, None)
    assert "999999999999" in line
    assert "111122223333" in line


def test_any_account_will_do_only_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, {"Account": "999999999999"}, None, wanted=None) == []
    (line,) = ask(monkeypatch, {"Account": "999999999999"}, None, wanted="")
    assert "999999999999" in line


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


@pytest.mark.parametrize(
    ("answer", "endpoint", "line"),
    [
        (
            NoCredentialsError(),
            None,
            "AWS does not say whose account this is: Unable to locate credentials; "
            "export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            refusal("InvalidClientTokenId", "invalid\ntoken."),
            "http://127.0.0.1:1",
            "http://127.0.0.1:1 does not say whose account this is: InvalidClientTokenId: invalid token; "
            "check AWS_PROFILE, or the keys in the environment",
        ),
        (
            refusal("ExpiredToken", "expired"),
            None,
            "AWS does not say whose account this is: ExpiredToken: expired; "
            "log in again, or export new credentials: these have expired",
        ),
        (
            EndpointConnectionError(endpoint_url="u"),
            "http://127.0.0.1:1",
            'http://127.0.0.1:1 does not say whose account this is: Could not connect to the endpoint URL: "u"; '
            "start the emulator with `ironbook local up`",
        ),
        (
            ReadTimeoutError(endpoint_url="u"),
            None,
            'AWS does not say whose account this is: Read timeout on endpoint URL: "u"; check the network',
        ),
    ],
)
def test_no_answer_is_one_line_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, answer: Exception, endpoint: str | None, line: str
) -> None:
    assert ask(monkeypatch, answer, endpoint) == [line]


@pytest.mark.parametrize("unset", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_region_that_is_not_set_is_named(unset: str) -> None:
    variables = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert account.region_problems(variables) == []
    (line,) = account.region_problems(variables | {unset: ""})
    assert line.startswith(f"{unset} not set: export ")


def test_two_regions_are_refused() -> None:
    (line,) = account.region_problems({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"})
    assert line.startswith("AWS_REGION=eu-west-1 and AWS_DEFAULT_REGION=us-east-1: ")


def test_another_region_than_the_inventorys_is_refused_by_both_names() -> None:
    variables = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    assert account.region_problems(variables, "us-east-1") == []
    (line,) = account.region_problems(variables, "eu-west-1")
    assert line == (
        "AWS_REGION is us-east-1, the inventory is for eu-west-1 (aws_region): export AWS_REGION=eu-west-1 "
        "AWS_DEFAULT_REGION=eu-west-1, or use the inventory of that region"
    )


def test_a_zone_of_another_region_is_named() -> None:
    assert account.zone_problems("eu-west-1", ["eu-west-1a", "eu-west-1b"]) == []
    assert account.zone_problems("eu-west-1", ["eu-west-1a", "us-east-1b"]) == [
        "ironbook_zones has us-east-1b, which is not in eu-west-1 (aws_region)"
    ]
