# SPDX-License-Identifier: GPL-3.0-or-later
"""A group of EC2 Auto Scaling that follows a metric: as many hosts of one launch template as keep it at its target.

How many there are is the policy's to say, between `least` and `most`, and is no field: a run does not set it back.
amazon.aws.autoscaling_group has no policies and says in check mode that it would change what it would not, and the
policies of community.aws have no check mode. Other policies that somebody gives the group are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import Field, Found, Kind, tags_of

METRIC = ("metric_namespace", "metric_name", "metric_target")


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """What Auto Scaling refuses only when it is asked, or takes and never scales by."""
    if fields["least"] > fields["most"]:
        yield f"least ({fields['least']}) is more than most ({fields['most']})"
    if len({fields[name] is None for name in METRIC}) > 1:
        yield f"give {', '.join(METRIC)}, or none of them: a policy needs all three"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them, each with the policy that has its name. One that is being deleted is listed for a while."""
    asked = {"AutoScalingGroupNames": list(names)} if names else {}
    for group in aws.pages("describe_auto_scaling_groups", "AutoScalingGroups", **asked):
        if not group.get("Status"):
            name = group["AutoScalingGroupName"]
            policies = aws.unless_gone(lambda name=name: aws.pages(
                "describe_policies", "ScalingPolicies", AutoScalingGroupName=name, PolicyNames=[name]), [])  # fmt: skip
            fields = {
                "launch_template": group.get("LaunchTemplate", {}).get("LaunchTemplateId"),
                "subnets": sorted(group["VPCZoneIdentifier"].split(",")),
                "least": group["MinSize"],
                "most": group["MaxSize"],
                **metric_of(list(policies)),
            }
            yield Found(name, id_of(group), fields, tags_of(group.get("Tags")))


def id_of(group: Mapping[str, Any]) -> str:
    """Return the end of its ARN, which is a number of AWS's and the name."""
    return str(group["AutoScalingGroupARN"].partition(":autoScalingGroup:")[2])


def metric_of(policies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the group follows, from its policies; nothing where that is no metric of ours alone."""
    for policy in policies:
        followed = policy.get("TargetTrackingConfiguration", {})
        metric = followed.get("CustomizedMetricSpecification", {})
        if metric.get("Statistic") == "Average" and not metric.get("Dimensions") and "MetricName" in metric:
            return dict(zip(METRIC, (metric["Namespace"], metric["MetricName"], followed["TargetValue"]), strict=True))
    return dict.fromkeys(METRIC)


def sizes(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both calls take. $Default: a new version of the template is what the next host starts from."""
    return {
        "AutoScalingGroupName": name,
        "LaunchTemplate": {"LaunchTemplateId": fields["launch_template"], "Version": "$Default"},
        "MinSize": fields["least"],
        "MaxSize": fields["most"],
        "VPCZoneIdentifier": ",".join(fields["subnets"]),
    }


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it, and then what it follows."""
    aws.call("create_auto_scaling_group", Tags=pairs(name, tags), **sizes(name, fields))
    follow(aws, name, fields)
    (made,) = aws.call("describe_auto_scaling_groups", AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return id_of(made)


def update(aws: Any, found: Found, fields: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Set sizes, subnets and template in one call, and what it follows in another."""
    if set(changed) - set(METRIC):
        aws.call("update_auto_scaling_group", **sizes(found.name, fields))
    if set(changed) & set(METRIC):
        follow(aws, found.name, fields)


def follow(aws: Any, name: str, fields: Mapping[str, Any]) -> None:
    """Have it follow its metric, or none."""
    if fields["metric_name"] is None:
        aws.unless_gone(lambda: aws.call("delete_policy", AutoScalingGroupName=name, PolicyName=name), None)
        return
    metric = {"Namespace": fields["metric_namespace"], "MetricName": fields["metric_name"], "Statistic": "Average"}
    aws.call(
        "put_scaling_policy",
        AutoScalingGroupName=name,
        PolicyName=name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "CustomizedMetricSpecification": metric,
            "TargetValue": fields["metric_target"],
        },
    )


def delete(aws: Any, found: Found) -> None:
    """Delete it with its hosts."""
    aws.call("delete_auto_scaling_group", AutoScalingGroupName=found.name, ForceDelete=True)


def tag(aws: Any, found: Found, tags: Mapping[str, str]) -> None:
    """Set tags of the group; its hosts have those of the launch template."""
    aws.call("create_or_update_tags", Tags=pairs(found.name, tags))


def pairs(name: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return tags as Auto Scaling takes them."""
    of_group = {"ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
    return [{"Key": key, "Value": value, **of_group} for key, value in tags.items()]


KIND = Kind(
    name="scaling_group",
    says="A group of EC2 Auto Scaling, of as many hosts as keep a metric at its target.",
    service="autoscaling",
    fields=(
        Field("launch_template", "Name of the launch template that its hosts start from.", required=True,
              to="launch_template"),
        Field("subnets", "Subnets that they are spread over, by name or id.", "list", elements="str", required=True,
              to="subnet"),
        Field("least", "How many there are at least.", "int", default=0),
        Field("most", "How many there are at most.", "int", required=True),
        Field("metric_namespace", "Namespace in CloudWatch of the metric that it follows."),
        Field("metric_name", "Name of that metric, which has no dimensions."),
        Field("metric_target", "The average of it that there are hosts for.", "float"),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag,
    not_found=("ValidationError",),  # Auto Scaling's word for a template that it does not find, too
    arn="autoScalingGroup:{id}",
    name_is_unique=True,
    problems=problems,
    example={"name": "workers", "launch_template": "workers", "subnets": ["trading-private-a"], "most": 8,
             "metric_namespace": "Trading", "metric_name": "Volatility", "metric_target": 2.0},
)  # fmt: skip
