# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet, and its page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.audit import VERDICTS, fingerprint
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.html import render
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.report import by_group, fleet_report

VOID = {"meta", "input", "col", "br"}


def finding(
    name: str = "cpu.smt", verdict: str = "ok", severity: str = "high", live: str = "0", **changes: Any
) -> dict[str, Any]:
    return {
        "id": name,
        "group": name.partition(".")[0],
        "title": f"Title of {name}",
        "severity": severity,
        "verdict": verdict,
        "path": f"/sys/{name}",
        "tolerance": "exact",
        "planes": {"desired": "0", "persisted": None, "boot": None, "live": live, "effect": None},
        "because": "",
        "why": "Because.",
        "source": "tuned",
        "counter": False,
        **changes,
    }


def audit(*findings: dict[str, Any], boot_id: str = "boot-1") -> dict[str, Any]:
    verdicts = [row["verdict"] for row in findings]
    return {
        "schema_version": 2,
        "host": {
            "name": "vm",
            "kernel": "6.1",
            "architecture": "x86_64",
            "cpu_model": "x",
            "cpus": "0-1",
            "numa_nodes": 1,
            "memory_mib": 1,
            "virtual": True,
            "instance_type": None,
            "boot_id": boot_id,
            "interfaces": [],
            "isolated_cpus": "",
            "housekeeping_cpus": "0-1",
            "huge_pages": 0,
        },
        "counts": {verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "fingerprint": fingerprint(findings),
        "findings": list(findings),
    }


def test_hosts_that_share_a_machine_share_its_section() -> None:
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


def test_what_needs_a_look_comes_first() -> None:
    rows = [
        finding("cpu.a"),
        finding("cpu.b", "not_applicable"),
        finding("cpu.c", "drift", "low"),
        finding("cpu.d", "drift", "critical"),
        finding("cpu.e", "unknown"),
    ]
    assert [row["id"] for row in by_group(rows)[0][1]] == ["cpu.d", "cpu.c", "cpu.e", "cpu.a", "cpu.b"]


class Page(HTMLParser):
    """Follows the tags, and collects what would be fetched and what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page() -> Page:
    it = Page()
    hostile = "<script>alert('x')</script> & \"quoted\""
    rows = (
        finding("cpu.smt", "drift", live=hostile, because=hostile),
        finding("memory.ksm", "unknown"),
        finding("irq.services"),
    )
    it.feed(render(fleet_report({"engine-0-0": audit(*rows)}, "2026-01-01 00:00:00 UTC")))
    it.close()
    return it


def test_the_page_is_whole_and_fetches_nothing(page: Page) -> None:
    assert page.open == []
    assert all(link.startswith("#") for link in page.links) and page.links
    assert "http" not in page.text and "url(" not in page.text and "@import" not in page.text


def test_the_page_shows_every_finding_and_escapes_what_a_host_says(page: Page) -> None:
    for words in ("cpu.smt", "memory.ksm", "irq.services", "engine-0-0", "2026-01-01 00:00:00 UTC"):
        assert words in page.text
    assert "<script>alert('x')</script>" in page.text  # as text, and not as a tag
