# SPDX-License-Identifier: GPL-3.0-or-later
"""How each kind of resource is taken away, and in which order.

A function gets `aws` (platform_resources' Calls) and the item, takes away all of it that may go, and returns None once
AWS shows it no more, or what of it stays and why: what law or AWS keeps. It is asked for what is ours alone.

Whatever keeps data is kept itself where nothing else has them: a database leaves a last snapshot, an object that is
locked its bucket, and either of them the key without which nobody could read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from graphlib import TopologicalSorter
from typing import Any

from ..platform_resources.calls import Calls
from ..platform_resources.kind import pairs
from ..platform_resources.kinds import KINDS
from .items import Item

# AWS lets the end of a key be taken back for 7 to 30 days (KMS Developer Guide, "Deleting AWS KMS keys").
KEY_DAYS = 30
# The most that one call deletes (S3 API, DeleteObjects).
OBJECTS = 1000
# What revoke_security_group_* takes of a rule that describe_security_groups tells.
RULE = ("IpProtocol", "FromPort", "ToPort", "UserIdGroupPairs", "IpRanges", "Ipv6Ranges", "PrefixListIds")


@dataclass(frozen=True)
class Kept:
    """What stays: `until` is a date, or what has to happen. `key`: the key under which it is encrypted, or ""."""

    item: Item
    why: str
    until: str
    key: str = ""
    changed: bool = False  # whether this run has done something to it

    def told(self) -> dict[str, Any]:
        """Return it as a module reports it."""
        return {"kind": self.item.kind, "name": self.item.name, "arn": self.item.arn, "why": self.why,
                "until": self.until}  # fmt: skip

    @property
    def line(self) -> str:
        """One line for a reader."""
        return f"{self.item.kind:<28} {self.item.name:<44} {self.why}, until {self.until}"


@dataclass(frozen=True)
class Removal:
    """How one kind is removed. `not_found`: codes by which AWS says that it is gone."""

    service: str
    remove: Callable[[Calls, Item, Sequence[Kept]], Kept | None]
    not_found: Sequence[str] = ()


def by(operation: str, argument: str, what: Callable[[Item], Any] = lambda item: item.id, **more: Any) -> Any:
    """Return what removes a resource by one call that names it."""

    def remove(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
        aws.call(operation, **{argument: what(item)}, **more)

    return remove


def _until_gone(aws: Calls, operation: str, **which: Any) -> None:
    """Wait until that describes it no more."""
    aws.wait_until(lambda: aws.unless_gone(lambda: aws.call(operation, **which), None) is None, "it was not deleted")


def with_another(_aws: Calls, _item: Item, _kept: Sequence[Kept]) -> None:
    """Do nothing: it goes with what it was made for, and where it does not, it is found to be left."""


def own(name: str) -> Removal:
    """Return the removal of a kind of our reconcile engine, by its declaration."""
    kind = KINDS[name]

    def remove(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
        if found := kind.one(aws, item.id, item.name):
            kind.remove(aws, found)

    return Removal(kind.service, remove, kind.not_found)


def instance(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Terminate it, protected or not; its volumes go with it."""
    aws.call("modify_instance_attribute", InstanceId=item.id, DisableApiTermination={"Value": False})
    aws.call("terminate_instances", InstanceIds=[item.id])

    def is_gone() -> bool:
        (reservation,) = aws.call("describe_instances", InstanceIds=[item.id])["Reservations"]
        return bool(reservation["Instances"][0]["State"]["Name"] == "terminated")

    aws.wait_until(lambda: aws.unless_gone(is_gone, True), "it was not terminated")


