# SPDX-License-Identifier: GPL-3.0-or-later
"""Who accepted which difference, until when; and that an expired waiver is none."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.waivers import waive, waivers_for

TODAY = datetime.date(2026, 6, 30)
ENTRY = {
    "id": "kernel.audit",
    "host": "engine-0-*",
    "owner": "compliance",
    "reason": "asked for until the review",
    "expires": "2026-06-30",
}


def finding(verdict: str = "drift", name: str = "kernel.audit", because: str = "") -> dict[str, Any]:
    return {"id": name, "verdict": verdict, "because": because, "waiver": None}


@pytest.mark.parametrize("verdict", ["drift", "harmful", "not_persisted", "pending_reboot"])
def test_a_difference_is_accepted_until_the_last_day(verdict: str) -> None:
    found = waive(finding(verdict, because="1 of 2: x"), waivers_for([ENTRY], "engine-0-1", TODAY))
    assert found["verdict"] == "waived"
    assert found["waiver"] == {
        "owner": "compliance",
        "expires": "2026-06-30",
        "reason": "asked for until the review",
    }
    assert "compliance accepts" in found["because"] and found["because"].endswith("1 of 2: x")


def test_the_day_after_it_is_none_and_is_named() -> None:
    tomorrow = TODAY + datetime.timedelta(days=1)
    found = waive(finding(), waivers_for([ENTRY], "engine-0-1", tomorrow))
    assert found["verdict"] == "drift" and found["waiver"] is None
    assert found["because"] == "the waiver of compliance expired on 2026-06-30"


def test_of_two_the_later_one_counts() -> None:
    entries = [ENTRY, {**ENTRY, "expires": "2026-12-31", "owner": "risk"}]
    assert waive(finding(), waivers_for(entries, "engine-0-1", TODAY))["waiver"]["owner"] == "risk"


@pytest.mark.parametrize(
    ("host", "found"),
    [("engine-1-0", finding()), ("engine-0-1", finding(name="cpu.smt"))],
    ids=["another host", "another tunable"],
)
def test_it_is_for_its_host_and_its_tunable_alone(host: str, found: dict[str, Any]) -> None:
    assert waive(found, waivers_for([ENTRY], host, TODAY)) == found


@pytest.mark.parametrize("verdict", ["unknown", "ok", "not_applicable"])
def test_what_is_not_known_or_right_cannot_be_accepted(verdict: str) -> None:
    found = finding(verdict)
    assert waive(found, waivers_for([ENTRY], "engine-0-1", TODAY)) == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"owner": ""}, "waiver 1: no owner: a waiver has id, host, owner, reason, expires"),
        ({"expires": None}, "waiver 1: no expires"),
        ({"expires": "soon"}, "expires 'soon' is no date such as 2026-12-31"),
        ({"id": "cpu.smtt"}, r"waiver 1 \(cpu.smtt\): the catalogue has no tunable of this name"),
        ({"until": "x"}, "until is no field of a waiver"),
    ],
)
def test_what_is_no_waiver_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        waivers_for([{**ENTRY, **changes}], "engine-0-1", TODAY)
    assert "\n" not in str(refused.value)
