# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody may change in AWS behind our back, one thing of each kind, and what verification says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.check import Wanted, problems
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reader import read
from integration.production_site import ACCOUNT, CIDR, PARTNERS, PORT, PREFIX, PREMISES, TAGS, TIERS, ZONES

BUCKET = f"{PREFIX}-audit-{ACCOUNT}"
LOGS = f"{PREFIX}-logs-{ACCOUNT}"
STREAM = f"{PREFIX}-market-data"
Client = Callable[[str], Any]


def table_of(tables: list[dict[str, Any]], subnet: dict[str, Any]) -> dict[str, Any]:
    """The route table that the subnet is explicitly associated with."""
    (table,) = [t for t in tables if subnet["SubnetId"] in [a.get("SubnetId") for a in t["Associations"]]]
    return table


def targets(table: dict[str, Any]) -> dict[str, str]:
    """Destination -> gateway of each route but the VPC's own and those of endpoints."""
    return {
        route["DestinationCidrBlock"]: route.get("NatGatewayId") or route.get("TransitGatewayId") or route["GatewayId"]
        for route in table["Routes"]
        if route.get("GatewayId") != "local" and "DestinationCidrBlock" in route
    }


def break_subnet_tag(ec2, vpc, subnets, tables) -> None:
    ec2.delete_tags(Resources=[subnets["10.0.2.0/24"]["SubnetId"]], Tags=[{"Key": "Compliance"}])


def break_route_table_tag(ec2, vpc, subnets, tables) -> None:
    ec2.delete_tags(Resources=[table_of(tables, subnets["10.0.3.0/24"])["RouteTableId"]], Tags=[{"Key": "Team"}])


def break_private_route(ec2, vpc, subnets, tables) -> None:
    """A private subnet that everybody on the internet could be let into."""
    (gateway,) = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])[
        "InternetGateways"
    ]
    ec2.replace_route(
        RouteTableId=table_of(tables, subnets["10.0.1.0/24"])["RouteTableId"],
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway["InternetGatewayId"],
    )


def break_database_isolation(ec2, vpc, subnets, tables) -> None:
    ec2.create_route(
        RouteTableId=table_of(tables, subnets["10.0.11.0/24"])["RouteTableId"],
        DestinationCidrBlock="0.0.0.0/0",
        NatGatewayId=targets(table_of(tables, subnets["10.0.3.0/24"]))["0.0.0.0/0"],
    )


def break_association(ec2, vpc, subnets, tables) -> None:
    subnet = subnets["10.0.103.0/24"]
    (association,) = [a for a in table_of(tables, subnet)["Associations"] if a.get("SubnetId") == subnet["SubnetId"]]
    ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])


def break_placement_group_tag(ec2, vpc, subnets, tables) -> None:
    (group,) = ec2.describe_placement_groups(GroupNames=[f"{PREFIX}-us-east-1b"])["PlacementGroups"]
    ec2.delete_tags(Resources=[group["GroupId"]], Tags=[{"Key": "Project"}])


# What is done to the platform, with what verification says of it.  Each is set back by the next run of provision.
BREAKAGES = {
    break_subnet_tag: "tag Compliance of subnet-",
    break_route_table_tag: "tag Team of rtb-",
    break_private_route: "the default route of subnet 10.0.1.0/24 (us-east-1a) leads to igw-",
    break_database_isolation: "the database subnet 10.0.11.0/24 has a way out, through nat-",
    break_association: "subnet 10.0.103.0/24 has no route table of its own",
    break_placement_group_tag: f"tag Project of {PREFIX}-us-east-1b of placement_groups",
}


