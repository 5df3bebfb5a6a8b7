# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection of Direct Connect, read back from the emulator over HTTP; nothing of it is ever changed."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import direct_connect
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import (
    direct_connect_connection as kind,
)
from platform_resources import TAGS, Case, Client, Recorder, converge, first, told

PORT = {"location": "EqDC2", "bandwidth": "10Gbps"}


def untag(client: Client, connection: str) -> None:
    """Somebody takes a tag off."""
    name = direct_connect.arn("us-east-1", "123456789012", f"dxcon/{connection}")
    client("directconnect").untag_resource(resourceArn=name, tagKeys=["Compliance"])


CASE = Case(
    variants=(PORT,),
    drifts=(
        untag,
        lambda client, connection: client("directconnect").delete_connection(connectionId=connection),
    ),
)


@pytest.mark.slow
@pytest.mark.feature("HYB-05", by="M", part="a connection", repaired="direct_connect")
def test_it_is_read_back_over_http(served: Client) -> None:
    recorder = Recorder(served)
    wanted = {"name": "nyse-mahwah", **PORT, "provider": "Example Carrier"}
    identifier = first(recorder, {"direct_connect_connections": [wanted]})
    (asked,) = [parameters for name, parameters in recorder.calls if name == "create_connection"]
    assert (asked["location"], asked["bandwidth"], asked["providerName"]) == ("EqDC2", "10Gbps", "Example Carrier")
    (there,) = served("directconnect").describe_connections(connectionId=identifier)["connections"]
    assert (there["connectionName"], there["location"], there["bandwidth"]) == ("nyse-mahwah", "EqDC2", "10Gbps")
    assert {tag["key"]: tag["value"] for tag in there["tags"]} == {**TAGS, "Name": "nyse-mahwah"}
    other = converge(served, {"direct_connect_connections": [{**wanted, "bandwidth": "100Gbps"}]})
    assert (other.done, other.problems) == (
        [],
        [
            "direct_connect_connection nyse-mahwah: bandwidth is 10Gbps and cannot become 100Gbps: give the new one "
            "another name, or remove this one (state: absent) first"
        ],
    )
    gone = converge(served, {"direct_connect_connections": [{"name": "nyse-mahwah", "state": "absent"}]})
    assert (told(gone), gone.problems) == (["delete direct_connect_connection nyse-mahwah"], [])


def test_one_that_waits_for_its_cable_counts_as_there() -> None:
    """Else a run would wait for people who lay cables."""

    class Aws:
        @staticmethod
        def pages(_operation: str, _key: str) -> list[dict[str, str]]:
            common = {"location": "EqDC2", "bandwidth": "1Gbps"}
            return [
                {**common, "connectionName": state, "connectionId": state, "connectionState": state}
                for state in ("requested", "pending", "available", "down", "deleting", "deleted", "rejected")
            ]

    found = list(kind.find(Aws, None))
    assert [(each.name, each.state) for each in found] == [
        (state, "ready") for state in ("requested", "pending", "available", "down")
    ]


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("", "aws")],
)
def test_the_name_that_tags_hang_on(region: str, partition: str) -> None:
    assert direct_connect.arn(region, "1", "dxcon/a") == f"arn:{partition}:directconnect:{region}:1:dxcon/a"
