# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine hosts may do in AWS, read back and held against what their programs call."""

from __future__ import annotations

from typing import Any

from integration.platform_drift import Client
from integration.production_site import ACCOUNT, PREFIX, tags_in


def must_be_the_engines(client: Client, hosts: list[dict[str, Any]], tags: dict[str, str]) -> None:
    """Who may take the role, which host has it, and each action with its resource."""
    iam, name = client("iam"), f"{PREFIX}-engine"
    role = iam.get_role(RoleName=name)["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Effect"], trust["Principal"], trust["Action"]) == (
        "Allow", {"Service": "ec2.amazonaws.com"}, "sts:AssumeRole",
    )  # fmt: skip
    assert tags.items() <= tags_in(role["Tags"]).items()
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert [one["RoleName"] for one in profile["Roles"]] == [name]
    for host in hosts:
        assert host["IamInstanceProfile"]["Arn"] == profile["Arn"]
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["engine"]
    statements = iam.get_role_policy(RoleName=name, PolicyName="engine")["PolicyDocument"]["Statement"]
    assert {one["Effect"] for one in statements} == {"Allow"}
    bucket = f"arn:aws:s3:::{PREFIX}-audit-{ACCOUNT}"
    key = client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    table = client("dynamodb").describe_table(TableName=f"{PREFIX}-configuration")["Table"]["TableArn"]
    stream = client("kinesis").describe_stream_summary(StreamName=f"{PREFIX}-market-data")
    found = {
        (action, resource)
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        for resource in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    }
    assert found == {
        ("dynamodb:GetItem", table),
        ("dynamodb:PutItem", table),
        ("s3:GetBucketObjectLockConfiguration", bucket),
        ("s3:ListBucket", bucket),
        *((f"s3:{verb}", f"{bucket}/journal/*")
          for verb in ("GetObject", "GetObjectRetention", "PutObject", "PutObjectRetention")),
        *((f"kinesis:{verb}", stream["StreamDescriptionSummary"]["StreamARN"])
          for verb in ("DescribeStreamSummary", "PutRecords")),
        *((f"kms:{verb}", key) for verb in ("Decrypt", "DescribeKey", "GenerateDataKey")),
    }  # fmt: skip
    conditions = {one["Sid"]: one["Condition"] for one in statements if "Condition" in one}
    assert conditions["ListTheJournals"] == {"StringLike": {"s3:prefix": "journal/*"}}
    (via,) = conditions["UseTheKeyThroughThem"].values()
    assert {service.split(".")[0] for service in via["kms:ViaService"]} == {"dynamodb", "kinesis", "s3"}
