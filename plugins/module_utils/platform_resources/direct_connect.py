# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kinds of Direct Connect share: names of resources, and tags, which have small letters there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

PARTITIONS = {"us-gov-": "aws-us-gov", "cn-": "aws-cn"}
# Direct Connect has one code for all that a client does wrong: this one is for what other services would say.
NOT_FOUND = ("ResourceNotFoundException",)
ASNS = range(1, 4294967295)  # RFC 6793


def arn(region: str, owner: str, resource: str) -> str:
    """Return the name by which a resource is tagged; a gateway has no region."""
    partition = next((name for beginning, name in PARTITIONS.items() if region.startswith(beginning)), "aws")
    return f"arn:{partition}:directconnect:{region}:{owner}:{resource}"


def pairs(name: str, tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Our tags and the name, as Direct Connect takes them."""
    return [{"key": key, "value": value} for key, value in {**tags, "Name": name}.items()]


def tags_of(listed: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as Direct Connect tells them, as a dictionary."""
    return {pair["key"]: pair.get("value", "") for pair in listed or ()}


def tag(aws: Any, there: Mapping[str, Any], resource: str, tags: Mapping[str, str]) -> None:
    """Set these tags; `there`: how Direct Connect tells of it, `resource`: the last part of its ARN."""
    name = arn(there.get("region", ""), there["ownerAccount"], resource)
    aws.call("tag_resource", resourceArn=name, tags=[{"key": key, "value": value} for key, value in tags.items()])
