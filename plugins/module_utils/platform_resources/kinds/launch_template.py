# SPDX-License-Identifier: GPL-3.0-or-later
"""A launch template of EC2 with what amazon.aws drops or sets anew in each run: CPU options, placement, tags.

Its root volume is gp3, and encrypted. A change is a new version, which becomes the default one. What has been launched
stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import TAGS, Field, Found, Kind, pairs, specification, tag_ec2, tags_of

# What is made with an instance, and carries the template's tags.
TAGGED = ("instance", "network-interface", "volume")
VOLUME = ("root_device", "root_gib", "key_arn")


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """What EC2 refuses only once something is launched."""
    if fields["dedicated_host"] and fields["tenancy"] != "host":
        yield "tenancy has to be host where dedicated_host names one"
    if fields["spot"] and fields["tenancy"] == "host":
        yield "spot and tenancy host exclude each other: EC2 puts no spot instances on dedicated hosts"
    if (fields["cores"] is None) != (fields["threads_per_core"] is None):
        yield "give cores and threads_per_core, or neither: EC2 takes them together"
    if len({fields[name] is None for name in VOLUME}) > 1:
        yield f"give {', '.join(VOLUME)}, or none of them: a volume has all three"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them by a filter, which does not mind a name that is not there, with the data of their default versions."""
    asked = {"Filters": [{"Name": "launch-template-name", "Values": list(names)}]} if names is not None else {}
    listed = aws.pages("describe_launch_templates", "LaunchTemplates", PaginationConfig={"PageSize": 200}, **asked)
    for template in listed:
        data = aws.unless_gone(lambda id_=template["LaunchTemplateId"]: version_of(aws, id_), None)
        if data is not None:  # deleted since it was listed
            tags = tags_of(aws.pages("describe_tags", "Tags", Filters=[
                {"Name": "resource-id", "Values": [template["LaunchTemplateId"]]}]))  # fmt: skip
            yield Found(template["LaunchTemplateName"], template["LaunchTemplateId"], fields_of(data), tags)


def version_of(aws: Any, identifier: str) -> Mapping[str, Any]:
    """Return the data of the default version."""
    asked = {"LaunchTemplateId": identifier, "Versions": ["$Default"]}
    versions = aws.call("describe_launch_template_versions", **asked)["LaunchTemplateVersions"]
    data: Mapping[str, Any] = versions[0]["LaunchTemplateData"]
    return data


def fields_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a version as fields."""
    placement, cpu = data.get("Placement", {}), data.get("CpuOptions", {})
    tagged = {spec["ResourceType"]: tags_of(spec["Tags"]) for spec in data.get("TagSpecifications", ())}
    alike = all(tagged.get(what) == tagged.get("instance") for what in TAGGED)
    return {
        "instance_type": data.get("InstanceType"),
        "image": data.get("ImageId"),
        "cores": cpu.get("CoreCount"),
        "threads_per_core": cpu.get("ThreadsPerCore"),
        "placement_group": placement.get("GroupName"),
        "tenancy": placement.get("Tenancy", "default"),
        "dedicated_host": placement.get("HostId"),
        "spot": data.get("InstanceMarketOptions", {}).get("MarketType") == "spot",
        "security_groups": sorted(data.get("SecurityGroupIds", ())),
        "metadata_tokens": data.get("MetadataOptions", {}).get("HttpTokens", "optional"),
        **volume_of(data.get("BlockDeviceMappings", ())),
        "instance_tags": tagged.get("instance", {}) if alike else {},
    }


def volume_of(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the root volume; nothing where there are several, or one that is not as ours are."""
    if len(mappings) == 1:
        volume = mappings[0].get("Ebs", {})
        if volume.get("VolumeType") == "gp3" and volume.get("Encrypted"):
            told = (mappings[0].get("DeviceName"), volume.get("VolumeSize"), volume.get("KmsKeyId"))
            return dict(zip(VOLUME, told, strict=True))
    return dict.fromkeys(VOLUME)


def data_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a version that has these fields."""
    placement = {
        "GroupName": fields["placement_group"],
        "Tenancy": fields["tenancy"],
        "HostId": fields["dedicated_host"],
    }
    cpu = {"CoreCount": fields["cores"], "ThreadsPerCore": fields["threads_per_core"]}
    volume = {"VolumeType": "gp3", "VolumeSize": fields["root_gib"], "Encrypted": True, "KmsKeyId": fields["key_arn"]}
    data = {
        "InstanceType": fields["instance_type"],
        "ImageId": fields["image"],
        "CpuOptions": cpu if fields["cores"] else None,
        "InstanceMarketOptions": {"MarketType": "spot"} if fields["spot"] else None,
        "Placement": {key: value for key, value in placement.items() if value},
        "SecurityGroupIds": fields["security_groups"],
        "MetadataOptions": {"HttpTokens": fields["metadata_tokens"]},
        "BlockDeviceMappings": [{"DeviceName": fields["root_device"], "Ebs": volume}] if fields["root_gib"] else None,
        "TagSpecifications": [
            {"ResourceType": what, "Tags": pairs(fields["instance_tags"])} for what in TAGGED if fields["instance_tags"]
        ],
    }
    return {key: value for key, value in data.items() if value}


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it, with its first version."""
    answer = aws.call(
        "create_launch_template",
        LaunchTemplateName=name,
        LaunchTemplateData=data_of(fields),
        TagSpecifications=specification("launch-template", name, tags),
    )
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Make a version of all fields, and then the default of it."""
    data = data_of(fields)
    answer = aws.call("create_launch_template_version", LaunchTemplateId=found.id, LaunchTemplateData=data)
    number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
    aws.call("modify_launch_template", LaunchTemplateId=found.id, DefaultVersion=number)


def delete(aws: Any, found: Found) -> None:
    """Delete it with all versions."""
    aws.call("delete_launch_template", LaunchTemplateId=found.id)


KIND = Kind(
    name="launch_template",
    says="A launch template of EC2. A change makes a version of it and the default of that one.",
    service="ec2",
    fields=(
        Field("instance_type", "Type of the instances.", required=True),
        Field("image", "Id of the image that they start from.", required=True),
        Field("cores", "Cores of an instance; without it, all that the type has.", "int"),
        Field("threads_per_core", "Threads of a core; V(1) turns hyper-threading off.", "int", choices=(1, 2)),
        Field("placement_group", "Name of the placement group that they are put into."),
        Field("tenancy", "Whose instances run on the same machine.", default="default",
              choices=("default", "dedicated", "host")),
        Field("dedicated_host", "Name of the dedicated host that they run on.", to="dedicated_host"),
        Field("spot", "Whether AWS may take the instances back at two minutes' notice, for a lower price.", "bool",
              default=False),
        Field("security_groups", "Security groups that they are in, by name or id; without any, the VPC's own.", "list",
              elements="str", to="security_group"),
        Field("metadata_tokens", "Whether an instance tells its credentials to nobody without a session token.",
              default="required", choices=("required", "optional")),
        Field("root_device", "Name of the root volume's device in the image; without it, all is as the image says.",
              "path"),
        Field("root_gib", "Size of the root volume, in GiB.", "int"),
        Field("key_arn", "ARN of the key that it is encrypted under."),
        Field("instance_tags", "Tags of the instances, their volumes and interfaces; without them, O(tags).", "dict",
              default=TAGS),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"),
    name_is_unique=True,
    problems=problems,
    example={"name": "trading-engine", "instance_type": "c5n.9xlarge", "image": "ami-0123456789abcdef0", "cores": 18,
             "threads_per_core": 1, "placement_group": "trading-a"},
)  # fmt: skip
