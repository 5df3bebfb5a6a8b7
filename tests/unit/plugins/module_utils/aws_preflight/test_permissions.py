# SPDX-License-Identifier: GPL-3.0-or-later
"""What IAM denies is named with its resource; the requests are those that botocore would send."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight import permissions
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from botocore.stub import ANY, Stubber

ROLE = "arn:aws:iam::111122223333:role/deployers/deployer"
SESSION = "arn:aws:sts::111122223333:assumed-role/deployer/me"
STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/v-market-data"
WANTED = [
    {"resource": "*", "actions": ["ec2:CreateVpc", "ec2:AllocateAddress"]},
    {"resource": STREAM, "actions": ["kinesis:CreateStream"]},
]


class Stubbed:
    """Clients of STS, IAM and EC2 that answer in the order in which they are told to; an unasked-for request fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, caller: str = SESSION) -> None:
        monkeypatch.setattr(permissions, "WORKERS", 1)  # so that the order of requests is known
        keys = {"region_name": "us-east-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        self.clients = {name: boto3.client(name, **keys) for name in ("sts", "iam", "ec2")}
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        self.stubs["sts"].add_response("get_caller_identity", {"Arn": caller})
        for stub in self.stubs.values():
            stub.activate()

    def ask(self) -> tuple[list[str], list[str]]:
        answer = permissions.ask(Account(self.clients.__getitem__, 5), WANTED)
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()
        return answer

    def is_role(self) -> None:
        role = {"Path": "/deployers/", "RoleName": "deployer", "RoleId": "A" * 16, "Arn": ROLE, "CreateDate": 0}
        self.stubs["iam"].add_response("get_role", {"Role": role}, {"RoleName": "deployer"})

    def simulates(self, number: int, decisions: dict[str, Any], who: str = ROLE) -> None:
        asked = {
            "PolicySourceArn": who,
            "ActionNames": WANTED[number]["actions"],
            "ResourceArns": [WANTED[number]["resource"]],
        }
        results = [
            {"EvalActionName": action, **(found if isinstance(found, dict) else {"EvalDecision": found})}
            for action, found in decisions.items()
        ]
        self.stubs["iam"].add_response("simulate_principal_policy", {"EvaluationResults": results}, asked)

    def dry_run(self, code: str) -> None:
        asked = {"DryRun": True, "Domain": "vpc"}
        self.stubs["ec2"].add_client_error("allocate_address", code, expected_params=asked)


@pytest.fixture(name="aws")
def stubbed_aws(monkeypatch: pytest.MonkeyPatch) -> Stubbed:
    return Stubbed(monkeypatch)


@pytest.mark.feature("OPS-24", by="Stub")
def test_each_denied_action_is_named_with_its_resource_and_who_is_denied_it(aws: Stubbed) -> None:
    aws.is_role()
    aws.simulates(0, {"ec2:CreateVpc": "allowed", "ec2:AllocateAddress": "explicitDeny"})
    aws.simulates(1, {"kinesis:CreateStream": "implicitDeny"})
    assert aws.ask() == (
        [
            f"ec2:AllocateAddress on * is denied to {ROLE}: a policy denies it explicitly",
            f"kinesis:CreateStream on {STREAM} is denied to {ROLE}: no policy allows it: add it to one",
        ],
        [],
    )


def test_all_that_is_allowed_is_no_word_and_what_a_condition_decides_is_no_denial(aws: Stubbed) -> None:
    aws.is_role()
    unknown = {"EvalDecision": "implicitDeny", "MissingContextValues": ["aws:RequestTag/Project"]}
    aws.simulates(0, {"ec2:CreateVpc": "allowed", "ec2:AllocateAddress": unknown})
    aws.simulates(1, {"kinesis:CreateStream": "allowed"})
    assert aws.ask() == ([], [])


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        ({"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}, "a policy of the organization does not"),
        ({"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}, "its permissions boundary"),
    ],
)
def test_who_denies_it_is_said(aws: Stubbed, detail: dict[str, Any], reason: str) -> None:
    aws.is_role()
    aws.simulates(0, {"ec2:CreateVpc": {"EvalDecision": "implicitDeny", **detail}})
    aws.simulates(1, {"kinesis:CreateStream": "allowed"})
    (line,), _notes = aws.ask()
    assert f": {reason}" in line


def test_a_role_that_may_not_be_read_is_asked_about_by_its_name(aws: Stubbed) -> None:
    aws.stubs["iam"].add_client_error("get_role", "AccessDenied")
    who = "arn:aws:iam::111122223333:role/deployer"
    aws.simulates(0, {"ec2:CreateVpc": "allowed"}, who)
    aws.simulates(1, {"kinesis:CreateStream": "allowed"}, who)
    assert aws.ask() == ([], [])


@pytest.mark.feature("OPS-24", by="Stub")
@pytest.mark.parametrize(("code", "denied"), [("UnauthorizedOperation", True), ("DryRunOperation", False)])
def test_without_simulation_dry_runs_say_what_is_denied(aws: Stubbed, code: str, denied: bool) -> None:
    aws.is_role()
    aws.stubs["iam"].add_client_error(
        "simulate_principal_policy", "AccessDenied",
        expected_params={"PolicySourceArn": ROLE, "ActionNames": ANY, "ResourceArns": ANY},
    )  # fmt: skip
    aws.dry_run(code)
    lines, (note,) = aws.ask()
    assert lines == (
        [f"ec2:AllocateAddress on * is denied to {SESSION} (UnauthorizedOperation): allow it"] if denied else []
    )
    assert note == (
        f"what {SESSION} may do was not simulated (AccessDenied: allow iam:SimulatePrincipalPolicy); "
        "EC2 was asked about 1 actions"
    )


def test_of_the_account_itself_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Stubbed(monkeypatch, "arn:aws:iam::111122223333:root").ask() == ([], [])


def test_a_caller_whom_iam_does_not_know_is_asked_about_by_dry_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Stubbed(monkeypatch, "arn:aws:sts::111122223333:federated-user/me")
    aws.dry_run("DryRunOperation")
    lines, (note,) = aws.ask()
    assert lines == []
    assert "was not simulated (it is no user and no role of IAM); EC2 was asked about 1 actions" in note
