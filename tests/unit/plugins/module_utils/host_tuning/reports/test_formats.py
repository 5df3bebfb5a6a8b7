# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats for programs, each read by a reader that is not ours."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports import report_files
from fixtures.audits import EVERY_VERDICT, HOSTILE, TIME, WAIVER, audit, finding
from junitparser import Error, Failure, JUnitXml, Skipped
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families
from sarif_pydantic import Sarif


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    audits = {
        "engine-0-0": audit(*EVERY_VERDICT),
        "engine-0-1": audit(*EVERY_VERDICT),
        "engine-1-0": audit(finding("memory.ksm"), boot_id="other"),
    }
    found = report_files(audits, TIME)["files"]
    assert isinstance(found, dict)
    return found


def test_junit_fails_what_does_not_hold_and_passes_nothing_that_is_not_known(files: dict[str, str]) -> None:
    suites = list(JUnitXml.fromstring(files["host_audit.xml"].encode()))
    assert [suite.name for suite in suites] == ["engine-0-0, engine-0-1", "engine-1-0"]
    states = {f"{case.classname} {case.name}": type(case.result[0]) if case.result else None for case in suites[0]}
    assert states == {
        "cpu cpu.smt": Failure,
        "cpu cpu.governor": Failure,
        "memory memory.thp": Failure,
        "memory memory.swappiness": Failure,
        "memory memory.ksm": Skipped,
        "network network.gro": Skipped,
        "irq irq.services": None,
        "clock clock.source": Skipped,
    }
    assert Error not in states.values()
    counts = (suites[0].tests, suites[0].failures, suites[0].errors, suites[0].skipped)
    read = Counter(states.values())
    assert counts == (len(states), read[Failure], 0, read[Skipped])
    failure = next(iter(suites[0])).result[0]
    assert failure.type == "critical" and "<script>alert('x')</script>" in failure.message
    assert "Because of cpu.smt." in failure.text and "set cpu.smt" in failure.text


def test_sarif_has_a_rule_a_tunable_and_a_result_for_each_host_that_needs_a_look(files: dict[str, str]) -> None:
    (run,) = Sarif.model_validate_json(files["host_audit.sarif"]).runs
    rules = [rule.id for rule in run.tool.driver.rules]
    assert len(rules) == len(set(rules)) == len(EVERY_VERDICT)
    raw = json.loads(files["host_audit.sarif"])["runs"][0]["results"]
    assert Counter((result["ruleId"], result["kind"], result["level"]) for result in raw) == {
        ("cpu.smt", "fail", "error"): 2,
        ("cpu.governor", "fail", "warning"): 2,
        ("memory.thp", "fail", "error"): 2,
        ("memory.swappiness", "fail", "note"): 2,
        ("memory.ksm", "open", "none"): 2,
        ("network.gro", "fail", "error"): 2,
    }
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in raw)
    prints = [result["partialFingerprints"]["hostTunable/v1"] for result in raw]
    assert len(set(prints)) == len(prints)
    (suppressed, _other) = [result for result in raw if "suppressions" in result]
    assert suppressed["ruleId"] == "network.gro" and WAIVER["owner"] in suppressed["suppressions"][0]["justification"]
    place = raw[0]["locations"][0]["logicalLocations"][0]
    assert place["fullyQualifiedName"] == "engine-0-0//sys/cpu.smt"


def test_prometheus_reads_counts_gates_and_what_does_not_hold(files: dict[str, str]) -> None:
    families = {family.name: family.samples for family in text_string_to_metric_families(files["host_audit.prom"])}
    assert families["ironbook_host_audit_timestamp_seconds"][0].value == 1767225600  # date -u -d 2026-01-01 +%s
    gates = {s.labels["host"]: s.value for s in families["ironbook_host_audit_gate_passed"]}
    assert gates == {"engine-0-0": 0, "engine-0-1": 0, "engine-1-0": 1}
    found = {(s.labels["host"], s.labels["id"], s.labels["verdict"]) for s in families["ironbook_host_audit_finding"]}
    wrong = [row for row in EVERY_VERDICT if row["verdict"] in ("drift", "harmful", "pending_reboot", "not_persisted")]
    assert found == {(f"engine-0-{n}", row["id"], row["verdict"]) for n in (0, 1) for row in wrong}
    counted = {
        s.labels["verdict"]: s.value
        for s in families["ironbook_host_audit_findings"]
        if s.labels["host"] == "engine-0-1"
    }
    assert set(counted.values()) == {1} and len(counted) == len(EVERY_VERDICT)


def test_markdown_renders_and_a_host_adds_no_markup_of_its_own(files: dict[str, str]) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(files["host_audit.md"])
    inline = [child for token in tokens for child in token.children or ()]
    assert not any(token.type.startswith("html") for token in [*tokens, *inline])
    assert not any(token.type in ("code_inline", "link_open", "image") for token in inline)
    text = "".join(child.content for child in inline)
    assert "<script>alert('x')</script>" in text and "`tick`" in text
    assert sum(token.type == "tr_open" for token in tokens) == 3  # its head, and two machines
    for words in ("set cpu.smt", "needs a reboot", "waived by desk-3", "no permission"):
        assert words in text


TRICKS = "a\r- item\x85# head [click](https://elsewhere.example) {0}"


def test_what_a_host_says_is_no_markup_in_any_format() -> None:
    """Files are read without carriage returns; names and the API's answers are not."""
    rows = finding(live=TRICKS, because=TRICKS, fix=TRICKS, verdict="drift")
    found = report_files({f"engine {TRICKS}": audit(rows, instance_type=TRICKS)}, TIME)["files"]
    tokens = MarkdownIt("commonmark").enable("table").parse(found["host_audit.md"])
    lists = [token.level for token in tokens if token.type == "list_item_open"]
    assert len(lists) == 3, "the finding, its reason and its fix"
    assert sum(token.type == "heading_open" for token in tokens) == 2
    (result,) = json.loads(found["host_audit.sarif"])["runs"][0]["results"]
    assert "](" not in result["message"]["text"]
    assert "{0}" not in result["message"]["text"].replace("{{0}}", "")


def test_no_file_loses_a_host(files: dict[str, str]) -> None:
    assert all("engine-0-1" in content for content in files.values())
    assert [name for name, content in files.items() if "engine-1-0" not in content] == ["host_audit.sarif"]  # all is ok
    assert "\x00" not in files["host_audit.xml"] and HOSTILE not in files["host_audit.html"]
    assert files["host_audit.prom"].endswith("\n")
