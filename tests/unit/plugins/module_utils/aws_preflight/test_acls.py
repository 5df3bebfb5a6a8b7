# SPDX-License-Identifier: GPL-3.0-or-later
"""The most rules that a network ACL takes: the last that fits, and the first that does not."""

from __future__ import annotations

from typing import Any

from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight.acls import problems


def acl(ingress: int, egress: int = 0) -> dict[str, Any]:
    """One with so many rules of ours; all but two are for 10.9.0.0/16."""
    rules = {str(100 + number): f"allow tcp {number + 1} 10.9.0.0/16" for number in range(ingress)}
    rules |= {"100": "deny all 10.1.0.0/16", "101": "allow all 0.0.0.0/0"} if ingress > 1 else {}
    return {"name": "data", "ingress": rules, "egress": {str(n): "allow all 10.2.0.0/16" for n in range(egress)}}


OURS = {"ours": ["10.9.0.0/16", "10.9.0.0/16"], "others": ["10.1.0.0/16"], "nobodys": ["10.3.0.0/16"]}


def test_the_last_rule_of_aws_counts() -> None:
    assert list(problems([acl(19, 19)], OURS, 20)) == []
    (line,) = problems([acl(20, 19)], OURS, 20)
    assert line.startswith("the network ACL data would have 21 rules of ingress, AWS's own last one among them, and ")
    assert "AWS takes 20 (aws_network_acl_quota). The rules are for ours 18, others 1. Put networks together" in line


def test_each_direction_is_a_line_and_a_raised_quota_is_enough() -> None:
    lines = list(problems([acl(3), acl(20, 25)], OURS, 20))
    assert ["21 rules of ingress" in lines[0], "26 rules of egress" in lines[1], len(lines)] == [True, True, 2]
    assert list(problems([acl(39, 39)], OURS, 40)) == []
