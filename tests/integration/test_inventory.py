# SPDX-License-Identifier: GPL-3.0-or-later
"""The dynamic inventories against the emulator: a host's groups, and that it comes and goes with its instance."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from local_processes import ROOT, LocalSite, local_site

pytestmark = pytest.mark.integration

IMAGE = "ami-0abcdef1234567890"
EMULATED = "123456789012"
"""The emulator's account."""


@pytest.fixture(scope="module")
def site() -> Iterator[LocalSite]:
    with local_site() as running:
        yield running


@pytest.fixture(scope="module")
def variables(site: LocalSite) -> dict[str, str]:
    """The environment of Ansible's commands."""
    emulated = dict(line.split("=", 1) for line in site.local("env").stdout.split())
    return (
        site.environment()
        | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        | emulated
    )


@pytest.fixture(scope="module")
def ec2(variables: dict[str, str]) -> Any:
    return boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@pytest.fixture
def started(ec2: Any) -> Iterator[list[str]]:
    """The IDs of what a test has started, which is terminated after it."""
    instances: list[str] = []
    yield instances
    if instances:
        ec2.terminate_instances(InstanceIds=instances)


def start(ec2: Any, started: list[str], name: str, environment: str, place: tuple[str, str], **tags: str) -> str:
    """Start an instance with the tags that aws_compute gives it, in a zone and of a type; return its ID."""
    zone, kind = place
    known = {"Name": name, "Project": "trading-engine", "Environment": environment, "Role": "engine", **tags}
    answer = ec2.run_instances(
        ImageId=IMAGE,
        InstanceType=kind,
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": zone},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in known.items()]}
        ],
    )
    started.append(answer["Instances"][0]["InstanceId"])
    return started[-1]


