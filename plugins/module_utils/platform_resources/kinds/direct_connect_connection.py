# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection of Direct Connect: a port of AWS at a location, to which somebody there lays a cable.

It costs from the day on which the cable is laid, or from the ninetieth; so nothing of it is changed by replacing it.
What stands between its order and the cable is done by people: one that is requested counts as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import direct_connect
from ..kind import NEVER, Field, Found, Kind, unchangeable

STATES = ("ordering", "requested", "pending", "available", "down", "unknown")


def listed(aws: Any) -> list[Mapping[str, Any]]:
    """Return those that have not ended; there is no filter."""
    found = aws.pages("describe_connections", "connections")
    return [each for each in found if each["connectionState"] in STATES]


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them by their own names."""
    for each in listed(aws):
        if names is None or each["connectionName"] in names:
            fields = {
                "location": each["location"],
                "bandwidth": each["bandwidth"],
                "provider": each.get("providerName") or None,
            }
            tags = direct_connect.tags_of(each.get("tags"))
            yield Found(each["connectionName"], each["connectionId"], fields, tags)


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Order it."""
    provider = {"providerName": fields["provider"]} if fields["provider"] else {}
    answer = aws.call(
        "create_connection",
        location=fields["location"],
        bandwidth=fields["bandwidth"],
        connectionName=name,
        tags=direct_connect.pairs(name, tags),
        **provider,
    )
    return str(answer["connectionId"])


def delete(aws: Any, found: Found) -> None:
    """Give it back; AWS refuses while an interface is on it."""
    aws.call("delete_connection", connectionId=found.id)


def tag(aws: Any, found: Found, tags: Mapping[str, str]) -> None:
    """Set tags."""
    there = next(each for each in listed(aws) if each["connectionId"] == found.id)
    direct_connect.tag(aws, there, f"dxcon/{found.id}", tags)


KIND = Kind(
    name="direct_connect_connection",
    says="A connection of Direct Connect: a port of AWS at a location.",
    service="directconnect",
    fields=(
        Field("location", "Code of the location, such as V(EqDC2).", change=NEVER, required=True),
        Field("bandwidth", "How much it carries.", change=NEVER, default="10Gbps",
              choices=("1Gbps", "10Gbps", "100Gbps", "400Gbps")),
        Field("provider", "Who lays the cable, where the location has several.", change=NEVER),
    ),
    arn="dxcon/{id}",
    find=find, create=create, update=unchangeable, delete=delete, tag=tag,
    not_found=direct_connect.NOT_FOUND,
    example={"name": "nyse-mahwah", "location": "EqDC2", "bandwidth": "10Gbps"},
)  # fmt: skip
