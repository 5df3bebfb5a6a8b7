# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emulator was asked is kept as it was asked, in botocore's own form, and without the secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError
from emulated_aws import emulator
from ironbook.emulator.requests import without_secrets

PLACEMENT = {"GroupName": "nobody", "Tenancy": "dedicated"}
VOLUME = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeType": "gp3", "Iops": 4000, "VolumeSize": 100, "Encrypted": True}}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("requests")


@pytest.fixture(scope="module")
def client(directory: Path) -> Iterator[Callable[[str], Any]]:
    with emulator(directory, "--requests-file", str(directory / "requests")) as (_, url):
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        yield lambda service: boto3.client(service, endpoint_url=url, **keys)


@pytest.fixture
def kept(directory: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    file = directory / "requests"
    file.touch()
    yield lambda: [json.loads(line) for line in file.read_text().splitlines()]
    file.unlink()


def test_what_is_refused_is_kept_too_and_without_the_secret(client, kept) -> None:
    """Nobody's placement group: stock moto would not even have looked at the placement."""
    wanted = {
        "ImageId": "ami-0abcdef1234567890",
        "InstanceType": "c5n.metal",
        "MinCount": 1,
        "MaxCount": 1,
        "Placement": PLACEMENT,
        "BlockDeviceMappings": [VOLUME],
    }
    with pytest.raises(ClientError):
        client("ec2").run_instances(UserData="#!/bin/sh\necho hunter2\n", **wanted)
    (request,) = kept()
    assert (request["service"], request["action"]) == ("ec2", "RunInstances")
    told = request["parameters"]
    assert {key: told[key] for key in wanted} == wanted
    assert told["UserData"] == "left out"


TEAM = {"TagSet": [{"Key": "Team", "Value": "devops"}]}


@pytest.mark.parametrize(
    ("asked", "parameters", "told"),
    [
        ("s3 create_bucket", {"Bucket": "kept"}, ...),
        ("s3 put_bucket_tagging", {"Bucket": "kept", "Tagging": TEAM}, ...),
        ("s3 put_object", {"Bucket": "kept", "Key": "a/b", "Body": b"12345"}, {"Body": "5 bytes", "Key": "a/b"}),
        ("kinesis create_stream", {"StreamName": "kept", "ShardCount": 2}, ...),
        ("kinesis put_record", {"StreamName": "kept", "Data": b"123", "PartitionKey": "1"}, {"Data": "3 bytes"}),
        ("secretsmanager create_secret", {"Name": "kept", "SecretString": "hunter2"}, {"SecretString": "left out"}),
    ],
)
def test_each_protocol_is_read(client, kept, asked: str, parameters: dict[str, Any], told: Any) -> None:
    service, call = asked.split()
    getattr(client(service), call)(**parameters)
    (request,) = kept()
    assert request["service"] == service
    assert request["action"] == "".join(word.capitalize() for word in call.split("_"))
    wanted = parameters if told is ... else told
    assert {key: request["parameters"][key] for key in wanted} == wanted
    assert "hunter2" not in json.dumps(request)


def test_what_only_its_name_calls_a_secret_is_left_out() -> None:
    """AWS's own model does not call Redis's password sensitive."""
    service = botocore.session.get_session().get_service_model("elasticache")
    shape = service.operation_model("CreateReplicationGroup").input_shape
    told = without_secrets(shape, {"ReplicationGroupId": "kept", "AuthToken": "hunter2", "Tags": [{"Key": "Team"}]})
    assert told == {"ReplicationGroupId": "kept", "AuthToken": "left out", "Tags": [{"Key": "Team"}]}


def test_nothing_is_kept_where_there_is_no_file(client, directory: Path) -> None:
    client("ec2").describe_vpcs()
    assert not (directory / "requests").exists()
