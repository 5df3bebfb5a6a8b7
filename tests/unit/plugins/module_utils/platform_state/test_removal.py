# SPDX-License-Identifier: GPL-3.0-or-later
"""Each removal that is more than one call: what has to come off first, what stays, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import scaling_group
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import removal, teardown
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.items import Item
from botocore.exceptions import ClientError
from platform_estate import pairs
from platform_resources import TAGS, Client, FastClock, clients, in_this_process

BUCKET = "trading-audit"
UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2557)
IN_30_DAYS = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
ASSUME = '{"Version":"2012-10-17","Statement":[]}'
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'


@pytest.fixture
def client() -> Iterator[Client]:
    with in_this_process():
        yield clients()


def remove(client: Client, *items: Item) -> teardown.Outcome:
    """Remove these; nothing may be lacking."""
    outcome = teardown.remove(Account(client, 60, FastClock()), items)
    assert outcome.problems == []
    return outcome


def goes(client: Client, kind: str, identifier: str, name: str = "", **more: Any) -> None:
    """It is removed, and nothing of it kept; removing it again is no failure."""
    item = Item(kind, identifier, name, "", TAGS, **more)
    for _again in range(2):
        assert remove(client, item) == teardown.Outcome([item])


def stays(client: Client, kind: str, identifier: str, name: str = "") -> removal.Kept:
    outcome = remove(client, Item(kind, identifier, name, "", TAGS))
    assert outcome.removed == []
    (kept,) = outcome.kept
    return kept


def network(client: Client) -> tuple[Any, str, str]:
    """EC2, a VPC and a subnet."""
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    return ec2, vpc, ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.0.0/24")["Subnet"]["SubnetId"]


def test_an_instance_that_is_protected_is_terminated(client: Client) -> None:
    ec2, _vpc, subnet = network(client)
    place = {"ImageId": "ami-0abcdef1234567890", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    (made,) = ec2.run_instances(**place)["Instances"]
    ec2.modify_instance_attribute(InstanceId=made["InstanceId"], DisableApiTermination={"Value": True})
    goes(client, "instance", made["InstanceId"])
    (reservation,) = ec2.describe_instances()["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"


def test_a_database_that_is_protected_leaves_a_snapshot_with_our_tags(client: Client) -> None:
    rds, key = client("rds"), client("kms").create_key()["KeyMetadata"]["Arn"]
    rds.create_db_instance(
        DBInstanceIdentifier="a", Engine="postgres", DBInstanceClass="db.t3.micro", AllocatedStorage=20,
        MasterUsername="a", MasterUserPassword="not-a-secret", DeletionProtection=True, StorageEncrypted=True,
        KmsKeyId=key,
    )  # fmt: skip
    outcome = remove(client, Item("db_instance", "a", "a", "", TAGS))
    assert [item.kind for item in outcome.removed] == ["db_instance"]
    assert rds.describe_db_instances()["DBInstances"] == []
    (final,) = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    name = final["DBSnapshotIdentifier"]
    assert name.startswith("a-final-")
    tags = rds.list_tags_for_resource(ResourceName=final["DBSnapshotArn"])["TagList"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {**TAGS, "Name": name}
    (kept,) = outcome.kept
    assert (kept.item.kind, kept.item.name, kept.key, kept.changed) == ("rds_snapshot", name, key, True)
    again = stays(client, "rds_snapshot", name, name)
    assert (again.why, again.until, again.changed) == (kept.why, "somebody deletes it", False)
    assert stays(client, "kms_key", key.rpartition("/")[2], "b").why == f"nothing else reads {name}"


def test_a_gateway_is_gone_before_its_address_is_released(client: Client) -> None:
    ec2, _vpc, subnet = network(client)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    outcome = remove(client, Item("elastic_ip", address, "", ""), Item("nat_gateway", made, "", ""))
    assert [item.kind for item in outcome.removed] == ["nat_gateway", "elastic_ip"]
    assert [gateway["State"] for gateway in ec2.describe_nat_gateways()["NatGateways"]] in ([], ["deleted"])
    assert ec2.describe_addresses()["Addresses"] == []


def test_security_groups_that_name_each_other_and_what_subnets_are_in_go(client: Client) -> None:
    ec2, vpc, subnet = network(client)
    groups = [ec2.create_security_group(GroupName=name, Description="a", VpcId=vpc)["GroupId"] for name in "ab"]
    for group, other in (groups, reversed(groups)):
        rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": other}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    third = ec2.create_security_group(GroupName="c", Description="a", VpcId=vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 3, "ToPort": 4, "UserIdGroupPairs": [{"GroupId": third}]}
    ec2.authorize_security_group_ingress(GroupId=groups[0], IpPermissions=[rule])
    ec2.delete_security_group(GroupId=third)  # the emulator lets it go, named or not
    remove(client, *(Item("security_group", group, "", "") for group in groups))
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    assert [each["GroupName"] for each in ec2.describe_security_groups(Filters=inside)["SecurityGroups"]] == ["default"]
    goes(client, "internet_gateway", gateway, vpc=vpc)
    goes(client, "route_table", table)
    goes(client, "subnet", subnet)
    goes(client, "vpc", vpc)


def test_a_role_is_rid_of_its_policies_and_its_profile_of_the_role(client: Client) -> None:
    iam = client("iam")
    iam.create_role(RoleName="a", AssumeRolePolicyDocument=ASSUME)
    iam.put_role_policy(RoleName="a", PolicyName="inline", PolicyDocument=POLICY)
    policy = iam.create_policy(PolicyName="apart", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="a", PolicyArn=policy)
    iam.create_instance_profile(InstanceProfileName="a")
    iam.add_role_to_instance_profile(InstanceProfileName="a", RoleName="a")
    goes(client, "instance_profile", "a")
    goes(client, "iam_role", "a")
    assert (iam.list_roles()["Roles"], iam.list_instance_profiles()["InstanceProfiles"]) == ([], [])
    assert iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"] == 0


def test_a_table_that_is_protected_goes_and_a_stream_with_its_consumers(client: Client) -> None:
    dynamodb, kinesis = client("dynamodb"), client("kinesis")
    dynamodb.create_table(
        TableName="a", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], DeletionProtectionEnabled=True,
    )  # fmt: skip
    kinesis.create_stream(StreamName="a", ShardCount=1)
    stream = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamARN"]
    kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="c")
    goes(client, "dynamodb_table", "a")
    goes(client, "kinesis_stream", "a")
    assert (dynamodb.list_tables()["TableNames"], kinesis.list_streams()["StreamNames"]) == ([], [])


def test_a_bucket_is_emptied_of_all_versions_and_marks(client: Client, monkeypatch) -> None:
    monkeypatch.setattr(removal, "OBJECTS", 2)
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number in range(5):
        s3.put_object(Bucket=BUCKET, Key=f"k{number % 3}", Body=b"%d" % number)
    s3.delete_object(Bucket=BUCKET, Key="k0")
    goes(client, "s3_bucket", BUCKET)
    assert s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_is_locked_stays_with_its_bucket_and_its_key_until_the_last_lock_ends(client, encrypted: bool) -> None:
    s3, kms = client("s3"), client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    if encrypted:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
        s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    for name, days in (("early", 10), ("late", 0), ("over", 2560)):
        until = UNTIL - timedelta(days=days)
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"a", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    s3.put_object(Bucket=BUCKET, Key="free", Body=b"a")
    items = [Item("s3_bucket", BUCKET, BUCKET, ""), Item("kms_key", key.rpartition("/")[2], "", "")]
    outcome = remove(client, *items)
    kept = {each.item.kind: each for each in outcome.kept}
    assert (kept["s3_bucket"].why, kept["s3_bucket"].until, kept["s3_bucket"].changed) == (
        "2 versions of objects in it are locked", UNTIL.isoformat(), True)  # fmt: skip
    assert kept["kms_key"].why.startswith(f"nothing else reads {BUCKET}" if encrypted else "it ends then")
    assert {each["Key"] for each in s3.list_object_versions(Bucket=BUCKET)["Versions"]} == {"early", "late"}

    s3.put_object_legal_hold(Bucket=BUCKET, Key="early", LegalHold={"Status": "ON"})
    held = stays(client, "s3_bucket", BUCKET, BUCKET)
    assert (held.until, held.changed) == ("somebody ends the legal hold", False)


def test_a_key_that_nothing_needs_ends_with_its_alias_by_which_it_is_found_until_then(client: Client) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    first, again = stays(client, "kms_key", key, "a"), stays(client, "kms_key", key, "a")
    assert (first.why, first.until) == ("it ends then, and its end can be taken back", IN_30_DAYS)
    assert (first.changed, again.changed, again.until) == (True, False, IN_30_DAYS)
    assert kms.describe_key(KeyId="alias/a")["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_resource_of_our_own_kinds_goes_without_a_name_too(client: Client) -> None:
    ec2 = client("ec2")
    made = ec2.create_transit_gateway(TagSpecifications=[{"ResourceType": "transit-gateway", "Tags": pairs(TAGS, "")}])
    identifier = made["TransitGateway"]["TransitGatewayId"]
    ec2.delete_tags(Resources=[identifier], Tags=[{"Key": "Name"}])
    goes(client, "transit_gateway", identifier)
    assert [hub for hub in ec2.describe_transit_gateways()["TransitGateways"] if hub["State"] != "deleted"] == []


def test_a_scaling_group_ends_before_its_hosts_and_none_is_started_in_their_place(client: Client) -> None:
    ec2, _vpc, subnet = network(client)
    autoscaling = client("autoscaling")
    data = {"ImageId": "ami-0abcdef1234567890", "InstanceType": "c5n.large"}
    template = ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=data)["LaunchTemplate"]
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="workers", LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"]},
        MinSize=2, MaxSize=4, VPCZoneIdentifier=subnet,
    )  # fmt: skip
    (group,) = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    hosts = [Item("instance", each["InstanceId"], "worker", "", TAGS) for each in group["Instances"]]
    assert len(hosts) == 2
    items = [
        *hosts,
        Item("launch_template", template["LaunchTemplateId"], "workers", "", TAGS),
        Item("scaling_group", scaling_group.id_of(group), "workers", "", TAGS),
    ]
    outcome = remove(client, *items)
    assert [item.kind for item in outcome.removed] == ["scaling_group", "instance", "instance", "launch_template"]
    states = [i["State"]["Name"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    assert states == ["terminated"] * 2
    assert autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []


def test_what_still_uses_it_is_waited_for_a_while_and_another_refusal_is_not() -> None:
    def refusing(code: str, times: float) -> tuple[list[str], Any]:
        asked: list[str] = []

        def delete_vpc(VpcId: str) -> None:
            asked.append(VpcId)
            if len(asked) <= times:
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DeleteVpc")

        return asked, lambda _service: type("Ec2", (), {"delete_vpc": staticmethod(delete_vpc)})

    vpc = Item("vpc", "vpc-1", "a", "")
    asked, client = refusing("DependencyViolation", 2)
    assert teardown.remove(Account(client, 60, FastClock()), [vpc]).removed == [vpc]
    assert asked == ["vpc-1"] * 3
    asked, client = refusing("UnauthorizedOperation", 1)
    outcome = teardown.remove(Account(client, 60, FastClock()), [vpc])
    assert outcome.problems == [
        "vpc a: removing it failed: no (UnauthorizedOperation): allow ec2:DeleteVpc to the credentials of this run"
    ]
    assert (outcome.removed, asked) == ([], ["vpc-1"])
    clock, (_asked, client) = FastClock(), refusing("DependencyViolation", inf)
    outcome = teardown.remove(Account(client, 3600, clock), [vpc])
    assert outcome.problems == [
        "vpc a: removing it: something still uses it (DependencyViolation): remove that, and run again"
    ]
    assert teardown.PATIENCE_S < clock.time < teardown.PATIENCE_S + 20