def security_group(ec2, name: str) -> dict[str, Any]:
    filters = [{"Name": "group-name", "Values": [f"{PREFIX}-{name}"]}]
    (group,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return group


def engine(ec2, name: str) -> dict[str, Any]:
    filters = [{"Name": "tag:Name", "Values": [name]}, {"Name": "instance-state-name", "Values": ["running"]}]
    (instance,) = [i for r in ec2.describe_instances(Filters=filters)["Reservations"] for i in r["Instances"]]
    return instance


def take_profile(ec2, name: str) -> None:
    """A host loses what it may do in AWS."""
    filters = [{"Name": "instance-id", "Values": [engine(ec2, name)["InstanceId"]]}]
    (association,) = ec2.describe_iam_instance_profile_associations(Filters=filters)["IamInstanceProfileAssociations"]
    ec2.disassociate_iam_instance_profile(AssociationId=association["AssociationId"])


def nat_gateway(ec2, subnets, cidr: str) -> dict[str, Any]:
    gateways = ec2.describe_nat_gateways(Filters=[{"Name": "subnet-id", "Values": [subnets[cidr]["SubnetId"]]}])
    (gateway,) = [gateway for gateway in gateways["NatGateways"] if gateway["State"] == "available"]
    return gateway


def untag_of_ec2(ec2, vpc, subnets) -> dict[str, str]:
    """Ids of one EC2 resource of each kind but those of BREAKAGES -> what verification calls the kind."""
    host = engine(ec2, "engine-0-0")
    gateway = nat_gateway(ec2, subnets, "10.0.103.0/24")
    (internet,) = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])[
        "InternetGateways"
    ]
    return {
        vpc["VpcId"]: "vpcs",
        internet["InternetGatewayId"]: "internet_gateways",
        gateway["NatGatewayId"]: "nat_gateways",
        gateway["NatGatewayAddresses"][0]["AllocationId"]: "addresses",
        security_group(ec2, "database")["GroupId"]: "security_groups",
        host["InstanceId"]: "instances",
        host["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]: "volumes",
        host["NetworkInterfaces"][0]["NetworkInterfaceId"]: "interfaces",
    }


def untag_the_rest(client: Client) -> dict[str, Callable[[], object]]:
    """What verification says -> how the tag Team is taken off the one resource of each other kind."""
    s3, kms, kinesis, rds, dynamodb = (client(service) for service in ("s3", "kms", "kinesis", "rds", "dynamodb"))
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"]
    table = dynamodb.describe_table(TableName=f"{PREFIX}-configuration")["Table"]["TableArn"]
    kept = [tag for tag in s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] if tag["Key"] != "Team"]
    database = rds.describe_db_instances()["DBInstances"][0]["DBInstanceArn"]
    group = rds.describe_db_subnet_groups()["DBSubnetGroups"][0]["DBSubnetGroupArn"]
    return {
        f"tag Team of {BUCKET} of buckets": lambda: s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": kept}),
        f"tag Team of alias/{PREFIX} of keys": lambda: kms.untag_resource(KeyId=key, TagKeys=["Team"]),
        f"tag Team of {STREAM} of streams": lambda: kinesis.remove_tags_from_stream(
            StreamName=STREAM, TagKeys=["Team"]
        ),
        f"tag Team of {PREFIX}-configuration of tables": lambda: dynamodb.untag_resource(
            ResourceArn=table, TagKeys=["Team"]
        ),
        f"tag Team of {PREFIX}-database of databases": lambda: rds.remove_tags_from_resource(
            ResourceName=database, TagKeys=["Team"]
        ),
        f"tag Team of {PREFIX}-database of database_subnet_groups": lambda: rds.remove_tags_from_resource(
            ResourceName=group, TagKeys=["Team"]
        ),
    }


