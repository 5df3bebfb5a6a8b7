# SPDX-License-Identifier: GPL-3.0-or-later
"""A dedicated host, read back from the emulator over HTTP; its zone and its type are for good."""

from __future__ import annotations

from typing import Any

import pytest
from platform_resources import TAGS, Case, Client, Recorder, converge, first, told

HOST = {"zone": "us-east-1a", "instance_type": "c5n.metal"}
CASE = Case(
    variants=(HOST, {**HOST, "auto_placement": True}, {**HOST, "recovery": True}),
    drifts=(
        lambda client, host: client("ec2").release_hosts(HostIds=[host]),
        lambda client, host: client("ec2").modify_hosts(HostIds=[host], AutoPlacement="on", HostRecovery="on"),
        lambda client, host: client("ec2").modify_hosts(HostIds=[host], AutoPlacement="off"),
        lambda client, host: client("ec2").delete_tags(Resources=[host], Tags=[{"Key": "Compliance"}]),
    ),
)


def host(client: Client, identifier: str) -> dict[str, Any]:
    (there,) = client("ec2").describe_hosts(HostIds=[identifier])["Hosts"]
    return there


@pytest.mark.slow
@pytest.mark.feature(
    "HFT-06", by="Stub", part="a dedicated host, asked for and read back; no instance is launched on it"
)
def test_it_is_read_back_over_http(served: Client) -> None:
    recorder = Recorder(served)
    identifier = first(recorder, {"dedicated_hosts": [{"name": "engine-a", **HOST, "recovery": True}]})
    (asked,) = [parameters for name, parameters in recorder.calls if name == "allocate_hosts"]
    assert (asked["Quantity"], asked["InstanceType"], asked["AutoPlacement"]) == (1, "c5n.metal", "off")
    there = host(served, identifier)
    assert (there["AvailabilityZone"], there["HostProperties"]["InstanceType"]) == ("us-east-1a", "c5n.metal")
    assert (there["AutoPlacement"], there["HostRecovery"], there["State"]) == ("off", "on", "available")
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "engine-a"}
    outcome = converge(served, {"dedicated_hosts": [{"name": "engine-a", "state": "absent"}]})
    assert (told(outcome), outcome.problems) == (["delete dedicated_host engine-a"], [])
    assert host(served, identifier)["State"] == "released"


@pytest.mark.parametrize(("name", "other"), [("zone", "us-east-1b"), ("instance_type", "m5n.metal")])
def test_what_runs_on_it_is_not_ended_by_a_change(moto: Client, name: str, other: str) -> None:
    first(moto, {"dedicated_hosts": [{"name": f"never-{name}", **HOST}]})
    outcome = converge(moto, {"dedicated_hosts": [{"name": f"never-{name}", **HOST, name: other}]})
    assert outcome.problems == [
        f"dedicated_host never-{name}: {name} is {HOST[name]} and cannot become {other}: "
        "give the new one another name, or remove this one (state: absent) first"
    ]
    assert outcome.done == []
