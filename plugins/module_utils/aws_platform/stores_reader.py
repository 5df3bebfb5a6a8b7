# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what keeps data: the key, buckets, streams, tables and databases whose names begin with the platform's prefix.

Where S3 says by an error code that something was never set, that something is read as empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import table

Resources = list[dict[str, Any]]


def read(client: Callable[[str], Any], prefix: str, groups: Mapping[str, str]) -> dict[str, Resources]:
    """Keys: keys, buckets, streams, tables, databases, database_subnet_groups; `groups`: a group's id -> name."""
    rds = client("rds")
    return {
        "keys": _keys(client("kms"), prefix),
        "buckets": _buckets(client("s3"), prefix),
        "streams": _streams(client("kinesis"), prefix),
        "tables": _tables(client("dynamodb"), prefix),
        "databases": _databases(rds, prefix, groups),
        "database_subnet_groups": _subnet_groups(rds, prefix),
    }


def _keys(kms: Any, prefix: str) -> Resources:
    return [
        {
            "id": alias["AliasName"],
            "arn": key["Arn"],
            "state": key["KeyState"],
            "rotation": kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"],
            "tags": _tags(kms.list_resource_tags(KeyId=key["KeyId"])["Tags"], "TagKey", "TagValue"),
        }
        for page in kms.get_paginator("list_aliases").paginate()
        for alias in page["Aliases"]
        if alias["AliasName"] == f"alias/{prefix}"
        for key in [kms.describe_key(KeyId=alias["TargetKeyId"])["KeyMetadata"]]
    ]


def _buckets(s3: Any, prefix: str) -> Resources:
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    return [_bucket(s3, name) for name in names if name.startswith(f"{prefix}-")]


def _bucket(s3: Any, name: str) -> dict[str, Any]:
    def ask(call: Callable[..., Any], unset: str) -> Any:
        """The answer; {} where S3 says that it was never set."""
        try:
            return call(Bucket=name)
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == unset:
                return {}
            raise

    encryption = ask(s3.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError")
    rules = encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules") or [{}]
    public = ask(s3.get_public_access_block, "NoSuchPublicAccessBlockConfiguration")
    lock = ask(s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError")
    ownership = ask(s3.get_bucket_ownership_controls, "OwnershipControlsNotFoundError")
    owners = ownership.get("OwnershipControls", {}).get("Rules") or [{}]
    return {
        "id": name,
        "versioning": s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled",
        "key": rules[0].get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID"),
        "public_access_block": public.get("PublicAccessBlockConfiguration", {}),
        "object_lock": lock.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled",
        "ownership": owners[0].get("ObjectOwnership", "not set"),
        "policy": json.loads(ask(s3.get_bucket_policy, "NoSuchBucketPolicy").get("Policy", "{}")),
        "tags": _tags(ask(s3.get_bucket_tagging, "NoSuchTagSet").get("TagSet")),
    }


def _streams(kinesis: Any, prefix: str) -> Resources:
    names = [name for page in kinesis.get_paginator("list_streams").paginate() for name in page["StreamNames"]]
    return [
        {
            "id": name,
            "key": kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"].get("KeyId"),
            "tags": _tags(kinesis.list_tags_for_stream(StreamName=name)["Tags"]),
        }
        for name in names
        if name.startswith(f"{prefix}-")
    ]


def _tables(dynamodb: Any, prefix: str) -> Resources:
    names = [name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]
    found = [(name, table.read(dynamodb, name)) for name in names if name.startswith(f"{prefix}-")]
    return [
        {
            "id": name,
            "key": known.key_arn or None,
            "deletion_protection": known.deletion_protection,
            "point_in_time_recovery": known.point_in_time_recovery,
            "tags": dict(known.tags),
        }
        for name, known in found
        if known is not None  # deleted a moment ago
    ]


def _databases(rds: Any, prefix: str, groups: Mapping[str, str]) -> Resources:
    return [
        {
            "id": database["DBInstanceIdentifier"],
            "key": database.get("KmsKeyId") if database["StorageEncrypted"] else None,
            "public": database["PubliclyAccessible"],
            "security_groups": sorted(
                groups.get(group["VpcSecurityGroupId"], group["VpcSecurityGroupId"])
                for group in database["VpcSecurityGroups"]
            ),
            "tags": _tags(database.get("TagList")),
        }
        for page in rds.get_paginator("describe_db_instances").paginate()
        for database in page["DBInstances"]
        if database["DBInstanceIdentifier"].startswith(f"{prefix}-")
    ]


def _subnet_groups(rds: Any, prefix: str) -> Resources:
    return [
        {
            "id": group["DBSubnetGroupName"],
            "tags": _tags(rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"]),
        }
        for page in rds.get_paginator("describe_db_subnet_groups").paginate()
        for group in page["DBSubnetGroups"]
        if group["DBSubnetGroupName"].startswith(f"{prefix}-")
    ]


def _tags(pairs: Iterable[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {pair[key]: pair[value] for pair in pairs or ()}