def undo_stores(client: Client) -> dict[str, Callable[[], object]]:
    """What verification says -> how one property of the key, the bucket or the stream is taken away."""
    s3, kms, kinesis = (client(service) for service in ("s3", "kms", "kinesis"))
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"]
    plain = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    lists = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    return {
        f"the policy of bucket {BUCKET} does not refuse": lambda: s3.delete_bucket_policy(Bucket=BUCKET),
        f"the policy of bucket {LOGS} does not refuse": lambda: s3.delete_bucket_policy(Bucket=LOGS),
        f"bucket {BUCKET} does not keep the public out": lambda: s3.delete_public_access_block(Bucket=BUCKET),
        f"bucket {BUCKET} is not versioned": lambda: s3.put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"}
        ),
        f"bucket {BUCKET} is encrypted under no key of ours": lambda: s3.put_bucket_encryption(
            Bucket=BUCKET, ServerSideEncryptionConfiguration=plain
        ),
        f"bucket {BUCKET} has access lists": lambda: s3.put_bucket_ownership_controls(
            Bucket=BUCKET, OwnershipControls=lists
        ),
        f"key alias/{PREFIX} is not rotated": lambda: kms.disable_key_rotation(KeyId=key),
        f"stream {STREAM} is encrypted under no key": lambda: kinesis.stop_stream_encryption(
            StreamName=STREAM, EncryptionType="KMS", KeyId=key
        ),
        f"table {PREFIX}-configuration can be deleted": lambda: client("dynamodb").update_table(
            TableName=f"{PREFIX}-configuration", DeletionProtectionEnabled=False
        ),
        f"database {PREFIX}-database can be reached": lambda: client("rds").modify_db_instance(
            DBInstanceIdentifier=f"{PREFIX}-database",
            PubliclyAccessible=True,
            DeletionProtection=False,
            BackupRetentionPeriod=1,
            ApplyImmediately=True,
        ),
    }


def undo_network(ec2, subnets, tables) -> dict[str, Callable[[], object]]:
    """What verification says -> a rule added or taken away, a host stopped, a gateway deleted."""
    engines, database = (security_group(ec2, name) for name in ("engine", "database"))
    everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
    gateway = nat_gateway(ec2, subnets, "10.0.102.0/24")["NatGatewayId"]
    return {
        f"security group {PREFIX}-engine has a rule that nobody described: ingress tcp 22 from 0.0.0.0/0": lambda: (
            ec2.authorize_security_group_ingress(GroupId=engines["GroupId"], **ssh)
        ),
        f"security group {PREFIX}-database has a rule that nobody described: egress everything": lambda: (
            ec2.authorize_security_group_egress(GroupId=database["GroupId"], IpPermissions=[everywhere])
        ),
        f"security group {PREFIX}-database lacks the rule: ingress tcp 5432 from {PREFIX}-engine": lambda: (
            ec2.revoke_security_group_ingress(GroupId=database["GroupId"], IpPermissions=database["IpPermissions"])
        ),
        f"engine-0-0 has the instance profile none, not {PREFIX}-engine": lambda: take_profile(ec2, "engine-0-0"),
        "subnet 10.0.2.0/24 (us-east-1b) gives public addresses": lambda: ec2.modify_subnet_attribute(
            SubnetId=subnets["10.0.2.0/24"]["SubnetId"], MapPublicIpOnLaunch={"Value": True}
        ),
        "engine-0-1 is stopped": lambda: ec2.stop_instances(InstanceIds=[engine(ec2, "engine-0-1")["InstanceId"]]),
        "address eipalloc-": lambda: ec2.delete_nat_gateway(NatGatewayId=gateway),
    }


def break_hybrid(ec2, subnets, tables) -> None:
    """The first zone loses its way to the premises, the hub spreads traffic over tunnels, and one of them is weak."""
    table = table_of(tables, subnets[TIERS["private"][0]])["RouteTableId"]
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock=PREMISES)
    (hub,) = ec2.describe_transit_gateways()["TransitGateways"]
    ec2.modify_transit_gateway(TransitGatewayId=hub["TransitGatewayId"], Options={"VpnEcmpSupport": "enable"})
    (vpn,) = ec2.describe_vpn_connections()["VpnConnections"]
    ec2.modify_vpn_tunnel_options(
        VpnConnectionId=vpn["VpnConnectionId"],
        VpnTunnelOutsideIpAddress=vpn["Options"]["TunnelOptions"][0]["OutsideIpAddress"],
        TunnelOptions={"Phase1EncryptionAlgorithms": [{"Value": "AES128"}]},
    )