def database(aws: Calls, item: Item, _kept: Sequence[Kept]) -> Kept:
    """Delete it, protected or not, once its last state is in a snapshot, which carries our tags and stays."""
    name = {"DBInstanceIdentifier": item.id}
    (there,) = aws.call("describe_db_instances", **name)["DBInstances"]
    final = f"{item.id}-final-{datetime.now(UTC).strftime('%Y%m%d%H%M%S')}"
    if there.get("DeletionProtection"):
        aws.call("modify_db_instance", **name, DeletionProtection=False, ApplyImmediately=True)
    aws.call("delete_db_instance", **name, SkipFinalSnapshot=False, FinalDBSnapshotIdentifier=final)
    _until_gone(aws, "describe_db_instances", **name)
    (snapshot,) = aws.call("describe_db_snapshots", DBSnapshotIdentifier=final)["DBSnapshots"]
    arn, tags = snapshot["DBSnapshotArn"], {**item.tags, "Name": final}
    aws.call("add_tags_to_resource", ResourceName=arn, Tags=pairs(tags))
    made = Item("rds_snapshot", final, final, arn, tags)
    return _snapshot(made, snapshot, changed=True)


def snapshot(aws: Calls, item: Item, _kept: Sequence[Kept]) -> Kept | None:
    """Keep it: nothing else has what is in it."""
    found: list[dict[str, Any]] = aws.unless_gone(
        lambda: aws.call("describe_db_snapshots", DBSnapshotIdentifier=item.id)["DBSnapshots"], []
    )
    return _snapshot(item, found[0]) if found else None


def _snapshot(item: Item, found: Mapping[str, Any], changed: bool = False) -> Kept:
    made = found.get("SnapshotCreateTime")
    when = f" of {made.date().isoformat()}" if made else ""
    return Kept(item, f"last state{when} of a database", "somebody deletes it", found.get("KmsKeyId", ""), changed)


