# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs of the probe come to: figures, causes, and what is no document; the command lines, and the reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe import experiment, mesh, service
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe.measurement import summarize
from fixtures import probe_documents


def round_trips(base: int, repeats: int = 3) -> dict[str, Any]:
    runs = [probe_documents.pingpong(range(base + run, base + run + 4000, 2)) for run in range(repeats)]
    return summarize(runs, "pingpong", {"seconds": 1})


def test_round_trips_have_a_figure_a_run_and_a_histogram_to_draw() -> None:
    made = round_trips(10000)
    assert json.loads(json.dumps(made)) == made
    p50 = made["metrics"]["p50_ns"]
    assert len(p50["values"]) == 3 and all(12000 <= value <= 12200 for value in p50["values"])
    assert p50["low"] <= p50["mean"] <= p50["high"] and p50["resolution"] == 128
    drawn = made["series"]["round_trip"]
    assert drawn["histogram"]["count"] == 6000 and all(len(bucket) == 2 for bucket in drawn["histogram"]["buckets"])
    assert drawn["cold"]["count"] == 3 and drawn["quantiles"]["p999_ns"]["value"] is None  # six samples beyond it


def test_what_was_lost_or_never_sent_is_no_good_time() -> None:
    runs = [probe_documents.pingpong(range(10000, 11000), lost=15, unsent=5) for _ in range(3)]
    made = summarize(runs, "pingpong", {})
    assert made["metrics"]["p99_ns"]["values"] == [None] * 3 and made["metrics"]["p99_ns"]["mean"] is None
    assert made["metrics"]["p50_ns"]["mean"] is not None


def test_wakes_have_figures_of_their_own() -> None:
    made = summarize([probe_documents.wake(range(2000, 5000))] * 3, "wake", {})
    assert set(made["metrics"]) == {f"{way}_{q}" for way in ("timer", "eventfd", "futex") for q in ("p50_ns", "p99_ns")}


def test_noise_is_what_is_lost_and_how_often() -> None:
    made = summarize([probe_documents.noise([1000] * 250)] * 3, "noise", {})
    assert made["metrics"]["lost_ppm"]["values"] == [250.0] * 3
    assert made["metrics"]["gaps_per_second"]["values"] == [250.0] * 3
    assert made["metrics"]["lost_ppm"]["resolution"] == pytest.approx(2.5)  # each gap is known to a step of 10 ns


def test_causes_come_in_the_order_of_how_often_and_the_rest_is_nobodys() -> None:
    runs = [
        probe_documents.noise(
            [1000] * 300, interrupts={"LOC": 100, "24 eth0": 20}, softirqs=None, involuntary_switches=30, wait_ns=7
        )
    ] * 3
    found = summarize(runs, "noise", {})["causes"]["cpu2"]
    assert [(row["what"], row["count"]) for row in found["counted"]] == [
        ("interrupts: LOC", 300),
        ("context switches: involuntary", 90),
        ("interrupts: 24 eth0", 60),
    ]
    assert found["unexplained"] == 900 - 450 and found["waited_ns"] == 21
    assert found["unknown"] == ["SMI", "softirqs"], "what cannot be read is not quiet"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "build it anew"),
        ({"mode": "wake"}, "mode wake"),
        ({"histogram": None}, "histogram"),
        ({"cold": {}}, "histogram"),
    ],
)
def test_what_is_no_document_is_refused(change: dict[str, Any], words: str) -> None:
    runs = [probe_documents.pingpong(range(10000, 11000)) for _ in range(3)]
    with pytest.raises(ValueError, match=words):
        summarize([*runs[:2], runs[2] | change], "pingpong", {})


def test_a_document_that_lacks_something_is_refused() -> None:
    runs = [probe_documents.pingpong(range(10000, 11000)) for _ in range(3)]
    del runs[1]["lost"]
    with pytest.raises(ValueError, match="lacks something: KeyError\\('lost'\\)"):
        summarize(runs, "pingpong", {})


def test_two_runs_are_not_enough() -> None:
    with pytest.raises(ValueError, match="3 are the least"):
        round_trips(10000, 2)


# ---- the commands ----


