# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift is what provision would do, what lacks its tags and what the verification says."""

from __future__ import annotations

from ansible_collections.ironbook.trading.plugins.action.platform_drift import drift


def test_every_kind_of_drift_has_its_line_and_none_is_no_drift() -> None:
    unmarked = [{"kind": "subnet", "id": "subnet-1", "name": "a", "reason": "it lies in the VPC a"}]
    assert drift(["~ kms_key a"], unmarked, ["s3 bucket b is not versioned"]) == [
        "~ kms_key a",
        "subnet subnet-1 lacks the tags that say whose it is: it lies in the VPC a",
        "s3 bucket b is not versioned",
    ]
    assert drift([], [], []) == []