def nat_gateway(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Delete it; its address is free only when it is gone."""
    aws.call("delete_nat_gateway", NatGatewayId=item.id)

    def is_gone() -> bool:
        found = aws.call("describe_nat_gateways", NatGatewayIds=[item.id])["NatGateways"]
        return all(gateway["State"] == "deleted" for gateway in found)

    aws.wait_until(lambda: aws.unless_gone(is_gone, True), "it was not deleted")


def security_group(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Take its rules away and delete it; one that others still name is refused until theirs are gone."""
    (group,) = aws.call("describe_security_groups", GroupIds=[item.id])["SecurityGroups"]
    for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        given = [{name: rule[name] for name in RULE if rule.get(name) not in (None, [])} for rule in group[key]]
        if given:
            # A group that one of the rules names may be gone by now.
            revoke = partial(aws.call, f"revoke_security_group_{direction}", GroupId=item.id, IpPermissions=given)
            aws.unless_gone(revoke, None)
    aws.call("delete_security_group", GroupId=item.id)


def internet_gateway(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Detach it and delete it."""
    if item.vpc:
        aws.call("detach_internet_gateway", InternetGatewayId=item.id, VpcId=item.vpc)
    aws.call("delete_internet_gateway", InternetGatewayId=item.id)


def route_table(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Take it off its subnets and delete it."""
    (table,) = aws.call("describe_route_tables", RouteTableIds=[item.id])["RouteTables"]
    for association in table["Associations"]:
        aws.call("disassociate_route_table", AssociationId=association["RouteTableAssociationId"])
    aws.call("delete_route_table", RouteTableId=item.id)


def instance_profile(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Take its role out and delete it."""
    name = {"InstanceProfileName": item.id}
    for role in aws.call("get_instance_profile", **name)["InstanceProfile"]["Roles"]:
        aws.call("remove_role_from_instance_profile", RoleName=role["RoleName"], **name)
    aws.call("delete_instance_profile", **name)


def role(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Take its policies off and delete it."""
    name = {"RoleName": item.id}
    for policy in aws.pages("list_role_policies", "PolicyNames", **name):
        aws.call("delete_role_policy", PolicyName=policy, **name)
    for attached in aws.pages("list_attached_role_policies", "AttachedPolicies", **name):
        aws.call("detach_role_policy", PolicyArn=attached["PolicyArn"], **name)
    aws.call("delete_role", **name)


def table(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Delete it, protected or not; of one that can be restored to any second, AWS keeps a backup for 35 days."""
    if aws.call("describe_table", TableName=item.id)["Table"].get("DeletionProtectionEnabled"):
        aws.call("update_table", TableName=item.id, DeletionProtectionEnabled=False)
    aws.call("delete_table", TableName=item.id)
    _until_gone(aws, "describe_table", TableName=item.id)


def stream(aws: Calls, item: Item, _kept: Sequence[Kept]) -> None:
    """Delete it with its consumers."""
    aws.call("delete_stream", StreamName=item.id, EnforceConsumerDeletion=True)
    _until_gone(aws, "describe_stream_summary", StreamName=item.id)


def bucket(aws: Calls, item: Item, _kept: Sequence[Kept]) -> Kept | None:
    """Empty it and delete it; what is locked stays, and the bucket with it, until the last lock has ended."""
    locks, emptied = [], False
    pages = list(aws.account.client("s3").get_paginator("list_object_versions").paginate(Bucket=item.id))
    free = [marker for page in pages for marker in page.get("DeleteMarkers", ())]
    for version in (version for page in pages for version in page.get("Versions", ())):
        if lock := _lock(aws, item.id, version["Key"], version["VersionId"]):
            locks.append(lock)
        else:
            free.append(version)
    named = [{name: version[name] for name in ("Key", "VersionId")} for version in free]
    for begin in range(0, len(named), OBJECTS):
        told = aws.call("delete_objects", Bucket=item.id, Delete={"Objects": named[begin : begin + OBJECTS]})
        locks += [f"AWS allows it ({refused['Code']})" for refused in told.get("Errors", ())]
        emptied = True
    if not locks:
        aws.call("delete_bucket", Bucket=item.id)
        return None
    encrypted: dict[str, Any] = aws.unless_gone(lambda: aws.call("get_bucket_encryption", Bucket=item.id), {})
    rules = encrypted.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    keys = [rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID", "") for rule in rules]
    return Kept(item, f"{len(locks)} versions of objects in it are locked", max(locks), "".join(keys), emptied)


def _lock(aws: Calls, name: str, key: str, version: str) -> str:
    told = aws.call("head_object", Bucket=name, Key=key, VersionId=version)
    until = told.get("ObjectLockRetainUntilDate")
    if told.get("ObjectLockLegalHoldStatus") == "ON":
        return "somebody ends the legal hold"
    return until.isoformat(timespec="seconds") if until and until > datetime.now(UTC) else ""


def key(aws: Calls, item: Item, kept: Sequence[Kept]) -> Kept:
    """Have it end; one that something kept needs stays. Either keeps its alias, by which the next site has it again."""
    there = aws.call("describe_key", KeyId=item.id)["KeyMetadata"]
    if there["KeyState"] == "PendingDeletion":
        return Kept(item, "it ends then, and its end can be taken back", there["DeletionDate"].date().isoformat())
    needs = [each.item.name for each in kept if each.key and each.key.endswith((item.id, f"alias/{item.name}"))]
    snapshots = Calls(aws.account, "rds", "rds_snapshot", read_only=True).pages("describe_db_snapshots", "DBSnapshots")
    needs += [each["DBSnapshotIdentifier"] for each in snapshots if each.get("KmsKeyId", "").endswith(item.id)]
    if needs:
        return Kept(item, f"nothing else reads {', '.join(sorted(set(needs)))}", "that is gone")
    ends = aws.call("schedule_key_deletion", KeyId=item.id, PendingWindowInDays=KEY_DAYS)["DeletionDate"]
    return Kept(item, "it ends then, and its end can be taken back", ends.date().isoformat(), changed=True)


REMOVALS: Mapping[str, Removal] = {
    **{name: own(name) for name in KINDS},
    "instance": Removal("ec2", instance, ("InvalidInstanceID.NotFound",)),
    "db_instance": Removal("rds", database, ("DBInstanceNotFound", "DBInstanceNotFoundFault")),
    "nat_gateway": Removal("ec2", nat_gateway, ("NatGatewayNotFound",)),
    "kinesis_stream": Removal("kinesis", stream, ("ResourceNotFoundException",)),
    "volume": Removal("ec2", by("delete_volume", "VolumeId"), ("InvalidVolume.NotFound",)),
    "network_interface": Removal("ec2", by("delete_network_interface", "NetworkInterfaceId"),
                                 ("InvalidNetworkInterfaceID.NotFound",)),
    "elastic_ip": Removal("ec2", by("release_address", "AllocationId"), ("InvalidAllocationID.NotFound",)),
    "placement_group": Removal("ec2", by("delete_placement_group", "GroupName", lambda item: item.name),
                               ("InvalidPlacementGroup.Unknown",)),
    "db_subnet_group": Removal("rds", by("delete_db_subnet_group", "DBSubnetGroupName"),
                               ("DBSubnetGroupNotFoundFault",)),
    "instance_profile": Removal("iam", instance_profile, ("NoSuchEntity",)),
    "iam_role": Removal("iam", role, ("NoSuchEntity",)),
    "security_group": Removal("ec2", security_group, ("InvalidGroup.NotFound",)),
    "route_table": Removal("ec2", route_table, ("InvalidRouteTableID.NotFound",)),
    "internet_gateway": Removal("ec2", internet_gateway, ("InvalidInternetGatewayID.NotFound",)),
    "transit_gateway_vpn_attachment": Removal("ec2", with_another),
    "subnet": Removal("ec2", by("delete_subnet", "SubnetId"), ("InvalidSubnetID.NotFound",)),
    "vpc": Removal("ec2", by("delete_vpc", "VpcId"), ("InvalidVpcID.NotFound",)),
    "s3_bucket": Removal("s3", bucket, ("NoSuchBucket", "ServerSideEncryptionConfigurationNotFoundError")),
    "dynamodb_table": Removal("dynamodb", table, ("ResourceNotFoundException",)),
    "rds_snapshot": Removal("rds", snapshot, ("DBSnapshotNotFound", "DBSnapshotNotFoundFault")),
    "kms_key": Removal("kms", key, ("NotFoundException",)),
}  # fmt: skip

# What stands on what, beside what the declarations of our own kinds say: a kind goes once all that stand on it have.
STANDS_ON: Mapping[str, Sequence[str]] = {
    "scaling_group": ("instance", "security_group"),  # it would start others in place of those that end
    "instance": ("dedicated_host", "placement_group", "instance_profile", "volume", "network_interface"),
    "launch_template": ("placement_group", "instance_profile", "security_group"),
    "network_interface": ("security_group", "subnet", "outpost_subnet", "elastic_ip"),
    "volume": ("kms_key",),
    "db_instance": ("db_subnet_group", "security_group", "rds_snapshot"),
    "db_subnet_group": ("subnet",),
    "rds_snapshot": ("kms_key",),
    "nat_gateway": ("elastic_ip", "subnet", "route_table"),
    "elastic_ip": ("internet_gateway",),
    "route_table": ("subnet",),
    "internet_gateway": ("vpc",),
    "security_group": ("vpc",),
    "subnet": ("vpc",),
    "instance_profile": ("iam_role",),
    "transit_gateway_vpc_attachment": ("transit_gateway_route_table",),  # it is associated with one
    "vpn_connection": ("transit_gateway_route_table", "transit_gateway_vpn_attachment"),
    "transit_gateway_vpn_attachment": ("transit_gateway",),
    "flow_log": ("s3_bucket", "iam_role"),
    "log_group": ("kms_key",),
    "kinesis_stream": ("kms_key",),
    "s3_bucket": ("kms_key",),
    "dynamodb_table": ("kms_key",),
}
# The lock of the run that removes all lies in a table.
LAST_BUT_KEYS = "dynamodb_table"


def stages() -> list[list[str]]:
    """Return the kinds in the order in which they go; those of one stage go side by side."""
    order: TopologicalSorter[str] = TopologicalSorter()
    for kind in REMOVALS:
        named = KINDS[kind].rests_on if kind in KINDS else set()
        below = {*named, *STANDS_ON.get(kind, ()), *({LAST_BUT_KEYS} - {kind} if kind != "kms_key" else ())}
        for other in below & REMOVALS.keys():
            order.add(other, kind)
    order.prepare()
    found = []
    while order.is_active():
        ready = order.get_ready()
        found.append(sorted(ready))
        order.done(*ready)
    return found
