# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers of production: a group on spot that follows the market's volatility, and no engine among them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from integration.platform_drift import found_problems, security_group
from integration.production_site import ACCOUNT, PREFIX, TAGS, TIERS, Venue, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

NAME = f"{PREFIX}-workers"
VOLATILITY = {"MetricName": "Volatility", "Namespace": PREFIX, "Statistic": "Average"}


@pytest.fixture
def group(venue: Venue) -> dict[str, Any]:
    """The group, as Auto Scaling describes it."""
    (found,) = venue.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])[
        "AutoScalingGroups"
    ]
    return found


def policies(venue: Venue) -> list[dict[str, Any]]:
    return venue.client("autoscaling").describe_policies(AutoScalingGroupName=NAME)["ScalingPolicies"]


@pytest.mark.feature("HFT-13", by="M", part="in production the policy follows the metric; no series has moved it")
def test_there_are_as_many_as_the_volatility_calls_for(venue: Venue, group, subnets) -> None:
    assert (group["MinSize"], group["MaxSize"], group["Instances"]) == (0, 20, [])
    assert sorted(group["VPCZoneIdentifier"].split(",")) == sorted(subnets[c]["SubnetId"] for c in TIERS["private"])
    assert tags_in(group["Tags"]) == TAGS
    (policy,) = policies(venue)
    followed = policy["TargetTrackingConfiguration"]
    assert (policy["PolicyType"], followed["TargetValue"]) == ("TargetTrackingScaling", 2.0)
    metric = followed["CustomizedMetricSpecification"]
    assert {name: metric[name] for name in VOLATILITY} == VOLATILITY


def test_they_alone_are_on_spot(venue: Venue, ec2, group) -> None:
    template = {"LaunchTemplateId": group["LaunchTemplate"]["LaunchTemplateId"], "Versions": ["$Default"]}
    (version,) = ec2.describe_launch_template_versions(**template)["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    assert data["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert (data["InstanceType"], data["MetadataOptions"]["HttpTokens"]) == ("c6i.2xlarge", "required")
    assert data["SecurityGroupIds"] == [security_group(ec2, "market-data")["GroupId"]]
    key = venue.client("kms").describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["Arn"]
    ((device, volume),) = [(each["DeviceName"], each["Ebs"]) for each in data["BlockDeviceMappings"]]
    assert device == "/dev/xvda"
    assert volume == {"VolumeType": "gp3", "VolumeSize": 100, "Encrypted": True, "KmsKeyId": key}
    wanted = TAGS | {"Name": f"{PREFIX}-worker", "Role": "worker", "Tier": "app"}
    tagged = {spec["ResourceType"]: tags_in(spec["Tags"]) for spec in data["TagSpecifications"]}
    launched = ("instance", "network-interface", "volume")
    assert {what: tagged[what] for what in launched} == dict.fromkeys(launched, wanted)
    markets = [request.get("InstanceMarketOptions") for request in venue.requests("RunInstances")]
    assert markets and set(markets) == {None}, "an engine was launched on spot"


def test_auto_scaling_may_use_the_key_of_their_volumes_through_ec2_alone(venue: Venue) -> None:
    """Which is in nobody's policy of IAM: Auto Scaling acts in its own name."""
    kms = venue.client("kms")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    account, volumes = policy["Statement"]
    assert (account["Principal"], account["Action"]) == ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")
    assert (volumes["Effect"], volumes["Principal"]) == ("Allow", {"AWS": "*"})
    assert {"kms:CreateGrant", "kms:GenerateDataKey*", "kms:Decrypt"} <= set(volumes["Action"])
    assert volumes["Condition"] == {
        "StringEquals": {"kms:CallerAccount": ACCOUNT, "kms:ViaService": "ec2.us-east-1.amazonaws.com"}
    }


def test_what_somebody_changed_is_found_and_set_back_and_the_markets_answer_is_not(venue: Venue, group) -> None:
    """A policy that is gone and a limit that was raised are drift; how many there are is none."""
    scaling, before = venue.client("autoscaling"), set(found_problems(venue.client))
    scaling.delete_policy(AutoScalingGroupName=NAME, PolicyName=NAME)
    scaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MaxSize=30)
    drift = venue.apply("platform_check")
    assert drift.returncode != 0 and f'"name": "{NAME}"' in drift.output and "metric_target" in drift.output
    known = "aws_compute_image_id: {}\naws_compute_key_arn: {}\n"
    (version,) = venue.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"], Versions=["$Default"]
    )["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    facts = known.format(data["ImageId"], data["BlockDeviceMappings"][0]["Ebs"]["KmsKeyId"])
    mended = venue.apply("aws_compute:workers", variables=facts)
    assert (mended.returncode, mended.changed) == (0, {"localhost": 1}), mended.output
    (policy,) = policies(venue)
    assert policy["TargetTrackingConfiguration"]["TargetValue"] == 2.0
    again = venue.apply("aws_compute:workers", variables=facts)
    assert (again.returncode, again.changed) == (0, {}), again.output
    assert set(found_problems(venue.client)) == before
