# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet: who shares an entry, score and gate, what changed, and the odd host out."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TUNABLES
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports import FORMATS, report_files
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports.fleet import (
    by_tunable,
    fleet_report,
    gate,
    score,
)
from fixtures.audits import TIME, audit, finding


def fleet(count: int, *odd: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Hosts of one kind with one finding, of which the last ones have another."""
    rows = [finding("memory.swappiness", live="10")] * (count - len(odd)) + list(odd)
    return {f"h{number}": audit(row, boot_id=f"b{number}") for number, row in enumerate(rows)}


def test_hosts_that_share_a_machine_share_its_entry() -> None:
    report = fleet_report(
        {"b": audit(finding()), "a": audit(finding()), "c": audit(finding(), boot_id="boot-2")}, "now"
    )
    assert [machine["names"] for machine in report["machines"]] == [["a", "b"], ["c"]]
    assert (report["hosts"], report["counts"]["ok"], report["schema_version"]) == (3, 2, 2)


def test_the_fingerprint_knows_verdicts_and_ignores_time_values_and_counters() -> None:
    base = fleet_report({"a": audit(finding(), finding("memory.ksm"))}, "now")["fingerprint"]
    same = fleet_report({"a": audit(finding("memory.ksm", live="2"), finding())}, "later")["fingerprint"]
    other = fleet_report({"a": audit(finding(), finding("memory.ksm", "drift"))}, "now")["fingerprint"]
    assert base == same != other
    counted = [audit(finding(), finding("network.conntrack", verdict, counter=True)) for verdict in ("ok", "drift")]
    assert counted[0]["fingerprint"] == counted[1]["fingerprint"]


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        ([finding()], 100.0),
        ([finding("cpu.a", "drift", "critical")], 75.0),
        ([finding("cpu.a", "drift", "high"), finding("cpu.b", "harmful", "low")], 91.0),
        ([finding("cpu.a", "not_persisted", "high"), finding("cpu.b", "pending_reboot", "high")], 92.0),
        ([finding("cpu.a", "unknown", "critical")], 93.8),
        ([finding("cpu.a", "waived", "critical"), finding("cpu.b", "not_applicable", "critical")], 100.0),
        ([finding("cpu.a", "drift", "critical", confidence=0.5)], 87.5),
        ([finding(f"cpu.a{number}", "drift", "critical") for number in range(9)], 0.0),
    ],
)
def test_the_score_weighs_severity_confidence_and_verdict(rows: list[dict[str, Any]], points: float) -> None:
    assert score(rows) == points


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        ([finding("cpu.a", "drift", "high"), finding("cpu.b", "ok", "critical")], "passed"),
        ([finding("cpu.a", "not_persisted", "critical"), finding("cpu.b", "unknown", "critical")], "failed"),
        ([finding("cpu.a", "unknown", "critical")], "open"),
        ([finding("cpu.a", "waived", "critical")], "passed"),
    ],
)
def test_the_gate_asks_for_the_critical_ones_alone(rows: list[dict[str, Any]], state: str) -> None:
    assert gate(rows) == state


def test_one_host_that_differs_from_its_kind_is_named() -> None:
    report = fleet_report(fleet(5, finding("memory.swappiness", live="60")), TIME)
    assert report["odd"] == [
        {"names": ["h4"], "id": "memory.swappiness", "verdict": "ok", "live": "60", "others": "10", "count": 4}
    ]


@pytest.mark.parametrize(
    "audits",
    [
        fleet(5),
        fleet(2, finding("memory.swappiness", live="60")),
        fleet(4, *[finding("memory.swappiness", live="60")] * 2),
        fleet(5, finding("memory.swappiness", live="60", counter=True))
        | {
            f"h{number}": audit(finding("memory.swappiness", live="10", counter=True), boot_id=f"b{number}")
            for number in range(4)
        },
        fleet(2) | {"other": audit(finding("memory.swappiness", live="60"), boot_id="o", instance_type="c5n.metal")},
    ],
    ids=["all alike", "two are no kind", "half and half", "a counter", "another kind"],
)
def test_nobody_is_odd_without_a_majority_of_its_kind(audits: dict[str, dict[str, Any]]) -> None:
    assert fleet_report(audits, TIME)["odd"] == []


def test_what_changed_since_the_last_run_is_told_by_host() -> None:
    before = {"a": audit(finding("memory.ksm"), finding("cpu.smt"), finding("cpu.load", counter=True))}
    now = {
        "a": audit(
            finding("memory.ksm", "drift", live="1"),
            finding("cpu.smt", live="00"),
            finding("cpu.load", "drift", counter=True),
        ),
        "new": audit(finding("memory.ksm", "drift"), boot_id="other"),
    }
    stored = report_files(before, TIME)["files"]["host_audit.json"]
    report = json.loads(report_files(now, "2026-01-02 00:00:00 UTC", stored)["files"]["host_audit.json"])
    assert report["since"] == TIME
    assert report["changes"] == [
        {"names": ["a"], "id": "memory.ksm", "was": "ok", "now": "drift", "live_was": "0", "live_now": "1"}
    ]


@pytest.mark.parametrize(
    "before",
    [
        None,
        "",
        "no JSON",
        "[]",
        '{"schema": "ironbook.host_audit", "schema_version": 1}',
        '{"schema": "ironbook.host_audit", "schema_version": 2}',
        '{"schema": "ironbook.host_audit", "schema_version": 2, "machines": [{}]}',
    ],
)
def test_a_stored_report_that_is_none_compares_with_nothing(before: str | None) -> None:
    found = report_files({"a": audit(finding())}, TIME, before)
    assert found["unchanged"] is False and json.loads(found["files"]["host_audit.json"])["changes"] == []


def test_unchanged_is_told_against_the_stored_report() -> None:
    stored = report_files({"a": audit(finding())}, TIME)["files"]["host_audit.json"]
    assert report_files({"a": audit(finding(live="1"))}, TIME, stored)["unchanged"] is True
    assert report_files({"a": audit(finding(verdict="drift"))}, TIME, stored)["unchanged"] is False


def test_what_fails_is_what_does_not_hold_from_the_chosen_severity_on() -> None:
    rows = [
        finding(f"cpu.{verdict}_{severity}", verdict, severity)
        for verdict in ("drift", "unknown", "waived", "ok")
        for severity in ("critical", "high", "medium", "low")
    ]
    failing = [report_files({"a": audit(*rows)}, TIME, None, level)["failing"] for level in ("", "critical", "medium")]
    assert [len(lines) for lines in failing] == [0, 1, 3]
    assert failing[1] == ["a: cpu.drift_critical (critical) is drift: 0, wanted 0"]


def test_what_needs_a_look_comes_first_and_each_state_stands_once() -> None:
    rows = [finding("cpu.a"), finding("cpu.b", "not_applicable"), finding("cpu.c", "drift", "low")]
    audits = {
        f"h{number}": audit(*rows, finding("cpu.d", "ok", "critical"), boot_id=str(number)) for number in range(3)
    }
    audits["h3"] = audit(*rows, finding("cpu.d", "drift", "critical"), boot_id="3")
    ((_title, tunables),) = by_tunable(fleet_report(audits, TIME)["machines"])
    assert [(rows[0]["id"], [row["names"] for row in rows]) for rows in tunables] == [
        ("cpu.d", [["h3"], ["h0", "h1", "h2"]]),
        ("cpu.c", [["h0", "h1", "h2", "h3"]]),
        ("cpu.a", [["h0", "h1", "h2", "h3"]]),
        ("cpu.b", [["h0", "h1", "h2", "h3"]]),
    ]


def test_each_host_is_told_the_fix_with_its_own_interface() -> None:
    names = ("ens5", "eth0", "ens5")
    rows = [finding("adapter.queues", "drift", fix=f"ethtool -L {name} combined 4") for name in names]
    audits = {f"h{number}": audit(row, boot_id=str(number)) for number, row in enumerate(rows)}
    ((_title, (variants,)),) = by_tunable(fleet_report(audits, TIME)["machines"])
    assert [(row["fix"][11:15], row["names"]) for row in variants] == [("ens5", ["h0", "h2"]), ("eth0", ["h1"])]


def test_two_hundred_hosts_that_differ_are_reported_in_time_and_on_a_page_of_five_mib() -> None:
    """Issue: from stored JSON in 60 s at most; here each host has a value of its own in every tunable."""
    audits = {
        f"engine-{number:03}": audit(
            *(
                finding(
                    tunable.id,
                    ("ok", "drift")[number % 2],
                    tunable.severity,
                    live=f"value {number}",
                    title=tunable.title,
                    why=tunable.why,
                    source=tunable.source,
                    path=tunable.live.path,
                    fix=f"put {tunable.id} back",
                )
                for tunable in TUNABLES
            ),
            boot_id=str(number),
        )
        for number in range(200)
    }
    stored = json.dumps(audits)
    began = time.process_time()
    files = report_files(json.loads(stored), TIME)["files"]
    assert time.process_time() - began < 60
    assert files.keys() == FORMATS.keys()
    assert len(files["host_audit.html"].encode()) <= 5 * 1024 * 1024