def break_endpoints(ec2, subnets, tables) -> list[dict[str, Any]]:
    """Three endpoints lose something, and the data's ACL gets a hole. Returns what the verification says of it."""
    there = {each["ServiceName"].rpartition(".")[2]: each for each in ec2.describe_vpc_endpoints()["VpcEndpoints"]
             if each["State"] == "available"}  # fmt: skip
    table = table_of(tables, subnets[TIERS["private"][0]])["RouteTableId"]
    ec2.modify_vpc_endpoint(VpcEndpointId=there["s3"]["VpcEndpointId"], RemoveRouteTableIds=[table])
    kinesis = there["kinesis-streams"]
    ec2.modify_vpc_endpoint(VpcEndpointId=kinesis["VpcEndpointId"], RemoveSubnetIds=kinesis["SubnetIds"][:1])
    ec2.delete_vpc_endpoints(VpcEndpointIds=[there["dynamodb"]["VpcEndpointId"]])
    ec2.delete_flow_logs(FlowLogIds=[log["FlowLogId"] for log in ec2.describe_flow_logs()["FlowLogs"]])
    (acl,) = ec2.describe_network_acls(Filters=[{"Name": "tag:Name", "Values": [f"{PREFIX}-database"]}])["NetworkAcls"]
    hole = {"RuleNumber": 7, "Egress": False, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
    ec2.create_network_acl_entry(NetworkAclId=acl["NetworkAclId"], **hole)
    return [
        {"kind": "flow_log", "name": f"{PREFIX}-s3", "action": "create"},
        {"kind": "network_acl", "name": f"{PREFIX}-database", "action": "update", "fields": ["ingress"]},
        {"kind": "vpc_endpoint", "name": f"{PREFIX}-dynamodb", "action": "create"},
        {"kind": "vpc_endpoint", "name": f"{PREFIX}-kinesis-streams", "action": "update", "fields": ["subnets"]},
        {"kind": "vpc_endpoint", "name": f"{PREFIX}-s3", "action": "update", "fields": ["route_tables"]},
    ]


def bring_theirs(ec2, subnets) -> list[str]:
    """Somebody else's bastion with a volume, and a private NAT gateway, in our VPC. Returns the ids of the three."""
    place = {"SubnetId": subnets["10.0.101.0/24"]["SubnetId"], "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    image = engine(ec2, "engine-0-0")["ImageId"]
    bastion = ec2.run_instances(ImageId=image, **place)["Instances"][0]["InstanceId"]
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=10)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=bastion, Device="/dev/sdz")
    private = {"SubnetId": subnets["10.0.11.0/24"]["SubnetId"], "ConnectivityType": "private"}
    gateway = ec2.create_nat_gateway(**private)["NatGateway"]["NatGatewayId"]
    for resource, name in ((bastion, "their-bastion"), (volume, "their-data"), (gateway, "their-gateway")):
        tags = {"Name": name, "Backup": "none" if resource == bastion else "daily", "CostCenter": "theirs"}
        ec2.create_tags(Resources=[resource], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return [bastion, volume, gateway]


def tags_of(ec2, resources: list[str]) -> dict[str, dict[str, str]]:
    """Id -> tags."""
    found: dict[str, dict[str, str]] = {resource: {} for resource in resources}
    for tag in ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": resources}])["Tags"]:
        found[tag["ResourceId"]][tag["Key"]] = tag["Value"]
    return found


def remove_theirs(ec2, theirs: list[str]) -> None:
    """Take away what bring_theirs brought."""
    bastion, volume, gateway = theirs
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    ec2.detach_volume(VolumeId=volume, InstanceId=bastion)
    ec2.delete_volume(VolumeId=volume)
    ec2.terminate_instances(InstanceIds=[bastion])


def take_names(ec2, vpc, subnets, tables) -> None:
    """The VPC and a route table lose the Name that Ansible's modules know them by."""
    table = table_of(tables, subnets["10.0.2.0/24"])["RouteTableId"]
    ec2.delete_tags(Resources=[vpc["VpcId"], table], Tags=[{"Key": "Name"}])


def tags_of_everything(client: Client, ec2, vpc) -> dict[str, dict[str, str]]:
    """Tags of each resource in the account, but for what AWS makes with a VPC: main table, default group and ACL."""
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    resources = [
        *((s["SubnetId"], s) for s in ec2.describe_subnets(Filters=inside)["Subnets"]),
        *((t["RouteTableId"], t) for t in ec2.describe_route_tables(Filters=inside)["RouteTables"] if not is_main(t)),
        *((g["InternetGatewayId"], g) for g in ec2.describe_internet_gateways()["InternetGateways"]),
        *((g["NatGatewayId"], g) for g in ec2.describe_nat_gateways()["NatGateways"] if g["State"] == "available"),
        *((a["AllocationId"], a) for a in ec2.describe_addresses()["Addresses"]),
        *((g["GroupId"], g) for g in ec2.describe_security_groups(Filters=inside)["SecurityGroups"]),
        *((g["GroupId"], g) for g in ec2.describe_placement_groups()["PlacementGroups"]),
        *(
            (a["NetworkAclId"], a)
            for a in ec2.describe_network_acls(Filters=[*inside, {"Name": "default", "Values": ["false"]}])[
                "NetworkAcls"
            ]
        ),
        *((v["VolumeId"], v) for v in ec2.describe_volumes()["Volumes"]),
        *((e["VpcEndpointId"], e) for e in ec2.describe_vpc_endpoints()["VpcEndpoints"] if e["State"] == "available"),
        *((f["FlowLogId"], f) for f in ec2.describe_flow_logs()["FlowLogs"]),
        *((t["TransitGatewayId"], t) for t in ec2.describe_transit_gateways()["TransitGateways"]),
        *(
            (a["TransitGatewayAttachmentId"], a)
            for a in ec2.describe_transit_gateway_attachments()["TransitGatewayAttachments"]
        ),
        *((c["CustomerGatewayId"], c) for c in ec2.describe_customer_gateways()["CustomerGateways"]),
        *((v["VpnConnectionId"], v) for v in ec2.describe_vpn_connections()["VpnConnections"]),
        *((v["VpnGatewayId"], v) for v in ec2.describe_vpn_gateways()["VpnGateways"]),
        *((t["LaunchTemplateId"], t) for t in ec2.describe_launch_templates()["LaunchTemplates"]),
        *(
            (g["AutoScalingGroupARN"], g)
            for g in client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        ),
        *(
            (i["InstanceId"], i)
            for r in ec2.describe_instances()["Reservations"]
            for i in r["Instances"]
            if i["State"]["Name"] != "terminated"
        ),
    ]
    found = {name: resource.get("Tags", []) for name, resource in [(vpc["VpcId"], vpc), *resources]}
    for interface in ec2.describe_network_interfaces(Filters=inside)["NetworkInterfaces"]:
        if interface.get("Attachment", {}).get("InstanceId"):  # the others are AWS's own, of NAT gateways
            found[interface["NetworkInterfaceId"]] = interface["TagSet"]
    for default in ec2.describe_security_groups(Filters=[*inside, {"Name": "group-name", "Values": ["default"]}])[
        "SecurityGroups"
    ]:
        del found[default["GroupId"]]
    found |= tags_of_direct_connect(client("directconnect"))
    s3, kms, kinesis, rds, dynamodb = (client(service) for service in ("s3", "kms", "kinesis", "rds", "dynamodb"))
    for table in dynamodb.list_tables()["TableNames"]:
        arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
        found[arn] = dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]
    for bucket in s3.list_buckets()["Buckets"]:
        found[bucket["Name"]] = s3.get_bucket_tagging(Bucket=bucket["Name"])["TagSet"]
    for key in kms.list_keys()["Keys"]:
        pairs = kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]
        found[key["KeyId"]] = [{"Key": pair["TagKey"], "Value": pair["TagValue"]} for pair in pairs]
    for stream in kinesis.list_streams()["StreamNames"]:
        found[stream] = kinesis.list_tags_for_stream(StreamName=stream)["Tags"]
    for database in rds.describe_db_instances()["DBInstances"]:
        found[database["DBInstanceArn"]] = database["TagList"]
    for group in rds.describe_db_subnet_groups()["DBSubnetGroups"]:
        arn = group["DBSubnetGroupArn"]
        found[arn] = rds.list_tags_for_resource(ResourceName=arn)["TagList"]
    return {name: {pair["Key"]: pair["Value"] for pair in pairs} for name, pairs in found.items()}


