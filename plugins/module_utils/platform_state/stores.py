# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists what keeps data: keys, buckets, streams, tables, databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..platform_resources.kind import tags_of
from .items import Item, Listing, Place


def keys(aws: Any, place: Place) -> Iterator[Item]:
    """Keys of the account, but for AWS's own and those that end; the name is the alias."""
    aliases = {alias.get("TargetKeyId"): alias["AliasName"] for alias in aws.pages("list_aliases", "Aliases")}
    for listed in aws.pages("list_keys", "Keys"):
        identifier = listed["KeyId"]
        if aliases.get(identifier, "").startswith("alias/aws/"):
            continue
        key = aws.call("describe_key", KeyId=identifier)["KeyMetadata"]
        if key["KeyManager"] == "CUSTOMER" and not key["KeyState"].startswith("Pending"):
            pairs = aws.pages("list_resource_tags", "Tags", KeyId=identifier)
            tags = {pair["TagKey"]: pair["TagValue"] for pair in pairs}
            name = aliases.get(identifier, "").removeprefix("alias/") or tags.get("Name", "")
            yield Item("kms_key", identifier, name, key["Arn"], tags)


def buckets(aws: Any, place: Place) -> Iterator[Item]:
    """Buckets; S3 says by an error that one has no tags."""
    for bucket in aws.call("list_buckets")["Buckets"]:
        name = bucket["Name"]
        answer = aws.unless_gone(lambda name=name: aws.call("get_bucket_tagging", Bucket=name), {})
        yield Item("s3_bucket", name, name, f"arn:{place.partition}:s3:::{name}", tags_of(answer.get("TagSet")))


def streams(aws: Any, place: Place) -> Iterator[Item]:
    """Streams of Kinesis."""
    for name in aws.pages("list_streams", "StreamNames"):
        answer = aws.unless_gone(lambda name=name: aws.call("list_tags_for_stream", StreamName=name), None)
        if answer is not None:
            yield Item("kinesis_stream", name, name, place.arn("kinesis", f"stream/{name}"), tags_of(answer["Tags"]))


def tables(aws: Any, place: Place) -> Iterator[Item]:
    """Tables of DynamoDB."""
    for name in aws.pages("list_tables", "TableNames"):
        arn = place.arn("dynamodb", f"table/{name}")
        tags = aws.unless_gone(lambda arn=arn: aws.pages("list_tags_of_resource", "Tags", ResourceArn=arn), None)
        if tags is not None:
            yield Item("dynamodb_table", name, name, arn, tags_of(tags))


def databases(aws: Any, place: Place) -> Iterator[Item]:
    """Databases; one that is being made has no endpoint yet."""
    for database in aws.pages("describe_db_instances", "DBInstances"):
        if database["DBInstanceStatus"] != "deleting":
            name, endpoint = database["DBInstanceIdentifier"], database.get("Endpoint") or {}
            shown = {"endpoint": endpoint.get("Address", ""), "port": endpoint.get("Port", ""),
                     "database": database.get("DBName", "")}  # fmt: skip
            arn = database["DBInstanceArn"]
            yield Item("db_instance", name, name, arn, tags_of(database.get("TagList")), shown=shown)


def subnet_groups(aws: Any, place: Place) -> Iterator[Item]:
    """Subnet groups of databases."""
    for group in aws.pages("describe_db_subnet_groups", "DBSubnetGroups"):
        name, arn = group["DBSubnetGroupName"], group["DBSubnetGroupArn"]
        answer = aws.unless_gone(lambda arn=arn: aws.call("list_tags_for_resource", ResourceName=arn), None)
        if answer is not None:
            yield Item("db_subnet_group", name, name, arn, tags_of(answer["TagList"]), vpc=group.get("VpcId", ""))


LISTINGS = (
    Listing("kms_key", "kms", keys, ("NotFoundException",)),
    Listing("s3_bucket", "s3", buckets, ("NoSuchTagSet", "NoSuchBucket")),
    Listing("kinesis_stream", "kinesis", streams, ("ResourceNotFoundException",)),
    Listing("dynamodb_table", "dynamodb", tables, ("ResourceNotFoundException",)),
    Listing("db_instance", "rds", databases),
    Listing("db_subnet_group", "rds", subnet_groups, ("DBSubnetGroupNotFoundFault",)),
)
