# SPDX-License-Identifier: GPL-3.0-or-later
"""A launch template with CPU options and a dedicated host, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds.launch_template import KIND
from platform_resources import KEY, TAGS, Case, Client, Recorder, converge, first, told

TEMPLATE = {"instance_type": "c5n.9xlarge", "image": "ami-0123456789abcdef0"}
ONE_THREAD = {**TEMPLATE, "cores": 18, "threads_per_core": 1, "placement_group": "trading-a"}
ON_HOST = {**TEMPLATE, "tenancy": "host", "dedicated_host": "host-beside"}


def default_of(client: Client, template: str) -> dict[str, Any]:
    """The data of the default version, as EC2 tells it."""
    versions = client("ec2").describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])
    data: dict[str, Any] = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data


def other_default(client: Client, template: str) -> None:
    """Somebody makes a version of their own the default one."""
    version = client("ec2").create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "t3.micro"}
    )
    number = str(version["LaunchTemplateVersion"]["VersionNumber"])
    client("ec2").modify_launch_template(LaunchTemplateId=template, DefaultVersion=number)


CASE = Case(
    variants=(
        ONE_THREAD,
        {**ONE_THREAD, "instance_type": "c5n.18xlarge", "image": "ami-0fedcba9876543210", "cores": 36},
        {
            **TEMPLATE,
            "tenancy": "dedicated",
            "cores": 9,
            "threads_per_core": 2,
            "spot": True,
            "security_groups": ["endpoints-a", "endpoints-b"],
            "metadata_tokens": "optional",
            "root_device": "/dev/xvda",
            "root_gib": 100,
            "key_arn": KEY,
            "instance_tags": {"Team": "quants"},
        },
        {**ON_HOST, "root_device": "/dev/sda1", "root_gib": 200, "key_arn": f"{KEY}5"},
    ),
    drifts=(
        lambda client, template: client("ec2").delete_launch_template(LaunchTemplateId=template),
        other_default,
        lambda client, template: client("ec2").delete_tags(Resources=[template], Tags=[{"Key": "Team"}]),
    ),
    beside={"dedicated_hosts": [{"name": "host-beside", "zone": "us-east-1a", "instance_type": "c5n.metal"}]},
)


@pytest.mark.slow
@pytest.mark.feature(
    "HFT-06",
    by="Stub",
    part="a launch template's tenancy and dedicated host, asked for and read back; not in the site yet",
)
def test_it_is_read_back_over_http(served: Client) -> None:
    options = {**CASE.beside, "launch_templates": [{"name": "engine", **ON_HOST, "cores": 18, "threads_per_core": 1}]}
    recorder = Recorder(served)
    template = first(recorder, options)
    (host,) = [
        there["HostId"]
        for there in served("ec2").describe_hosts()["Hosts"]
        if {"Key": "Name", "Value": "host-beside"} in there.get("Tags", ())
    ]
    data = default_of(served, template)
    assert data["Placement"] == {"Tenancy": "host", "HostId": host}
    (asked,) = [parameters for name, parameters in recorder.calls if name == "create_launch_template"]
    assert asked["LaunchTemplateData"]["Placement"] == data["Placement"]
    assert data["CpuOptions"] == {"CoreCount": 18, "ThreadsPerCore": 1}
    assert (data["InstanceType"], data["ImageId"]) == ("c5n.9xlarge", "ami-0123456789abcdef0")
    tagged = {
        spec["ResourceType"]: {tag["Key"]: tag["Value"] for tag in spec["Tags"]} for spec in data["TagSpecifications"]
    }
    assert tagged["instance"] == tagged["volume"] == tagged["network-interface"] == TAGS


@pytest.mark.slow
def test_a_change_is_a_version(served: Client) -> None:
    template = first(served, {"launch_templates": [{"name": "versions", **TEMPLATE}]})
    outcome = converge(served, {"launch_templates": [{"name": "versions", **ONE_THREAD}]})
    assert told(outcome) == ["update launch_template versions cores threads_per_core placement_group"]
    assert default_of(served, template)["CpuOptions"] == {"CoreCount": 18, "ThreadsPerCore": 1}
    versions = served("ec2").describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    assert sorted((version["VersionNumber"], version["DefaultVersion"]) for version in versions) == [
        (1, False),
        (2, True),
    ]


@pytest.mark.slow
def test_who_is_launched_from_it_is_in_its_groups_and_its_disk_encrypted(served: Client) -> None:
    disk = {"root_device": "/dev/xvda", "root_gib": 100, "key_arn": KEY}
    fields = {"name": "workers", **TEMPLATE, **disk, "security_groups": ["endpoints-a"]}
    template = first(served, {"launch_templates": [fields]})
    data = default_of(served, template)
    wanted = [{"Name": "group-name", "Values": ["endpoints-a"]}]
    (group,) = served("ec2").describe_security_groups(Filters=wanted)["SecurityGroups"]
    assert (data["SecurityGroupIds"], data["MetadataOptions"]["HttpTokens"]) == ([group["GroupId"]], "required")
    ((device, volume),) = [(each["DeviceName"], each["Ebs"]) for each in data["BlockDeviceMappings"]]
    assert (device, volume) == (
        "/dev/xvda", {"VolumeType": "gp3", "VolumeSize": 100, "Encrypted": True, "KmsKeyId": KEY}
    )  # fmt: skip


NO_VOLUME = {"root_device": None, "root_gib": None, "key_arn": None}


def test_what_is_refused() -> None:
    wrong = {"dedicated_host": "h", "tenancy": "default", "cores": 2, "threads_per_core": None, "spot": False}
    lines = list(KIND.problems({**wrong, **NO_VOLUME, "root_gib": 100}))
    assert lines == [
        "tenancy has to be host where dedicated_host names one",
        "give cores and threads_per_core, or neither: EC2 takes them together",
        "give root_device, root_gib, key_arn, or none of them: a volume has all three",
    ]
    on_host = {"dedicated_host": None, "tenancy": "host", "cores": None, "threads_per_core": None, "spot": True}
    assert list(KIND.problems({**on_host, **NO_VOLUME})) == [
        "spot and tenancy host exclude each other: EC2 puts no spot instances on dedicated hosts"
    ]