def tags_of_direct_connect(client: Any) -> dict[str, list[dict[str, str]]]:
    """Tags of its ports, gateways and interfaces; it writes them in small letters."""
    listed = {
        **{each["connectionId"]: each for each in client.describe_connections()["connections"]},
        **{each["directConnectGatewayId"]: each
           for each in client.describe_direct_connect_gateways()["directConnectGateways"]},
        **{each["virtualInterfaceId"]: each for each in client.describe_virtual_interfaces()["virtualInterfaces"]},
    }  # fmt: skip
    return {
        name: [{"Key": pair["key"], "Value": pair["value"]} for pair in each.get("tags", [])]
        for name, each in listed.items()
    }


def is_main(table: dict[str, Any]) -> bool:
    return any(association.get("Main") for association in table["Associations"])


# The rules of each security group: every one, and no other.
GROUPS = {
    "alb": [
        "ingress tcp 443 from 0.0.0.0/0",
        "ingress tcp 80 from 0.0.0.0/0",
        "egress tcp 7999 to eks-nodes",
        "egress tcp 8080 to eks-nodes",
    ],
    "eks-nodes": [
        "ingress tcp 7999 from alb",
        "ingress tcp 8080 from alb",
        "ingress tcp 443 from 10.0.0.0/16",
        "ingress -1 from eks-nodes",
        "egress tcp 5432 to database",
        "egress tcp 6379 to redis",
        "egress tcp 443 to 0.0.0.0/0",
    ],
    "eks-cluster": ["ingress tcp 443 from eks-nodes", "egress tcp 10250 to eks-nodes"],
    "database": ["ingress tcp 5432 from eks-nodes", "ingress tcp 5432 from engine"],
    "redis": ["ingress tcp 6379 from eks-nodes"],
    "engine": [
        *(f"ingress tcp {PORT + 100}-{PORT + 199} from {cidr}" for cidr in TIERS["private"]),
        f"ingress tcp {PORT + 2}-{PORT + 99} from engine",
        *(f"egress tcp 5432 to {cidr}" for cidr in TIERS["database"]),
        "egress tcp 443 to 0.0.0.0/0",
        f"egress tcp {PORT + 2}-{PORT + 99} to engine",
    ],
    "market-data": ["egress tcp 443 to 0.0.0.0/0"],
    "compliance": ["egress tcp 443 to 0.0.0.0/0"],
    "endpoints": [f"ingress tcp 443 from {CIDR}"],
}


def described_groups() -> list[dict[str, Any]]:
    """GROUPS as the module aws_platform_check takes them."""
    described = []
    for name, lines in GROUPS.items():
        group: dict[str, Any] = {"name": f"{PREFIX}-{name}", "ingress": [], "egress": []}
        for direction, protocol, *ports, _, peer in map(str.split, lines):
            whom = {"group_name": f"{PREFIX}-{peer}"} if peer in GROUPS else {"cidr_ip": peer}
            group[direction].append({"proto": protocol, **({"ports": ports} if ports else {}), **whom})
        described.append(group)
    return described


def found_problems(client: Client) -> list[str]:
    """What the module aws_platform_check says, without the start of an Ansible for each question."""
    hosts = [
        {"shard": 0, "replica": n, "zone": zone, "role": "standby" if n else "primary"} for n, zone in enumerate(ZONES)
    ]
    wanted = Wanted(PREFIX, CIDR, ZONES, TIERS, 3, hosts, TAGS, described_groups(), [PREMISES], PARTNERS)
    return problems(wanted, read(client, PREFIX))