def test_the_probe_is_run_so_often_with_what_was_given_and_nothing_else() -> None:
    seen: list[Sequence[str]] = []

    def runner(words: Sequence[str]) -> tuple[int, str, str]:
        seen.append(words)
        return 0, json.dumps(probe_documents.noise([900])), ""

    options = {"cpus": "2", "threshold_ns": None, "clock": "auto", "peer": None}
    made = service.measure(runner, "/opt/probe", service.Asked("noise", 2, 3, options))
    assert seen == [["/opt/probe", "noise", "--seconds", "2", "--cpus", "2", "--clock", "auto"]] * 3
    assert made["settings"] == {"seconds": 2, "cpus": "2", "clock": "auto"} and made["repeats"] == 3


@pytest.mark.parametrize(
    ("answer", "options", "words"),
    [
        ((1, "", "ironbook-probe: no such CPU\n"), {}, "ironbook-probe: no such CPU"),
        ((127, "", ""), {}, "/opt/probe ended with status 127"),
        ((0, "hello", ""), {}, "printed no JSON"),
        ((0, "{}", ""), {}, "no document of version 1"),
        ((0, "{}", ""), {"peer": "10.0.0.1"}, "peer: the mode noise takes cpus, threshold_ns"),
    ],
)
def test_what_went_wrong_is_one_line(answer: tuple[int, str, str], options: dict[str, Any], words: str) -> None:
    with pytest.raises(service.ProbeError) as raised:
        service.measure(lambda _words: answer, "/opt/probe", service.Asked("noise", 1, 3, options))
    assert words in str(raised.value) and "\n" not in str(raised.value)


# ---- the reports ----


def row(caller: str, echo: str, base: int, **more: Any) -> dict[str, Any]:
    return {"from": caller, "to": echo, "protocol": "udp", "busy_poll_us": 0, "measurement": round_trips(base)} | more


def test_a_mesh_has_a_matrix_and_a_table_and_is_held_against_an_earlier_one() -> None:
    first = mesh.report([row("a", "b", 10000), row("a", "b", 9000, busy_poll_us=50)], "then")
    assert first["matrix"]["udp"]["a"]["b"]["p50_ns"] == pytest.approx(12000, rel=0.02)
    assert set(first["matrix"]) == {"udp", "udp, busy poll 50 us"} and first["hosts"] == ["a", "b"]
    assert [each["compared"] for each in first["rows"]] == [None, None]
    second = mesh.report([row("a", "b", 30000), row("b", "c", 9000)], "now", first)
    assert second["rows"][0]["compared"]["verdict"] == "worse" and second["rows"][1]["compared"] is None
    # Both distributions, and not one number.
    assert second["rows"][0]["compared"]["before"]["series"]["round_trip"]["histogram"]["buckets"]
    lines = second["table"]
    assert len(lines) == 3 and lines[1].split()[:3] == ["a", "b", "udp"] and lines[1].endswith("worse")
    with pytest.raises(ValueError, match=r"no ironbook.latency_mesh"):
        mesh.report([], "now", {"schema": "other"})


def test_a_group_is_kept_only_where_something_is_better_and_nothing_worse() -> None:
    slow, fast = round_trips(30000), round_trips(10000)
    assert experiment.judge([slow], [fast])["keep"] is True
    assert experiment.judge([fast], [slow])["keep"] is False
    assert experiment.judge([slow, fast], [fast, slow])["verdict"] == "worse"
    same = experiment.judge([slow], [slow])
    assert (same["verdict"], same["keep"]) == ("no_difference", False)
    assert same["comparisons"][0]["before"] is slow, "the evidence is both distributions"
    with pytest.raises(ValueError, match="1 measurements before and 0 after"):
        experiment.judge([slow], [])


def test_what_was_not_measured_alike_keeps_nothing() -> None:
    other = round_trips(10000) | {"settings": {"seconds": 2}}
    found = experiment.judge([round_trips(30000)], [other])
    assert (found["verdict"], found["keep"]) == ("cannot_tell", False)
    assert "measure both alike" in found["comparisons"][0]["because"]


def test_the_report_of_a_host_says_what_was_kept_and_why() -> None:
    judged = experiment.judge([round_trips(30000)], [round_trips(10000)])
    rows = [
        {"group": "network", "outcome": "kept", "because": "better", "judged": judged},
        {"group": "memory", "outcome": "reverted", "because": "cannot_tell", "judged": None},
    ]
    made = experiment.report(rows, "engine-0-0", "now")
    assert (made["kept"], made["reverted"], made["schema_version"]) == (["network"], ["memory"], 1)
    lines = made["lines"]
    assert lines[0] == "engine-0-0: network kept: better" and "pingpong p50_ns better" in lines[1]
    assert lines[-1] == "engine-0-0: memory reverted: cannot_tell"
