# SPDX-License-Identifier: GPL-3.0-or-later
"""A part gets what it lacks of its owner's tags, and keeps what else it has."""

from __future__ import annotations

from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.parts import Action, plan

OWNERS = {"nat": {"Team": "t", "Name": "n"}, "i": {"Team": "t", "aws:autoscaling": "x"}}
PARTS = {"eip": "nat", "vol": "i", "eni": "i"}


def test_a_part_without_tags_gets_all_of_its_owner() -> None:
    found = plan(OWNERS, PARTS, {"vol": {"Team": "t"}})
    assert found == [Action("eip", {"Name": "n", "Team": "t"}), Action("eni", {"Team": "t"})]


def test_a_wrong_tag_is_set_and_a_strange_one_is_left_alone() -> None:
    tags = {"eip": {"Team": "u", "Name": "n", "Backup": "daily"}, "vol": {"Team": "t"}, "eni": {"Team": "t"}}
    assert plan(OWNERS, PARTS, tags) == [Action("eip", {"Team": "t"})]


def test_what_is_right_needs_nothing() -> None:
    tags = {"eip": {"Team": "t", "Name": "n", "Backup": "daily"}, "vol": {"Team": "t"}, "eni": {"Team": "t"}}
    assert plan(OWNERS, PARTS, tags) == []
