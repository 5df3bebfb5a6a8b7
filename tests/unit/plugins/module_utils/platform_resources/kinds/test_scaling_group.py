# SPDX-License-Identifier: GPL-3.0-or-later
"""A group of workers on spot that follows the market's volatility, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds.scaling_group import KIND
from platform_resources import TAGS, Case, Client, converge, first, told

TEMPLATES = [
    {"name": name, "instance_type": kind, "image": "ami-0123456789abcdef0", "spot": True}
    for name, kind in (("workers", "c5.large"), ("other-workers", "m5.large"))
]
VOLATILITY = {"metric_namespace": "Trading", "metric_name": "Volatility", "metric_target": 2.0}
WORKERS = {"launch_template": "workers", "subnets": ["other-a", "other-b"], "most": 8, **VOLATILITY}


def there(client: Client, name: str) -> dict[str, Any]:
    """The group, as Auto Scaling describes it."""
    found = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    (group,) = found["AutoScalingGroups"]
    return group


def policies(client: Client, name: str) -> list[dict[str, Any]]:
    return client("autoscaling").describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]


def name_of(identifier: str) -> str:
    return identifier.rpartition("/")[2]


def no_policy(client: Client, identifier: str) -> None:
    """Somebody takes its policy away, where it has one."""
    for policy in policies(client, name_of(identifier)):
        client("autoscaling").delete_policy(AutoScalingGroupName=name_of(identifier), PolicyName=policy["PolicyName"])


def untag(client: Client, identifier: str) -> None:
    of_group = {"ResourceId": name_of(identifier), "ResourceType": "auto-scaling-group"}
    client("autoscaling").delete_tags(Tags=[{**of_group, "Key": "Team"}])


CASE = Case(
    variants=(
        WORKERS,
        {**WORKERS, "subnets": ["other-c"], "most": 12, "metric_target": 2.5, "metric_name": "RealisedVolatility"},
        {**WORKERS, "launch_template": "other-workers", "metric_namespace": "Markets"},
        {"launch_template": "workers", "subnets": ["other-a"], "least": 1, "most": 2},
    ),
    drifts=(
        lambda client, group: client("autoscaling").delete_auto_scaling_group(
            AutoScalingGroupName=name_of(group), ForceDelete=True
        ),
        lambda client, group: client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=name_of(group), MaxSize=20
        ),
        no_policy,
        untag,
    ),
    beside={"launch_templates": TEMPLATES},
)


@pytest.mark.slow
@pytest.mark.feature("HFT-13", by="M", part="the policy follows the metric, read back; no series has moved it")
def test_it_is_read_back_over_http(served: Client) -> None:
    options = {"launch_templates": TEMPLATES, "scaling_groups": [{"name": "volatility", **WORKERS}]}
    first(served, options)
    group = there(served, "volatility")
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (0, 8, 0)
    assert {tag["Key"]: tag["Value"] for tag in group["Tags"]} == TAGS
    template = group["LaunchTemplate"]["LaunchTemplateId"]
    versions = served("ec2").describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["InstanceMarketOptions"] == {"MarketType": "spot"}
    (policy,) = policies(served, "volatility")
    assert policy["PolicyType"] == "TargetTrackingScaling"
    followed = policy["TargetTrackingConfiguration"]
    metric = followed["CustomizedMetricSpecification"]
    assert (metric["Namespace"], metric["MetricName"], metric["Statistic"]) == ("Trading", "Volatility", "Average")
    assert followed["TargetValue"] == 2.0


def test_how_many_there_are_is_the_policys_to_say(moto: Client) -> None:
    """Neither a run nor a change of the limits sets the market's answer back."""
    options = {"launch_templates": TEMPLATES, "scaling_groups": [{"name": "busy", **WORKERS}]}
    first(moto, options)
    moto("autoscaling").set_desired_capacity(AutoScalingGroupName="busy", DesiredCapacity=3)
    assert told(converge(moto, options)) == []
    more = {"launch_templates": TEMPLATES, "scaling_groups": [{"name": "busy", **WORKERS, "most": 9}]}
    assert told(converge(moto, more)) == ["update scaling_group busy most"]
    assert (there(moto, "busy")["DesiredCapacity"], there(moto, "busy")["MaxSize"]) == (3, 9)


def test_what_is_refused() -> None:
    wrong = {"least": 3, "most": 2, "metric_namespace": "Trading", "metric_name": None, "metric_target": 2.0}
    assert list(KIND.problems(wrong)) == [
        "least (3) is more than most (2)",
        "give metric_namespace, metric_name, metric_target, or none of them: a policy needs all three",
    ]
