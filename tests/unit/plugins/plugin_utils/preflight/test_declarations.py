# SPDX-License-Identifier: GPL-3.0-or-later
"""The declarations of the roles, and what is beyond their limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import declarations

ROOT = Path(__file__).resolve().parents[5]


@pytest.mark.parametrize(
    ("value", "limits"),
    [
        (1, {"minimum": 1}),
        (5, {"maximum": 5}),
        ("gp3", {"pattern": "gp[23]"}),
        ("10.0.0.0/16", {"format": "cidr"}),
        ("203.0.113.10", {"format": "public_ip"}),
        (["10.0.0.0/24", "10.0.1.0/24"], {"items": {"format": "cidr"}}),
        ([], {"items": {"minimum": 1}}),
        ({"orders": 1}, {"options": {"orders": {"minimum": 1}, "events": {"minimum": 1}}}),
    ],
)
def test_within_the_limits(value: Any, limits: dict[str, Any]) -> None:
    assert declarations.beyond_limits(value, limits) == []


@pytest.mark.parametrize(
    ("value", "limits", "complaint"),
    [
        (0, {"minimum": 1, "maximum": 3}, "is 0; the least is 1"),
        (4, {"minimum": 1, "maximum": 3}, "is 4; the most is 3"),
        ("gp33", {"pattern": "gp[23]"}, "is 'gp33'; it has to match gp[23]"),
        ("10.0.0.1/16", {"format": "cidr"}, "is '10.0.0.1/16'; a network such as 10.0.0.0/16 is wanted"),
        ("10.0.0.0", {"format": "cidr"}, "is '10.0.0.0'; a network such as"),
        ("10.0.0.1", {"format": "public_ip"}, "is '10.0.0.1'; an IPv4 address that the internet knows is wanted"),
        ([1, 9], {"items": {"maximum": 5}}, "has an item that is 9; the most is 5"),
        ({"orders": 0}, {"options": {"orders": {"minimum": 1}}}, "has the key orders, which is 0; the least is 1"),
    ],
)
def test_beyond_the_limits(value: Any, limits: dict[str, Any], complaint: str) -> None:
    (line,) = declarations.beyond_limits(value, limits)
    assert line.startswith(complaint)


def test_the_union_of_the_roles_is_read() -> None:
    declared = declarations.read(ROOT)
    assert declared.specs["aws_streams_shard_count"]["type"] == "int"
    assert declared.specs["aws_account_id"]["required"] is True
    assert declared.limits["aws_streams_shard_count"] == {"minimum": 1, "maximum": 500}


def test_limits_are_of_declared_variables_and_of_known_kinds() -> None:
    declared = declarations.read(ROOT)
    for name, limits in declared.limits.items():
        assert name in declared.specs
        assert set(limits) <= set(declarations.LIMITS), name
        assert set(limits.get("options", {})) <= set(declared.specs[name].get("options", {})), name


def test_roles_declare_the_variables_of_their_limits_themselves() -> None:
    for path in sorted(ROOT.glob("roles/*/meta/limits.yml")):
        role = path.parts[-3]
        own = declarations.read(ROOT, role)
        assert set(yaml.safe_load(path.read_text())) <= set(own.specs), role


def test_a_key_that_was_left_out_breaks_nothing() -> None:
    """Behind an argument spec it is there, as None."""
    limits = {
        "items": {"options": {"lot": {"minimum": 1}, "at": {"pattern": "x"}, "of": {"options": {"a": {"minimum": 1}}}}}
    }
    assert declarations.beyond_limits([{"lot": None, "at": None, "of": None}, {}], limits) == []
    (line,) = declarations.beyond_limits([{"lot": 0, "at": None, "of": {"a": None}}], limits)
    assert line == "has an item that has the key lot, which is 0; the least is 1"
