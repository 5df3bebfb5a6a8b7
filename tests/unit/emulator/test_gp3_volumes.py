# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of type gp3 have the IOPS and the throughput that were asked for; stock moto drops both."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

IMAGE = "ami-0abcdef1234567890"
ASKED = {"VolumeType": "gp3", "VolumeSize": 100, "Iops": 16000, "Throughput": 1000}


def launch(ec2, **wanted: Any) -> dict[str, Any]:
    """Launch one instance; return its answer."""
    return ec2.run_instances(**{"ImageId": IMAGE, "InstanceType": "c5n.metal", "MinCount": 1, "MaxCount": 1, **wanted})


def with_volume(**ebs: Any) -> dict[str, Any]:
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": ebs}]}


def volume_of(ec2, launched: dict[str, Any]) -> dict[str, Any]:
    (volume,) = volumes_of(ec2, launched)["Volumes"]
    return volume


def volumes_of(ec2, launched: dict[str, Any]) -> dict[str, Any]:
    instance = launched["Instances"][0]["InstanceId"]
    return ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])


def test_stock_moto_drops_both(stock) -> None:
    ec2 = stock("ec2")
    volume = volume_of(ec2, launch(ec2, **with_volume(**ASKED)))
    assert (volume["Iops"], volume.get("Throughput")) == (3000, None)


def test_an_instance_has_the_volume_that_was_asked_for(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    launched = launch(ec2, **with_volume(**ASKED))
    conforms(ec2, "DescribeVolumes", volumes_of(ec2, launched))
    volume = volume_of(ec2, launched)
    assert {key: volume[{"VolumeSize": "Size"}.get(key, key)] for key in ASKED} == ASKED


def test_without_either_they_are_the_least(repaired) -> None:
    ec2 = repaired("ec2")
    launched = volume_of(ec2, launch(ec2, **with_volume(VolumeType="gp3", VolumeSize=8)))
    made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, VolumeType="gp3")
    assert [(volume["Iops"], volume["Throughput"]) for volume in (launched, made)] == [(3000, 125)] * 2
    other = volume_of(ec2, launch(ec2, **with_volume(VolumeType="gp2", VolumeSize=8)))
    assert "Throughput" not in other


def test_those_of_a_launch_template_hold_too(repaired) -> None:
    ec2 = repaired("ec2")
    ec2.create_launch_template(LaunchTemplateName="gp3", LaunchTemplateData=with_volume(**ASKED))
    volume = volume_of(ec2, launch(ec2, LaunchTemplate={"LaunchTemplateName": "gp3"}))
    assert (volume["VolumeType"], volume["Iops"], volume["Throughput"]) == ("gp3", 16000, 1000)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"Iops": 2999}, "InvalidParameterValue"),
        ({"Iops": 80001}, "InvalidParameterValue"),
        ({"Throughput": 124}, "InvalidParameterValue"),
        ({"Throughput": 2001}, "InvalidParameterValue"),
        ({"Iops": 4001, "VolumeSize": 8}, "InvalidParameterCombination"),
        ({"Iops": 3000, "Throughput": 751}, "InvalidParameterCombination"),
    ],
)
def test_what_is_refused_leaves_no_instance(repaired, wanted: dict[str, int], code: str) -> None:
    ec2 = repaired("ec2")
    before = len(ec2.describe_instances()["Reservations"])
    with pytest.raises(ClientError) as refused:
        launch(ec2, **with_volume(**{"VolumeType": "gp3", "VolumeSize": 100, **wanted}))
    assert refused.value.response["Error"]["Code"] == code
    assert len(ec2.describe_instances()["Reservations"]) == before


def test_the_limits_themselves_are_taken(repaired) -> None:
    ec2 = repaired("ec2")
    for asked in ({"Iops": 4000, "VolumeSize": 8, "Throughput": 1000}, {"Iops": 80000, "Throughput": 2000}):
        volume = volume_of(ec2, launch(ec2, **with_volume(**{"VolumeType": "gp3", "VolumeSize": 160, **asked})))
        assert (volume["Iops"], volume["Throughput"]) == (asked["Iops"], asked["Throughput"])
