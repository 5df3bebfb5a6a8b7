# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether AWS would let these credentials do what provision is going to do.  Nothing is changed.

IAM is asked first (SimulatePrincipalPolicy), for each resource about all actions on it.  Where it may not be asked, EC2
is, by requests that are marked as a dry run: they are refused or allowed like any, and do nothing.

A denial that depends on a condition, of which IAM says which facts it lacked, is not told as one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

with contextlib.suppress(ImportError):  # the module says what is missing
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from ..platform_resources.calls import DENIED, Account, Calls, code_of, expected

WORKERS = 16
SIMULATE = "iam:SimulatePrincipalPolicy"
# Action -> operation and the least that it has to be given. The answer to a dry run that is allowed is an error, too.
DRY_RUNS: dict[str, tuple[str, dict[str, str]]] = {
    "ec2:AllocateAddress": ("allocate_address", {"Domain": "vpc"}),
    "ec2:CreateInternetGateway": ("create_internet_gateway", {}),
    "ec2:CreateSecurityGroup": ("create_security_group", {"GroupName": "dry-run", "Description": "dry run"}),
}
ALLOWED = "DryRunOperation"

Permissions = Sequence[Mapping[str, Any]]


def ask(account: Account, permissions: Permissions) -> tuple[list[str], list[str]]:
    """Return a line for each denial, and notes on what could not be asked. `permissions`: {resource, actions} each."""
    calls = Calls(account, "sts", "account", read_only=True)
    with calls.explained("of these credentials", "asking whose it is"):
        caller = str(calls.call("get_caller_identity")["Arn"])
    if caller.endswith(":root"):  # which no policy of the account can deny anything
        return [], []
    said = "it is no user and no role of IAM"
    if who := principal(account, caller):
        try:
            return _simulated(account, who, permissions), []
        except Exception as error:
            if not isinstance(error, tuple(expected())):
                raise
            said = f"{code_of(error) or 'IAM does not answer'}: allow {SIMULATE}"
    denied, asked = _dry_runs(account, caller, permissions)
    return denied, [f"what {caller} may do was not simulated ({said}); EC2 was asked about {asked} actions"]


def principal(account: Account, caller: str) -> str:
    """Return the ARN whose policies count: of the role, with its path, where the caller is a session of one.

    Nothing for a caller that IAM knows no policies of, such as a federated one.
    """
    _arn, partition, service, _region, number, who = caller.split(":", 5)
    if service == "iam":
        return caller
    if not who.startswith("assumed-role/"):
        return ""
    name = who.split("/")[1]
    try:
        return str(Calls(account, "iam", "role", read_only=True).call("get_role", RoleName=name)["Role"]["Arn"])
    except ClientError:
        return f"arn:{partition}:iam::{number}:role/{name}"


def _simulated(account: Account, who: str, permissions: Permissions) -> list[str]:
    def one(permission: Mapping[str, Any]) -> list[dict[str, Any]]:
        return Calls(account, "iam", "policy").pages(
            "simulate_principal_policy", "EvaluationResults",
            PolicySourceArn=who, ActionNames=list(permission["actions"]), ResourceArns=[permission["resource"]],
        )  # fmt: skip

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(one, permissions))
    return [
        f"{result['EvalActionName']} on {permission['resource']} is denied to {who}: {_reason(result)}"
        for permission, results in zip(permissions, answers, strict=True)
        for result in results
        if result["EvalDecision"] != "allowed" and not result.get("MissingContextValues")
    ]


def _reason(result: Mapping[str, Any]) -> str:
    if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
        return "a policy of the organization does not allow it"
    if not result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True):
        return "its permissions boundary does not allow it"
    if result["EvalDecision"] == "explicitDeny":
        return "a policy denies it explicitly"
    return "no policy allows it: add it to one"


def _dry_runs(account: Account, who: str, permissions: Permissions) -> tuple[list[str], int]:
    wanted = {action: one["resource"] for one in permissions for action in one["actions"] if action in DRY_RUNS}

    def one(action: str) -> str:
        operation, parameters = DRY_RUNS[action]
        try:
            Calls(account, "ec2", "dry run").call(operation, DryRun=True, **parameters)
        except ClientError as error:
            return code_of(error)
        return ALLOWED

    with ThreadPoolExecutor(WORKERS) as pool:
        codes = dict(zip(wanted, pool.map(one, wanted), strict=True))
    denied = [
        f"{action} on {resource} is denied to {who} ({codes[action]}): allow it"
        for action, resource in wanted.items()
        if codes[action] in DENIED
    ]
    return denied, len(wanted)
