# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the EC2 API, for how many hosts at once, and what becomes of an answer that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import ec2_reader
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.service import run
from ansible_collections.ironbook.trading.plugins.modules import host_ec2_info
from botocore.exceptions import ClientError, EndpointConnectionError
from fixtures import host_trees

GROUP = {"GroupId": "pg-1", "GroupName": "shared", "Strategy": "cluster"}
OPEN = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
PARTS = {"instance", "status", "placement_group", "security_groups", "mirror_sessions"}


def instance(name: str, **more: Any) -> dict[str, Any]:
    """What EC2 says of an instance as it should be, in the fields of its API reference."""
    return {
        "InstanceId": name,
        "InstanceType": "c5n.metal",
        "Placement": {"GroupId": "pg-1", "AvailabilityZone": "us-east-1a", "Tenancy": "default"},
        "CpuOptions": {"CoreCount": 36, "ThreadsPerCore": 2},
        "EnaSupport": True,
        "EbsOptimized": True,
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "HibernationOptions": {"Configured": False},
        "SecurityGroups": [{"GroupId": "sg-1"}],
        "NetworkInterfaces": [
            {
                "NetworkInterfaceId": f"eni-{name}-{n}",
                "Attachment": {"EnaQueueCount": None},
                "Groups": [{"GroupId": f"sg-{n}"}],
            }
            for n in (1, 2)
        ],
        **more,
    }


class Api:
    """A client of EC2 that keeps what it was asked, and refuses what it is told to."""

    def __init__(self, instances: list[dict[str, Any]], refuse: dict[str, Exception] | None = None) -> None:
        self.instances = instances
        self.refuse = refuse or {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def can_paginate(self, operation: str) -> bool:
        return operation != "describe_placement_groups"

    def get_paginator(self, operation: str) -> Any:
        """Two pages: the entries of the second one count too."""
        api = self

        class Pages:
            def paginate(self, **question: Any) -> list[dict[str, Any]]:
                answer = api.answer(operation, question)
                return [
                    {key: rows[:1] for key, rows in answer.items()},
                    {key: rows[1:] for key, rows in answer.items()},
                ]

        return Pages()

    def describe_placement_groups(self, **question: Any) -> dict[str, Any]:
        return self.answer("describe_placement_groups", question)

    def answer(self, operation: str, question: dict[str, Any]) -> dict[str, list[Any]]:
        self.asked.append((operation, question))
        if operation in self.refuse:
            raise self.refuse[operation]
        names = question.get("InstanceIds") or [
            value for each in question.get("Filters", ()) for value in each["Values"]
        ]
        if operation == "describe_instances":
            return {"Reservations": [{"Instances": [each]} for each in self.instances if each["InstanceId"] in names]}
        if operation == "describe_instance_status":
            ok = {"Status": "ok"}
            return {"InstanceStatuses": [{"InstanceId": n, "InstanceStatus": ok, "SystemStatus": ok} for n in names]}
        if operation == "describe_security_groups":
            return {
                "SecurityGroups": [{"GroupId": n, "IpPermissions": OPEN, "IpPermissionsEgress": OPEN} for n in names]
            }
        if operation == "describe_traffic_mirror_sessions":
            return {"TrafficMirrorSessions": [{"NetworkInterfaceId": "eni-elsewhere"}]}
        return {"PlacementGroups": [{"GroupId": "pg-0", "GroupName": "other", "Strategy": "spread"}, GROUP]}


def read(api: Api, *names: str) -> dict[str, dict[str, Any]]:
    return ec2_reader.read(api, names, host_ec2_info.reason)


def denied(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, operation)


def audited(tmp_path: Path, said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The findings of the API's plane, of a tuned c5n.metal."""
    host_trees.write(host_trees.tuned_metal(), tmp_path)
    found = run(str(tmp_path), "4-35", 1024, None, gigantic_pages=2, ec2=said)
    return {row["id"]: row for row in found["findings"] if row["group"] == "ec2"}


def test_a_fleet_is_asked_for_in_few_calls() -> None:
    names = [f"i-{number:03}" for number in range(250)]
    api = Api([instance(name) for name in names])
    said = read(api, *names)
    assert set(said) == set(names) and all(set(each) == PARTS | {"refused"} for each in said.values())
    assert len(api.asked) == 3 + 3 + 1 + 1 + 1 or len(api.asked) <= 12, [
        operation for operation, _question in api.asked
    ]
    assert all(len(question.get("InstanceIds", ())) <= 100 for _operation, question in api.asked)


def test_all_of_the_plane_is_judged_by_what_is_asked(tmp_path: Path) -> None:
    rows = audited(tmp_path, read(Api([instance("i-1")]), "i-1")["i-1"])
    assert {name: row["because"] for name, row in rows.items() if row["verdict"] == "unknown"} == {}
    assert rows["ec2.placement_strategy"]["verdict"] == "ok", "the group is known by its ID alone"
    assert rows["ec2.admin_interface"]["verdict"] == rows["ec2.security_groups"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("operation", "part", "call", "judged"),
    [
        ("describe_placement_groups", "placement_group", "ec2:DescribePlacementGroups", "ec2.placement_strategy"),
        ("describe_instance_status", "status", "ec2:DescribeInstanceStatus", "ec2.scheduled_events"),
        ("describe_security_groups", "security_groups", "ec2:DescribeSecurityGroups", "ec2.security_groups"),
        ("describe_traffic_mirror_sessions", "mirror_sessions", "ec2:DescribeTrafficMirrorSessions", "ec2.mirroring"),
        ("describe_instances", "instance", "ec2:DescribeInstances", "ec2.tenancy"),
    ],
)
def test_a_call_that_is_refused_is_unknown_by_name(
    tmp_path: Path, operation: str, part: str, call: str, judged: str
) -> None:
    said = read(Api([instance("i-1")], {operation: denied(operation)}), "i-1")["i-1"]
    assert part not in said
    row = audited(tmp_path, said)[judged]
    assert row["verdict"] == "unknown" and f"{call} was refused: UnauthorizedOperation" in row["because"], row


def test_one_that_the_api_does_not_know_is_unknown_and_the_others_are_not(tmp_path: Path) -> None:
    said = read(Api([instance("i-1")]), "i-1", "i-2")
    assert set(said["i-1"]) == PARTS | {"refused"}
    rows = audited(tmp_path, said["i-2"])
    judged = {name: row for name, row in rows.items() if row["verdict"] != "not_applicable"}
    assert {row["verdict"] for name, row in judged.items() if name != "ec2.burstable"} == {"unknown"}
    assert "ec2:DescribeInstances knows no i-2" in rows["ec2.tenancy"]["because"]


def test_a_network_without_the_api_is_unknown_and_a_mistake_of_ours_is_raised() -> None:
    dead = EndpointConnectionError(endpoint_url="https://ec2.invalid")
    said = read(Api([instance("i-1")], {"describe_instances": dead}), "i-1")["i-1"]
    assert "https://ec2.invalid" in said["refused"]["instance"]
    with pytest.raises(KeyError):
        read(Api([instance("i-1")], {"describe_instances": KeyError("ours")}), "i-1")
