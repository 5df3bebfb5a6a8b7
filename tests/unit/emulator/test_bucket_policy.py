# SPDX-License-Identifier: GPL-3.0-or-later
"""A statement of a bucket policy counts only for requests that meet its conditions."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError
from ironbook.emulator.repairs.bucket_policy import conditions_met, known_operator

ENCRYPTION = "s3:x-amz-server-side-encryption"
UNENCRYPTED = {"StringNotEquals": {ENCRYPTION: "aws:kms"}}
INSECURE = {"Bool": {"aws:SecureTransport": "false"}}


def bucket_that_denies(s3, condition, action="s3:PutObject") -> str:
    """Make a bucket whose policy denies an action under a condition."""
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    statement = {
        "Sid": "DenyUnder",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": condition,
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return name


def status_of_put(s3, bucket: str, **arguments) -> int:
    try:
        answer = s3.put_object(Bucket=bucket, Key="key", Body=b"value", **arguments)
    except ClientError as error:
        answer = error.response
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def test_stock_moto_takes_every_condition_for_met(stock) -> None:
    s3 = stock("s3")
    bucket = bucket_that_denies(s3, UNENCRYPTED)
    assert status_of_put(s3, bucket, ServerSideEncryption="aws:kms") == 403


def test_a_conditional_denial_denies_what_it_says(repaired) -> None:
    s3 = repaired("s3")
    bucket = bucket_that_denies(s3, UNENCRYPTED)
    assert status_of_put(s3, bucket) == 403
    assert status_of_put(s3, bucket, ServerSideEncryption="AES256") == 403
    assert status_of_put(s3, bucket, ServerSideEncryption="aws:kms") == 200


def test_plain_http_is_not_secure_transport(repaired, conforms) -> None:
    """The emulator speaks HTTP, so AWS's own words refuse its objects; the policy is stored and read back whole."""
    s3 = repaired("s3")
    bucket = bucket_that_denies(s3, INSECURE, action="s3:*")
    assert status_of_put(s3, bucket) == 403
    answer = s3.get_bucket_policy(Bucket=bucket)
    conforms(s3, "GetBucketPolicy", answer)
    assert json.loads(answer["Policy"])["Statement"][0]["Condition"] == INSECURE


def test_a_denial_of_secure_transport_does_not_meet_plain_http(repaired) -> None:
    s3 = repaired("s3")
    assert status_of_put(s3, bucket_that_denies(s3, {"Bool": {"aws:SecureTransport": True}})) == 200


def test_a_condition_type_that_does_not_exist_is_refused(repaired) -> None:
    s3 = repaired("s3")
    with pytest.raises(ClientError, match=r"MalformedPolicy.*Invalid Condition type : StringSimilar"):
        bucket_that_denies(s3, {"StringSimilar": {"aws:UserAgent": "x"}})


def test_a_policy_that_is_no_json_is_refused(repaired) -> None:
    s3 = repaired("s3")
    s3.create_bucket(Bucket="bucket-not-json")
    with pytest.raises(ClientError, match="MalformedPolicy"):
        s3.put_bucket_policy(Bucket="bucket-not-json", Policy="not json")


REQUEST = {"aws:securetransport": "true", "aws:sourceip": "10.1.2.3", "s3:max-keys": "10", "aws:useragent": "boto/1"}


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Bool": {"AWS:securetransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": False}}, False),
        ({"StringEquals": {"aws:UserAgent": ["curl", "boto/1"]}}, True),
        ({"StringEquals": {"aws:UserAgent": "curl"}}, False),
        ({"StringNotEquals": {"aws:UserAgent": ["curl", "boto/1"]}}, False),
        ({"StringLike": {"aws:UserAgent": "boto/*"}}, True),
        ({"StringNotLike": {"aws:UserAgent": "boto/*"}}, False),
        ({"StringEqualsIgnoreCase": {"aws:UserAgent": "BOTO/1"}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
        ({"NumericGreaterThan": {"s3:max-keys": 10}}, False),
        # both operators, and both keys of one operator, must hold
        ({"Bool": {"aws:SecureTransport": "true"}, "IpAddress": {"aws:SourceIp": "192.168.0.0/16"}}, False),
        ({"StringLike": {"aws:UserAgent": "boto/*", "aws:SourceIp": "11.*"}}, False),
        # a key that the request lacks
        ({"StringEquals": {"s3:prefix": "a"}}, False),
        ({"StringNotEquals": {"s3:prefix": "a"}}, True),
        ({"StringEqualsIfExists": {"s3:prefix": "a"}}, True),
        ({"Null": {"s3:prefix": "true"}}, True),
        ({"Null": {"aws:SourceIp": "true"}}, False),
        ({"Null": {"aws:SourceIp": False}}, True),
    ],
)
def test_condition_operators(condition, met) -> None:
    assert conditions_met(condition, REQUEST) is met


def test_operators_that_are_not_evaluated_are_not_pretended() -> None:
    assert not known_operator("DateGreaterThan")
    assert not known_operator("ForAllValues:StringEquals")
    assert known_operator("BoolIfExists")
