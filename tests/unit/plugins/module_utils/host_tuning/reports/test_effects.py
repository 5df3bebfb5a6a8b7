# SPDX-License-Identifier: GPL-3.0-or-later
"""The effect plane: what experiments have measured, told of each tunable of their groups, and of nothing else.

The evidence is made by the functions of host_experiment itself, from documents as the probe writes them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports import report_files
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe import experiment
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe.measurement import summarize
from fixtures import probe_documents
from fixtures.audits import TIME, audit, finding
from markdown_it import MarkdownIt

MEASURED_AT = "2025-12-24 18:00:00 UTC"
FILE = "host_experiment-engine-0-0.json"
# Of the group adapter: two that the tuning sets, one that it only advises on, one that this host cannot have.
SET, ALSO_SET, ADVISED, CANNOT = "adapter.rx_moderation", "adapter.queues", "adapter.driver", "adapter.rx_ring"
OTHER = "memory.swappiness"


def measured(first: int, instance_type: str | None) -> dict[str, Any]:
    """Round trips from `first` ns on, three runs that hardly differ."""
    runs = [probe_documents.pingpong(range(first + run, first + run + 2000)) for run in range(3)]
    return {**summarize(runs, "pingpong", {}), "instance_type": instance_type}


def evidence(
    before: int, after: int, *, host: str = "engine-0-0", kind: str | None = None, at: str = MEASURED_AT
) -> str:
    """What host_experiment writes of the groups adapter, which was tried, and memory, which was left."""
    judged = experiment.judge([measured(before, kind)], [measured(after, kind)])
    tried = {"group": "adapter", "judged": judged, "outcome": "kept" if judged["keep"] else "reverted", "because": ""}
    left = {"group": "memory", "judged": None, "outcome": "left", "because": "the host is tuned so already"}
    return json.dumps(experiment.report([tried, left], host, at))


def audited(**host: Any) -> dict[str, Any]:
    """An audit of the host, with the probe's kernel."""
    rows = [finding(name) for name in (SET, ADVISED, OTHER)]
    rows += [finding(ALSO_SET, "drift"), finding(CANNOT, "not_applicable", live=None, because="no such thing here")]
    return audit(*rows, **{"kernel": probe_documents.head("pingpong")["kernel"], **host})


def files(text: str, **host: Any) -> dict[str, str]:
    made = report_files({"engine-0-0": audited(**host)}, TIME, experiments={FILE: text})["files"]
    assert isinstance(made, dict)
    return made


def rows(made: dict[str, str]) -> dict[str, dict[str, Any]]:
    (machine,) = json.loads(made["host_audit.json"])["machines"]
    return {row["id"]: row for row in machine["findings"]}


def plain(markdown: str) -> str:
    tokens = MarkdownIt("commonmark").parse(markdown)
    return "\n".join("".join(child.content for child in token.children) for token in tokens if token.children)


def test_a_tunable_of_a_group_that_was_tried_has_the_groups_effect() -> None:
    """In all three files: verdict, difference with its interval, when, and that it is the whole group's."""
    made = files(evidence(20_000, 10_000))
    found = rows(made)
    for name in (SET, ALSO_SET):
        effect = found[name]["planes"]["effect"]
        begin = "better, of the whole group adapter, kept: pingpong p50_ns 21.2 µs to 11 µs, −10.2 µs (95 %: −"
        assert effect.startswith(begin), effect
        assert effect.endswith(f"; {MEASURED_AT}")
        assert effect in made["host_audit.html"]
    details = found[SET]["measured"]
    assert [details[name] for name in ("group", "verdict", "outcome", "stale")] == ["adapter", "better", "kept", ""]
    (whole,) = json.loads(made["host_audit.json"])["machines"][0]["effects"]
    figures = {figure["name"]: figure for figure in whole["figures"]}
    assert figures.keys() == {"p50_ns", "p99_ns"}
    assert figures["p50_ns"]["low"] < figures["p50_ns"]["difference"] < figures["p50_ns"]["high"] < 0
    text = plain(made["host_audit.md"])
    assert f"engine-0-0: the whole group adapter, kept {MEASURED_AT}: better. Of {SET}, {ALSO_SET}" in text
    assert "better: pingpong p50_ns 21.2 µs to 11 µs, −10.2 µs (95 %:" in text
    assert f"effect: {found[ALSO_SET]['planes']['effect']}" in text, "and beside what does not hold"
    assert "adapter, before: pingpong round_trip" in made["host_audit.html"], "both distributions"
    assert "adapter, after: pingpong round_trip" in made["host_audit.html"]


