# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an environment after its first run: what it has is listed, and what others want to know is put out.

One site and one run of provision serve the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from integration import platform_drift as drift
from integration.life_site import Life, life
from integration.platform_drift import PREFIX

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def environment() -> Iterator[Life]:
    with life() as site:
        site.must("provision")
        yield site


def arns(run_lines: list[str]) -> list[str]:
    """The ARN at the end of each line of a list that is about a resource of ours."""
    return [line.split()[-1] for line in run_lines if len(line.split()) == 3 and " arn:" in line]


@pytest.mark.feature("ORC-16", by="M", repaired="tags of NAT gateways and addresses")
def test_everything_that_was_made_is_listed_and_what_lacks_its_tags_is_drift(environment: Life) -> None:
    ec2, iam = environment.client("ec2"), environment.client("iam")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [PREFIX]}])["Vpcs"]
    groups = {group["GroupId"]: group["GroupName"] for group in ec2.describe_placement_groups()["PlacementGroups"]}
    made = {groups.get(name, name) for name in drift.tags_of_everything(environment.client, ec2, vpc)}
    made |= {iam.get_role(RoleName=f"{PREFIX}-engine")["Role"]["Arn"]}
    made |= {iam.get_instance_profile(InstanceProfileName=f"{PREFIX}-engine")["InstanceProfile"]["Arn"]}
    listed = arns(environment.must("state_list").lines)
    # The emulator makes a snapshot of each database at once, as AWS does at its backup window.
    rest = [arn for arn in listed if ":snapshot:" not in arn]
    assert sorted(arn for arn in rest if not {arn, arn.split("/")[-1], arn.split(":")[-1]} & made) == []
    assert len(rest) == len(set(rest)) == len(made) == 44

    subnet = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["10.0.2.0/24"]}])["Subnets"][0]["SubnetId"]
    ec2.delete_tags(Resources=[subnet], Tags=[{"Key": key} for key in ("Project", "Environment", "ManagedBy")])
    environment.client("kinesis").create_stream(StreamName=f"{PREFIX}-forgotten", ShardCount=1)
    environment.client("s3").create_bucket(Bucket="theirs")
    found = environment.must("state_list").lines
    assert [line.split(" does not ")[0] for line in found if line.startswith("drift: ")] == [
        f"drift: kinesis_stream {PREFIX}-forgotten ({PREFIX}-forgotten)",
        f"drift: subnet {subnet} ({PREFIX}-private-us-east-1b)",
    ]
    assert len(arns(found)) == len(listed) - 1
    environment.client("kinesis").delete_stream(StreamName=f"{PREFIX}-forgotten")
    environment.must("provision")  # gives the subnet its tags again
    assert sorted(arns(environment.must("state_list").lines)) == sorted(listed)


@pytest.mark.feature("ORC-14", by="M", repaired="endpoint of RDS")
def test_one_output_is_a_value_that_a_shell_can_use(environment: Life) -> None:
    endpoint, port, name = (
        environment.must("outputs", "-e", f"output={output}").out
        for output in ("database_endpoint", "database_port", "database_name")
    )
    (database,) = environment.client("rds").describe_db_instances()["DBInstances"]
    assert (endpoint, port) == (f"{database['Endpoint']['Address']}\n", f"{database['Endpoint']['Port']}\n")
    password = (environment.site.state / "secrets" / "postgres_superuser_password").read_text().strip()
    place = {"host": endpoint.strip(), "port": port.strip(), "dbname": name.strip()}
    with psycopg.connect(**place, user="rdsadmin", password=password) as connection:
        assert connection.execute("select current_database()").fetchone() == ("trading_platform",)


def test_all_outputs_are_what_aws_says(environment: Life) -> None:
    lines = dict(line.split(maxsplit=1) for line in environment.must("outputs").lines if len(line.split()) > 1)
    ec2, kms = environment.client("ec2"), environment.client("kms")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [PREFIX]}])["Vpcs"]
    assert (lines["vpc_id"], lines["vpc_cidr"]) == (vpc["VpcId"], "10.0.0.0/16")
    subnets = {subnet["CidrBlock"]: subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]}
    for tier, cidrs in {"public": "10.0.10{}.0/24", "private": "10.0.{}.0/24", "database": "10.0.1{}.0/24"}.items():
        assert lines[f"{tier}_subnet_ids"] == ", ".join(subnets[cidrs.format(n)] for n in (1, 2, 3))
    hosts = [drift.engine(ec2, f"engine-0-{n}")["PrivateIpAddress"] for n in range(3)]
    assert lines["engine_private_ips"] == ", ".join(hosts)
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    public = {address["PublicIp"] for gateway in gateways for address in gateway["NatGatewayAddresses"]}
    assert set(lines["nat_public_ips"].split(", ")) == public
    assert lines["kms_key_arn"] == kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    assert lines["kinesis_stream_name"] == f"{PREFIX}-market-data"
    assert lines["audit_bucket"] == f"{PREFIX}-audit-123456789012"
    assert lines["engine_security_group_id"] == drift.security_group(ec2, "engine")["GroupId"]
    assert "(not there yet)" not in lines.values()
