# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine hosts of production: what was asked of EC2 for each, and what EC2 says that they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures import host_audits, host_trees
from fixtures.host_types import TYPES
from integration import platform_drift as drift
from integration.production_site import ENGINES, PREFIX, TAGS, TIERS, ZONES, Venue, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

REPAIRED = "IOPS and throughput of gp3"


@pytest.fixture
def engines(ec2) -> dict[str, dict[str, Any]]:
    """Each engine host by its name, as EC2 describes it."""
    return {name: drift.engine(ec2, name) for name in ENGINES}


def launches(venue: Venue, name: str) -> list[dict[str, Any]]:
    """The requests by which the host of this name was launched."""
    named = {"Key": "Name", "Value": name}
    return [
        asked
        for asked in venue.requests("RunInstances")
        if any(spec["ResourceType"] == "instance" and named in spec["Tags"] for spec in asked["TagSpecifications"])
    ]


@pytest.fixture
def asked(venue: Venue) -> dict[str, dict[str, Any]]:
    """The one request by which each engine host was launched."""
    found: dict[str, dict[str, Any]] = {}
    for name in ENGINES:
        (found[name],) = launches(venue, name)
    return found


@pytest.mark.feature("HFT-01", by="M")
def test_the_engines_run_in_the_subnets_of_the_app_tier(engines, subnets) -> None:
    tier = {subnets[cidr]["SubnetId"]: tags_in(subnets[cidr]["Tags"])["Tier"] for cidr in TIERS["private"]}
    assert set(tier.values()) == {"app"}
    assert {name: host["SubnetId"] for name, host in engines.items()} == dict(zip(ENGINES, tier, strict=True))
    for host in engines.values():
        assert host["State"]["Name"] == "running"
        assert (tags_in(host["Tags"])["Role"], tags_in(host["Tags"])["Tier"]) == ("engine", "app")


@pytest.mark.feature("HFT-03", by="M")
def test_the_engines_are_metal_and_the_audit_asks_more_of_metal(engines, tmp_path: Path) -> None:
    """Of two hosts that nobody tuned: what is wrong on metal, and no matter on the virtual machine of the same CPU."""
    assert {host["InstanceType"] for host in engines.values()} == {"c5n.metal"}
    found = {
        kind: host_audits.findings(host_trees.write(host_trees.bare(TYPES[kind]), tmp_path / kind), kind)
        for kind in ("c5n.metal", "c5n.18xlarge")
    }
    only_metal = {
        knob
        for knob, metal in found["c5n.metal"].items()
        if (metal["verdict"], found["c5n.18xlarge"][knob]["verdict"]) == ("drift", "not_applicable")
    }
    assert {"power.governor"} <= only_metal


@pytest.mark.feature("HFT-05", by="Stub")
def test_each_engine_was_launched_into_the_cluster_of_its_zone(venue: Venue, asked) -> None:
    groups = {made["GroupName"]: made["Strategy"] for made in venue.requests("CreatePlacementGroup")}
    assert groups == {f"{PREFIX}-{zone}": "cluster" for zone in ZONES}
    placed = {name: launch["Placement"]["GroupName"] for name, launch in asked.items()}
    assert placed == {name: f"{PREFIX}-{zone}" for name, zone in ENGINES.items()}


@pytest.mark.feature("HFT-06", by="Stub")
def test_each_engine_was_launched_as_a_dedicated_instance(asked) -> None:
    tenancy = {name: launch["Placement"]["Tenancy"] for name, launch in asked.items()}
    assert tenancy == dict.fromkeys(ENGINES, "dedicated")


def test_no_engine_was_launched_on_spot_or_with_an_old_metadata_service(asked) -> None:
    for launch in asked.values():
        assert "InstanceMarketOptions" not in launch
        assert launch["MetadataOptions"]["HttpTokens"] == "required"


@pytest.mark.feature("HFT-15", by="M", repaired=REPAIRED)
def test_each_engine_has_a_fast_encrypted_volume(venue: Venue, ec2, engines) -> None:
    key = venue.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    for host in engines.values():
        attached = [{"Name": "attachment.instance-id", "Values": [host["InstanceId"]]}]
        (volume,) = ec2.describe_volumes(Filters=attached)["Volumes"]
        shape = {name: volume[name] for name in ("VolumeType", "Size", "Iops", "Throughput", "Encrypted", "KmsKeyId")}
        assert shape == {
            "VolumeType": "gp3",
            "Size": 100,
            "Iops": 16000,
            "Throughput": 1000,
            "Encrypted": True,
            "KmsKeyId": key,
        }


@pytest.mark.feature("HFT-06", by="Stub", part="an engine on a dedicated host of its own")
def test_an_engine_may_have_a_machine_of_its_own(venue: Venue, ec2, engines) -> None:
    """Another host, made by the role alone, which is gone afterwards."""
    first = engines["engine-0-0"]
    run = venue.apply(
        "aws_compute",
        variables=f"""
aws_compute_tenancy: host
aws_compute_host: {{shard: 9, replica: 0, zone: us-east-1a, role: primary}}
aws_compute_image_id: {first["ImageId"]}
aws_compute_subnet_id: {first["SubnetId"]}
aws_compute_security_group_id: {first["SecurityGroups"][0]["GroupId"]}
aws_compute_instance_profile: {first["IamInstanceProfile"]["Arn"]}
aws_compute_key_arn: {venue.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]}
""",
    )
    assert run.returncode == 0, run.output
    instance = drift.engine(ec2, "engine-9-0")
    (machine,) = [host for host in ec2.describe_hosts()["Hosts"] if host["State"] == "available"]
    assert (machine["HostProperties"]["InstanceType"], machine["AvailabilityZone"]) == ("c5n.metal", "us-east-1a")
    assert TAGS.items() <= tags_in(machine["Tags"]).items()
    assert launches(venue, "engine-9-0")[-1]["Placement"] == {"Tenancy": "host", "HostId": machine["HostId"]}
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    there = {one["NetworkInterfaceId"] for one in ec2.describe_network_interfaces()["NetworkInterfaces"]}
    for interface in {one["NetworkInterfaceId"] for one in instance["NetworkInterfaces"]} & there:
        ec2.delete_network_interface(NetworkInterfaceId=interface)  # as AWS does, with the instance
    assert not ec2.release_hosts(HostIds=[machine["HostId"]]).get("Unsuccessful")
