# SPDX-License-Identifier: GPL-3.0-or-later
"""The module reads an account and says what is lacking: quotas, types, addresses of another VPC in another region."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import aws_preflight as module
from emulated_aws import emulator
from platform_resources import CONNECTION, TAGS

pytestmark = pytest.mark.slow

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
REGIONS = ["us-east-1", "us-west-2"]


def needs(instance_type: str = "c5n.metal") -> dict[str, Any]:
    return {
        "vpcs": [{"name": "v", "cidr": "10.0.0.0/16"}],
        "nat_gateways": [f"v-{zone}" for zone in ZONES],
        "instances": [
            {"shard": 0, "replica": n, "zone": zone, "type": instance_type, "role": "standby"}
            for n, zone in enumerate(ZONES)
        ],
        "streams": [{"name": "v-market-data", "shards": 10}],
        "permissions": [{"resource": "*", "actions": ["ec2:CreateVpc", "ec2:AllocateAddress"]}],
    }


@pytest.fixture(scope="module", name="server")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulator(tmp_path_factory.mktemp("emulator")) as (_, url):
        yield url


@pytest.fixture(name="account")
def empty_account(server: str) -> str:
    urllib.request.urlopen(f"{server}/moto-api/reset", data=b"", timeout=30).close()
    return server


def client(url: str, region: str = "us-east-1") -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("ec2", region_name=region, endpoint_url=url, **keys)


def call(capsys: pytest.CaptureFixture[str], url: str, **options: Any) -> dict[str, Any]:
    given = {**CONNECTION, "endpoint_url": url, "zones": ZONES, "tags": TAGS, "regions": REGIONS, "needs": needs()}
    with patch_module_args({**given, **options}), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_an_empty_account_holds_it(capsys: pytest.CaptureFixture[str], account: str) -> None:
    answer = call(capsys, account)
    assert (answer["changed"], answer["problems"]) == (False, [])
    (note,) = answer["notes"]
    assert note.endswith("EC2 was asked about 1 actions"), "the emulator simulates nothing"
    assert client(account).describe_addresses()["Addresses"] == [], "a dry run makes nothing"


def test_tags_that_say_not_whose_a_vpc_is_are_refused(capsys: pytest.CaptureFixture[str], account: str) -> None:
    """Else every VPC without tags would be taken for ours, and its addresses for no overlap."""
    answer = call(capsys, account, tags={"Project": "p"})
    assert answer["msg"] == "tags lack Environment and ManagedBy, which tell what is ours: set them in ironbook_tags"


@pytest.mark.feature("OPS-26", by="M", repaired="service_quotas")
def test_what_the_account_lacks_is_named_by_its_quota(capsys: pytest.CaptureFixture[str], account: str) -> None:
    ec2 = client(account)
    for _ in range(2):
        ec2.allocate_address(Domain="vpc")
    assert call(capsys, account)["problems"] == [], "three more are the five that may be"
    ec2.allocate_address(Domain="vpc")
    for n in range(4):
        ec2.create_vpc(CidrBlock=f"172.{16 + n}.0.0/16")
    hosts = [{**one, "type": "c5n.metal", "replica": n} for n in range(17) for one in needs()["instances"][:1]]
    streams = [{"name": "v-market-data", "shards": 6001}]
    answer = call(capsys, account, needs={**needs(), "instances": hosts, "streams": streams})
    assert [line.split(" (")[0] for line in answer["problems"]] == [
        "1 more VPCs are needed",
        "3 more Elastic IP addresses are needed",
        "1224 more vCPUs of running on-demand standard instances are needed",
        "6001 more Kinesis shards are needed",
    ]
    for line, told in zip(
        answer["problems"], ("5 of the 5", "3 of the 5", "0 of the 1152", "0 of the 6000"), strict=True
    ):
        assert f", and {told} that us-east-1 allows are in use: have " in line


def test_what_lies_elsewhere_and_what_is_not_offered(capsys: pytest.CaptureFixture[str], account: str) -> None:
    far = client(account, "us-west-2").create_vpc(CidrBlock="10.0.128.0/17")["Vpc"]["VpcId"]
    both = ["us-east-1", "us-west-2"]
    answer = call(capsys, account, needs=needs("u-6tb1.metal"), regions=both)
    overlap = f"10.0.0.0/16 (VPC v) and 10.0.128.0/17 (VPC {far} of us-west-2) have addresses in common"
    assert overlap in answer["msg"]
    assert len([line for line in answer["problems"] if "is not offered in us-east-1" in line]) == len(ZONES)
    assert call(capsys, account, accepted_vpcs=[far], regions=both)["problems"] == []
    assert call(capsys, account, regions=["us-east-1"])["problems"] == []
    assert overlap in call(capsys, account, regions=[])["msg"], "no region named: all of them"


def test_a_region_that_does_not_answer_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, "http://127.0.0.1:9")
    assert answer["failed"]
    assert "failed: Could not connect to the endpoint URL" in answer["msg"]
