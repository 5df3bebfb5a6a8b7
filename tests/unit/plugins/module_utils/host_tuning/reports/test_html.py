# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: whole, alone, and hostile values stay text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports.fleet import fleet_report
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports.histogram import duration, histogram
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports.html import render
from fixtures.audits import EVERY_VERDICT, TIME, audit, finding

VOID = {"meta", "input", "col", "br"}


class Page(HTMLParser):
    """Follows the tags, and collects what would be fetched, what is a target, and what is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.targets: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        self.targets += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "line"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page() -> Page:
    before = fleet_report({"engine-0-0": audit(finding("cpu.smt"))}, "2025-12-31 00:00:00 UTC")
    audits = {"engine-0-0": audit(*EVERY_VERDICT)}
    for number in range(3):
        row = finding("irq.services", live=str(number == 2))
        audits[f"engine-1-{number}"] = audit(row, boot_id=str(number), instance_type="c5n.metal")
    return Page(render(fleet_report(audits, TIME, before)))


MEASURED = {"count": 1005, "max_ns": 17_900, "buckets": [[200, 1000], [1500, 4], [18_000, 1]]}


def test_the_page_is_whole_and_fetches_nothing(page: Page) -> None:
    assert page.open == []
    assert all(link.startswith("#") for link in page.links) and page.links
    assert "http" not in page.text and "url(" not in page.text and "@import" not in page.text
    assert len(page.targets) == len(set(page.targets))
    assert {link[1:] for link in page.links} <= set(page.targets)


def test_the_page_shows_every_finding_and_escapes_what_a_host_says(page: Page) -> None:
    for row in EVERY_VERDICT:
        assert row["id"] in page.text and row["title"] in page.text
    for words in ("engine-0-0", TIME, "Because of cpu.smt.", "set cpu.smt", "tuned"):
        assert words in page.text
    assert "<script>alert('x')</script>" in page.text  # as text, and not as a tag


def test_the_page_tells_planes_waiver_change_and_odd_host(page: Page) -> None:
    for words in (
        "this boot: always",
        "next boot: never (/etc/default/grub.d/90-ironbook.cfg)",
        "Then reboot.",
        "waived by desk-3 until 2027-01-31: measured without gain",
        "Changed since 2025-12-31 00:00:00 UTC",
        "The odd host out",
        "2 have False",
    ):
        assert words in page.text, words


def test_what_weighs_most_stands_first_and_what_cannot_be_is_folded() -> None:
    wrong = {"cpu.smt": "low", "irq.services": "high", "memory.swappiness": "critical"}
    rows = [finding(name, severity=severity, verdict="drift") for name, severity in wrong.items()]
    audits = {"engine-0-0": audit(*rows, finding("clock.source", verdict="not_applicable"))}
    text = render(fleet_report(audits, TIME))
    first = text[text.index("First: critical or high") : text.index("How the score is made")]
    assert re.findall(r'href="#([\w.]+)"', first) == ["memory.swappiness", "irq.services"]
    boxes = dict(re.findall(r'<input type="checkbox" value="(\w+)"( checked)?>', text))
    assert boxes == {"drift": " checked", "not_applicable": ""}


def test_of_many_hosts_the_worst_stand_first() -> None:
    """The gate before the score, and hosts of one score by their names."""
    states = {"b": ("ok", "low"), "a": ("ok", "low"), "c": ("drift", "high"), "d": ("drift", "critical")}
    states["e"] = ("unknown", "critical")
    audits = {name: audit(finding("cpu.smt", *state), boot_id=name) for name, state in states.items()}
    table = render(fleet_report(audits, TIME)).partition("Score</th>")[2].partition("</table>")[0]
    assert re.findall(r"<tr><td>(\w)</td>", table) == ["d", "e", "c", "a", "b"]


def test_a_bar_stands_for_each_filled_part_of_the_scale() -> None:
    drawn = histogram("x", MEASURED)
    assert drawn.count("<rect") == 3 and "<title>1000</title>" in drawn
    assert "p50 200 ns, p99 200 ns, p99.9 1.5 µs; longest 17.9 µs" in drawn
    assert "nothing was counted" in histogram("x", {"count": 0, "max_ns": 0, "buckets": []})
    assert [duration(time_ns) for time_ns in (0, 999, 1000, 2_500_000, 3_000_000_000)] == [
        "0 ns", "999 ns", "1 µs", "2.5 ms", "3 s",
    ]  # fmt: skip