@pytest.fixture(params=["local", "example", "production"])
def inventory(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """An inventory as it is, but with the emulator's account as its own; and the environment that its hosts are of."""
    copy = tmp_path / request.param
    shutil.copytree(ROOT / "inventories" / request.param, copy)
    file = copy / "group_vars/all/ironbook.yml"
    text = file.read_text()
    assert "aws_account_id: " in text
    file.write_text(text.replace("111122223333", EMULATED))
    return copy, request.param


def listed(inventory: Path, variables: dict[str, str]) -> dict[str, Any]:
    """What Ansible makes of the inventory."""
    command = [sys.executable, "-m", "ansible", "inventory", "-i", str(inventory), "--list"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def groups_of(found: dict[str, Any], host: str) -> set[str]:
    """Its groups, but for the one that the plugin puts every host into."""
    return {group for group, content in found.items() if host in content.get("hosts", ())} - {"aws_ec2"}


@pytest.mark.feature("USR-09", by="M")
def test_hosts_are_grouped_by_their_tags_and_come_and_go_with_their_instances(
    inventory: tuple[Path, str], variables: dict[str, str], ec2: Any, started: list[str]
) -> None:
    path, environment = inventory
    assert not listed(path, variables).get("engine_hosts", {}).get("hosts"), "an empty account has none"
    first = {"Shard": "0", "Replica": "0", "EngineRole": "primary", "TuningProfile": "metal"}
    start(ec2, started, "engine-0-0", environment, ("us-east-1a", "c5n.metal"), **first)
    second = {"Shard": "1", "Replica": "1", "EngineRole": "standby", "TuningProfile": "c5n"}
    gone = start(ec2, started, "engine-1-1", environment, ("us-east-1b", "c5n.2xlarge"), **second)
    # Another venue's, and a host of ours that is no engine.
    start(ec2, started, "engine-9-9", "elsewhere", ("us-east-1a", "c5n.metal"), **first)
    start(ec2, started, "bastion", environment, ("us-east-1a", "t3.micro"), Role="bastion")

    found = listed(path, variables)
    assert groups_of(found, "engine-0-0") == {
        "engine_hosts", "engine_primary", "shard_0", "az_us_east_1a", "type_c5n_metal", "tuning_metal",
    }  # fmt: skip
    assert groups_of(found, "engine-1-1") == {
        "engine_hosts", "engine_standby", "shard_1", "az_us_east_1b", "type_c5n_2xlarge", "tuning_c5n",
    }  # fmt: skip
    known = found["_meta"]["hostvars"]
    assert set(known) - {"localhost"} == {"engine-0-0", "engine-1-1"}
    assert known["engine-1-1"]["engine_shard"] == 1
    assert known["engine-1-1"]["ec2_instance_id"] == {"__ansible_unsafe": gone}, "what AWS says is no template"

    ec2.terminate_instances(InstanceIds=[gone])
    found = listed(path, variables)
    assert found["engine_hosts"]["hosts"] == ["engine-0-0"]
    assert not {"shard_1", "az_us_east_1b", "type_c5n_2xlarge", "tuning_c5n"} & set(found)

    start(ec2, started, "engine-1-1", environment, ("us-east-1c", "c5n.metal"), **{**second, "TuningProfile": "metal"})
    found = listed(path, variables)
    assert {"az_us_east_1c", "tuning_metal"} < groups_of(found, "engine-1-1"), "its successor is another instance"


def test_each_profile_has_its_own_plan_and_the_audit_judges_by_it(
    inventory: tuple[Path, str], variables: dict[str, str], ec2: Any, started: list[str]
) -> None:
    path, environment = inventory
    for number, profile in enumerate(("metal", "c5n", "unheard_of")):
        tags = {"Shard": "0", "Replica": str(number), "EngineRole": "standby", "TuningProfile": profile}
        start(ec2, started, f"engine-0-{number}", environment, ("us-east-1a", "c5n.metal"), **tags)
    known = listed(path, variables)["_meta"]["hostvars"]
    if environment == "local":
        assert not [name for host in known.values() for name in host if name.startswith("host_tuning_")]
        return
    # Ansible fills templates in when a play asks for them.
    assert known["engine-0-0"]["host_audit_isolated_cores"] == "{{ host_tuning_isolated_cores }}"
    cores = [known[f"engine-0-{number}"]["host_tuning_isolated_cores"] for number in range(3)]
    assert cores[0] > cores[1] > cores[2] == 0
    assert {host["host_audit_fail_at"] for host in known.values()} == {"high"}
    tuned = listed(path, variables)["tuned_hosts"]["children"]
    assert tuned == ["engine_hosts"]


def test_the_audit_asks_the_api_once_for_the_hosts_of_the_group_that_it_is_run_for(
    variables: dict[str, str], ec2: Any, started: list[str]
) -> None:
    ids = {}
    for number, profile in enumerate(("metal", "metal", "c5n")):
        tags = {"Shard": "0", "Replica": str(number), "EngineRole": "standby", "TuningProfile": profile}
        ids[number] = start(ec2, started, f"engine-0-{number}", "local", ("us-east-1a", "c5n.metal"), **tags)
    done = subprocess.run(
        [
            sys.executable, "-m", "ansible", "playbook", "-v", "-i", "inventories/local",
            "ironbook.trading.audit_hosts", "--limit", "localhost,tuning_metal",
        ],
        cwd=ROOT,
        env=variables | {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_DISPLAY_OK_HOSTS": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (answer,) = [line for line in done.stdout.splitlines() if '"hosts": {"i-' in line]
    hosts = json.loads(answer[answer.index("{") :])["hosts"]
    assert set(hosts) == {ids[0], ids[1]}, "the host of the other profile is not asked for, nor audited"
    assert hosts[ids[0]]["instance"]["InstanceType"] == "c5n.metal"
    report = json.loads((Path(variables["IRONBOOK_STATE"]) / "reports/host_audit.json").read_text())
    assert [machine["names"] for machine in report["machines"]] == [["engine-0-0", "engine-0-1"]]
    rows = [row for row in report["machines"][0]["findings"] if row["group"] == "ec2"]
    assert {row["verdict"] for row in rows} == {"not_applicable"}, "this machine is none of EC2, whatever the tags say"
