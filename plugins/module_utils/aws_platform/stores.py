# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what keeps data: the key, the buckets, the streams, the tables, the database.  Pure.

Each is encrypted under the platform's key.  A bucket is closed to the public, versioned, lockable, and has one policy
of one statement: refuse what is not encrypted in transit.  That of logs is neither versioned nor lockable, under S3's
own key, and lets the log delivery of AWS in.  A table cannot be deleted and has backups.  The database is not public
and is let alone but for its own security group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Resource = Mapping[str, Any]
# Who writes flow logs into a bucket (VPC User Guide, "Amazon S3 bucket permissions for flow logs").
DELIVERY = {"Service": "delivery.logs.amazonaws.com"}
STORES = ("keys", "buckets", "streams", "tables", "databases")
PUBLIC_ACCESS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def problems(prefix: str, wanted: Sequence[str], found: Mapping[str, Sequence[Resource]]) -> Iterator[str]:
    """One line for each thing that is not as it should be; `wanted`: the kinds of which there has to be one."""
    for kind in wanted:
        if not found[kind]:
            yield f"of {kind} there is none"
    for key in found["keys"]:
        yield from _key(key)
    if not found["keys"]:
        return  # nothing can be under a key that is not there
    arn = found["keys"][0]["arn"]
    for bucket in found["buckets"]:
        holds_logs = bucket["id"].startswith(f"{prefix}-logs")
        yield from _bucket(bucket, DELIVERY if holds_logs else None)
        if not holds_logs:
            yield from _locked(bucket, arn)
    for stream in found["streams"]:
        yield from _encryption(f"stream {stream['id']}", stream["key"], arn)
    for table in found["tables"]:
        yield from _table(table, arn)
    for database in found["databases"]:
        yield from _database(database, arn, f"{prefix}-database")
    for volume in found["volumes"]:
        yield from _encryption(f"volume {volume['id']}", volume["key"], arn)


def _key(key: Resource) -> Iterator[str]:
    if not key["rotation"]:
        yield f"key {key['id']} is not rotated"
    if key["state"] != "Enabled":
        yield f"key {key['id']} is {key['state']}, not Enabled"


def _bucket(bucket: Resource, let_in: Resource | None) -> Iterator[str]:
    name = f"bucket {bucket['id']}"
    for option in PUBLIC_ACCESS:
        if not bucket["public_access_block"].get(option):
            yield f"{name} does not keep the public out: {option} is off"
    if bucket["ownership"] != "BucketOwnerEnforced":
        yield f"{name} has access lists: its object ownership is {bucket['ownership']}, not BucketOwnerEnforced"
    yield from _policy(bucket, let_in)


def _locked(bucket: Resource, arn: str) -> Iterator[str]:
    name = f"bucket {bucket['id']}"
    if not bucket["versioning"]:
        yield f"{name} is not versioned"
    yield from _encryption(name, bucket["key"], arn)
    if not bucket["object_lock"]:
        yield f"{name} has no Object Lock"


def _policy(bucket: Resource, let_in: Resource | None) -> Iterator[str]:
    """The statement is recognised by what it does, whatever its Sid and the order of its resources.

    `let_in`: who else may have statements, where they are for one account's logs.
    """
    arn = f"arn:aws:s3:::{bucket['id']}"
    wanted = ("Deny", "*", ["s3:*"], [arn, f"{arn}/*"], {"Bool": {"aws:SecureTransport": "false"}})
    statements = [_essence(statement) for statement in bucket["policy"].get("Statement", ())]
    if wanted not in statements:
        yield f"the policy of bucket {bucket['id']} does not refuse what is not encrypted in transit"
    for statement in statements:
        is_let_in = let_in is not None and statement[1] == let_in and _names_an_account(statement[4])
        if statement != wanted and not is_let_in:
            effect, principal, actions = statement[:3]
            yield (
                f"the policy of bucket {bucket['id']} has a statement that nobody described:"
                f" {effect} {', '.join(actions)} to {principal}"
            )


def _names_an_account(condition: Any) -> bool:
    return bool((condition or {}).get("StringEquals", {}).get("aws:SourceAccount"))


def _essence(statement: Resource) -> tuple[str, Any, list[str], list[str], Any]:
    principal = statement.get("Principal")
    return (
        statement["Effect"],
        "*" if principal == {"AWS": "*"} else principal,
        _listed(statement.get("Action")),
        sorted(_listed(statement.get("Resource"))),
        statement.get("Condition"),
    )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _table(table: Resource, arn: str) -> Iterator[str]:
    name = f"table {table['id']}"
    yield from _encryption(name, table["key"], arn)
    if not table["deletion_protection"]:
        yield f"{name} can be deleted"
    if not table["point_in_time_recovery"]:
        yield f"{name} has no backups to go back to"


def _database(database: Resource, arn: str, group: str) -> Iterator[str]:
    name = f"database {database['id']}"
    yield from _encryption(name, database["key"], arn)
    if database["public"]:
        yield f"{name} can be reached from the internet"
    if database["security_groups"] != [group]:
        yield f"{name} is in the security groups {', '.join(database['security_groups']) or 'none'}, not in {group}"


def _encryption(what: str, key: str | None, arn: str) -> Iterator[str]:
    if key != arn:
        yield f"{what} is encrypted under {key or 'no key of ours'}, not under {arn}"
