# SPDX-License-Identifier: GPL-3.0-or-later
"""`Condition` in an S3 bucket policy: a statement counts only for requests that meet all of its conditions.

AWS: IAM user guide, "IAM JSON policy elements: Condition" and "Condition operators" (a key that the request lacks meets
a negated operator and fails the others; `...IfExists` passes); "AWS global condition context keys"; S3 user guide,
"Bucket policy examples using condition keys"; S3 error MalformedPolicy for a condition type that does not exist.
moto takes every condition for met, so that one conditional Deny, such as "only with encryption", denies every object.

`aws:SecureTransport` is what the transport really was.  The local site speaks plain HTTP on the loopback, so a policy
that denies insecure transport, once stored, makes this emulator refuse the objects of that bucket: as AWS would over
HTTP.  moto asks a policy about objects only, never about the bucket itself, and that is not repaired here.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import has_request_context, request
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, S3Backend

if TYPE_CHECKING:
    from . import Settings

Test = Callable[[str, str], bool]  # (wanted by the policy, found in the request)


def _in_network(wanted: str, found: str) -> bool:
    return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)


_POSITIVE: dict[str, Test] = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringEqualsIgnoreCase": lambda wanted, found: wanted.lower() == found.lower(),
    "StringLike": lambda wanted, found: fnmatch.fnmatchcase(found, wanted),
    "ArnEquals": lambda wanted, found: fnmatch.fnmatchcase(found, wanted),
    "ArnLike": lambda wanted, found: fnmatch.fnmatchcase(found, wanted),
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "IpAddress": _in_network,
    "NumericEquals": lambda wanted, found: float(found) == float(wanted),
    "NumericLessThan": lambda wanted, found: float(found) < float(wanted),
    "NumericLessThanEquals": lambda wanted, found: float(found) <= float(wanted),
    "NumericGreaterThan": lambda wanted, found: float(found) > float(wanted),
    "NumericGreaterThanEquals": lambda wanted, found: float(found) >= float(wanted),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
}


def known_operator(operator: str) -> bool:
    """Whether this file can evaluate `operator`; dates, binaries and the set operators are not among them."""
    plain = operator.removesuffix("IfExists")
    return operator == "Null" or plain in _POSITIVE or plain in _NEGATED


def conditions_met(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """Whether a request meets a Condition element: operators and keys are ANDed, the values of a key ORed.

    :param condition: `{operator: {key: value or [values]}}`, as in the policy
    :param context: the request's condition keys, in lower case, since keys are not case-sensitive
    """
    return all(
        _key_met(operator, context.get(key.lower()), _strings(values))
        for operator, keys in condition.items()
        for key, values in keys.items()
    )


def _key_met(operator: str, found: str | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return str(found is None).lower() in [value.lower() for value in wanted]
    plain = operator.removesuffix("IfExists")
    negated = plain in _NEGATED
    if found is None:
        return negated or plain != operator
    test = _POSITIVE[_NEGATED.get(plain, plain)]
    return any(test(value, found) for value in wanted) != negated


def _strings(values: Any) -> list[str]:
    """Return a list of strings: a policy may give one value or a list, and booleans and numbers for strings."""
    every = values if isinstance(values, list) else [values]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in every]


def request_context(http_request: Any, account_id: str) -> dict[str, str]:
    """Return the condition keys of an HTTP request to S3, in lower case."""
    context = {
        "aws:securetransport": str(http_request.is_secure).lower(),
        "aws:sourceip": http_request.remote_addr or "",
        "aws:useragent": http_request.headers.get("User-Agent", ""),
        "aws:principalaccount": account_id,
        "s3:resourceaccount": account_id,
    }
    context |= {
        f"s3:{name.lower()}": value for name, value in http_request.headers.items() if name.lower()[:6] == "x-amz-"
    }
    names = {"prefix": "prefix", "delimiter": "delimiter", "max-keys": "max-keys", "versionId": "versionid"}
    context |= {f"s3:{key}": http_request.args[name] for name, key in names.items() if name in http_request.args}
    return context


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    statements = policy.get("Statement") or []
    return statements if isinstance(statements, list) else [statements]


def apply(settings: Settings) -> None:
    """Refuse unknown condition types when a policy is put, and evaluate the known ones when it is asked."""
    stock_put = S3Backend.put_bucket_policy
    if hasattr(stock_put, "__wrapped__"):
        return

    @wraps(stock_put)
    def put_bucket_policy(self: Any, bucket_name: str, policy: bytes) -> None:
        try:
            statements = _statements(json.loads(policy))
        except (ValueError, AttributeError):
            raise S3ClientError(
                "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"
            ) from None
        for operator in (operator for statement in statements for operator in statement.get("Condition", {})):
            if not known_operator(operator):
                raise S3ClientError("MalformedPolicy", f"Invalid Condition type : {operator}")
        stock_put(self, bucket_name, policy)

    def get_permission(self: Any, action: str, resource: str) -> Any:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        context = request_context(request, self.account_id) if has_request_context() else {}
        policy = json.loads(self.policy)
        counting = [
            {element: value for element, value in statement.items() if element != "Condition"}
            for statement in _statements(policy)
            if conditions_met(statement.get("Condition", {}), context)
        ]
        return IAMPolicy(json.dumps(policy | {"Statement": counting})).is_action_permitted(action, resource)

    S3Backend.put_bucket_policy = put_bucket_policy  # type: ignore[method-assign]
    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]