def test_what_was_not_measured_has_no_effect() -> None:
    """Neither what the tuning does not set, nor what the host cannot have, nor a group that was left."""
    made = files(evidence(20_000, 10_000))
    found = rows(made)
    for name in (ADVISED, CANNOT, OTHER):
        assert (found[name]["planes"]["effect"], found[name]["measured"]) == (None, None), name
    assert '<h3>Memory <span class="faint">effect not measured</span></h3>' in made["host_audit.html"]
    assert "<h3>Adapter: driver, moderation, queues</h3>" in made["host_audit.html"]
    of_another = rows(files(evidence(20_000, 10_000, host="engine-9-9")))
    assert all(row["measured"] is None for row in of_another.values())


def test_a_group_that_did_no_good_is_told_so() -> None:
    found = rows(files(evidence(10_000, 20_000)))[SET]
    effect = found["planes"]["effect"]
    assert effect.startswith("worse, of the whole group adapter, reverted: pingpong p50_ns 11 µs to 21.2 µs, +10.2 µs")
    unmoved = rows(files(evidence(10_000, 10_000)))[SET]["planes"]["effect"]
    assert unmoved.startswith("no difference, of the whole group adapter, reverted: ")


@pytest.mark.parametrize(
    ("kind", "host", "because"),
    [
        (None, {"kernel": "6.99"}, "measured on kernel 6.1, and this is 6.99"),
        ("c5n.metal", {"instance_type": "c5n.9xlarge"}, "measured on instance type c5n.metal, and this is c5n.9xlarge"),
        ("c5n.metal", {}, "measured on instance type c5n.metal, and this is none"),
        (None, {"instance_type": "c5n.metal"}, "measured on instance type none, and this is c5n.metal"),
    ],
)
def test_evidence_of_another_kernel_or_instance_type_is_stale_and_no_effect(
    kind: str | None, host: dict[str, Any], because: str
) -> None:
    made = files(evidence(20_000, 10_000, kind=kind), **host)
    row = rows(made)[SET]
    assert row["planes"]["effect"] is None
    assert row["measured"]["stale"] == because
    assert f"Effect: stale: {because}; {MEASURED_AT}" in made["host_audit.html"]
    assert '<span class="mark stale">stale</span>' in made["host_audit.html"]
    assert f"stale: {because}" in plain(made["host_audit.md"])
    assert "better, of the whole group" not in "".join(made.values())


def test_evidence_of_the_same_instance_type_counts_and_one_that_names_none_does_not() -> None:
    kind = "c5n.metal"
    assert rows(files(evidence(20_000, 10_000, kind=kind), instance_type=kind))[SET]["planes"]["effect"]
    report = json.loads(evidence(20_000, 10_000))
    for when in ("before", "after"):
        del report["groups"][0]["judged"]["comparisons"][0][when]["instance_type"]
    assert rows(files(json.dumps(report)))[SET]["measured"]["stale"].startswith("measured on instance type one that it")


def test_of_a_machine_with_several_names_the_newest_evidence_counts() -> None:
    audits = {name: audited() for name in ("engine-0-0", "engine-0-1")}
    older = evidence(20_000, 10_000, at="2025-01-01 00:00:00 UTC")
    texts = {"a": evidence(10_000, 20_000, host="engine-0-1"), "b": older}
    for order in (texts, dict(reversed(texts.items()))):
        made = report_files(audits, TIME, experiments=order)["files"]
        assert rows(made)[SET]["measured"]["verdict"] == "worse"


def test_hosts_of_one_state_with_different_effects_share_their_row() -> None:
    audits = {f"engine-0-{number}": audited(boot_id=str(number)) for number in range(9)}
    texts = {str(number): evidence(10_000 + number * 10_000, 20_000, host=f"engine-0-{number}") for number in (0, 1, 2)}
    few = report_files(dict(list(audits.items())[:3]), TIME, experiments=texts)["files"]["host_audit.html"]
    assert "Effect, by host" in few
    assert "engine-0-0: worse, of the whole group" in few and "engine-0-2: better, of the whole group" in few
    many = report_files(audits, TIME, experiments=texts)["files"]["host_audit.html"]
    assert '<a href="#effects">better, no difference, worse</a>' in many
    assert few.count(f'<tbody id="{SET}"') == many.count(f'<tbody id="{SET}"') == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "ironbook.host_experiment", "schema_version": 2}'])
def test_a_file_that_is_no_evidence_is_named_and_the_audit_is_told_all_the_same(text: str) -> None:
    made = files(text)
    assert all(row["measured"] is None for row in rows(made).values())
    line = f"{FILE}: no report of ironbook.host_experiment 1"
    assert line in made["host_audit.html"] and line in plain(made["host_audit.md"])


def test_a_hostile_name_in_the_evidence_stays_text() -> None:
    report = json.loads(evidence(20_000, 10_000))
    report["generated_at"] = "<script>alert('x')</script>"
    assert "<script>alert" not in files(json.dumps(report))["host_audit.html"]
