# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment has in AWS, made by hand, for the tests of what is removed and of what is adopted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from platform_resources import Client


def pairs(tags: Mapping[str, str], name: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in {**tags, "Name": name}.items()]


class Estate:
    """One of each of the kinds of an environment, made by hand, with these tags and this prefix."""

    def __init__(self, client: Client, tags: Mapping[str, str], prefix: str) -> None:
        self.client, self.tags, self.prefix = client, tags, prefix
        ec2, s3, kms = client("ec2"), client("s3"), client("kms")
        self.key = kms.create_key(Tags=[{"TagKey": k, "TagValue": v} for k, v in tags.items()])["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName=f"alias/{prefix}", TargetKeyId=self.key)
        self.vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16", TagSpecifications=self.named("vpc"))["Vpc"]["VpcId"]
        inside = {"VpcId": self.vpc}
        subnets = [
            ec2.create_subnet(CidrBlock=f"10.2.{n}.0/24", AvailabilityZone=f"us-east-1{zone}", **inside,
                              TagSpecifications=self.named("subnet"))["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]  # fmt: skip
        gateway = ec2.create_internet_gateway(TagSpecifications=self.named("internet-gateway"))["InternetGateway"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], **inside)
        table = ec2.create_route_table(**inside, TagSpecifications=self.named("route-table"))["RouteTable"]
        ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnets[0])
        acl = ec2.create_network_acl(**inside, TagSpecifications=self.named("network-acl"))["NetworkAcl"]
        (default,) = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": subnets[1:]}])[
            "NetworkAcls"
        ]
        (association,) = [a for a in default["Associations"] if a["SubnetId"] == subnets[1]]
        ec2.replace_network_acl_association(
            AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl["NetworkAclId"]
        )
        groups = [
            ec2.create_security_group(GroupName=f"{prefix}-{name}", Description="a", **inside,
                                      TagSpecifications=self.named("security-group"))["GroupId"]
            for name in ("engine", "database")
        ]  # fmt: skip
        for group, other in zip(groups, reversed(groups), strict=True):  # each names the other
            rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": other}]}
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=self.named("elastic-ip"))["AllocationId"]
        ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address, TagSpecifications=self.named("natgateway"))
        ec2.create_placement_group(
            GroupName=prefix, Strategy="cluster", TagSpecifications=self.named("placement-group")
        )
        self.roles()
        (instance,) = ec2.run_instances(
            ImageId="ami-0abcdef1234567890", MinCount=1, MaxCount=1, SubnetId=subnets[0], DisableApiTermination=True,
            SecurityGroupIds=groups[:1], TagSpecifications=[*self.named("instance"), *self.named("volume")],
        )["Instances"]  # fmt: skip
        self.instance = instance["InstanceId"]
        self.stores(subnets)
        log = f"/{prefix}"
        client("logs").create_log_group(logGroupName=log, tags=dict(tags))
        tagged = {"TagSpecifications": self.named("vpc-flow-log")}
        ec2.create_flow_logs(ResourceIds=[self.vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName=log,
                             DeliverLogsPermissionArn=self.role, **tagged)  # fmt: skip
        for number in range(3):
            s3.put_object(Bucket=f"{prefix}-audit", Key="free", Body=b"%d" % number)

    def named(self, resource_type: str) -> list[dict[str, Any]]:
        return [{"ResourceType": resource_type, "Tags": pairs(self.tags, self.prefix)}]

    def roles(self) -> None:
        iam, name = self.client("iam"), f"{self.prefix}-engine"
        tags = pairs(self.tags, name)
        self.role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", Tags=tags)["Role"]["Arn"]
        document = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document)
        iam.create_instance_profile(InstanceProfileName=name, Tags=tags)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def stores(self, subnets: list[str]) -> None:
        prefix, tags = self.prefix, pairs(self.tags, self.prefix)
        rds, s3, dynamodb = self.client("rds"), self.client("s3"), self.client("dynamodb")
        rds.create_db_subnet_group(DBSubnetGroupName=prefix, DBSubnetGroupDescription="a", SubnetIds=subnets, Tags=tags)
        rds.create_db_instance(
            DBInstanceIdentifier=prefix, Engine="postgres", DBInstanceClass="db.t3.micro", AllocatedStorage=20,
            MasterUsername="a", MasterUserPassword="not-a-secret", DeletionProtection=True, StorageEncrypted=True,
            KmsKeyId=self.key, DBSubnetGroupName=prefix, Tags=tags,
        )  # fmt: skip
        s3.create_bucket(Bucket=f"{prefix}-audit", ObjectLockEnabledForBucket=True)
        s3.put_bucket_tagging(Bucket=f"{prefix}-audit", Tagging={"TagSet": tags})
        self.client("kinesis").create_stream(StreamName=prefix, ShardCount=1)
        self.client("kinesis").add_tags_to_stream(StreamName=prefix, Tags=dict(self.tags))
        dynamodb.create_table(
            TableName=prefix, KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], DeletionProtectionEnabled=True,
            Tags=tags,
        )  # fmt: skip
