# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in our VPC is read too, whatever its kind; no server is needed for that."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reader import _gateways
from moto import mock_aws

ACCOUNT = {"region_name": "us-east-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@mock_aws
def test_a_private_nat_gateway_is_read_as_one_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    ec2 = boto3.client("ec2", **ACCOUNT)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    public = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    private = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    found = _gateways(ec2, [{"Name": "vpc-id", "Values": [vpc]}], "v")
    assert {gateway["id"]: gateway["public"] for gateway in found["nat_gateways"]} == {public: True, private: False}
    assert [(each["id"], each["used"]) for each in found["addresses"]] == [(address, True)]
