# SPDX-License-Identifier: GPL-3.0-or-later
"""Better, worse, the same, or nobody knows: how often it is wrong, that it finds what is there, and what it refuses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe import compare, estimate, measurement
from fixtures import probe_documents

Draw = Callable[[random.Random], float]
# What a figure of a run may be like, from run to run.
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda generator: generator.gauss(100, 5),
    "skewed": lambda generator: 100 * generator.lognormvariate(0, 0.5),
    "heavy tail": lambda generator: 100 * generator.paretovariate(1.5),
    "two modes": lambda generator: generator.choice((100, 300)) + generator.gauss(0, 1),
    "as coarse as the probe": lambda generator: float(round(generator.gauss(100, 0.6))),
    "on the edge of a bucket": lambda generator: generator.choice((100.0, 101.0)),
    "mostly nothing": lambda generator: generator.choice((0.0, 0.0, 0.0, 7.0)),
}


def figure(draw: Draw, generator: random.Random, runs: int, shift: float = 0.0) -> dict[str, Any]:
    return {"values": [draw(generator) + shift for _ in range(runs)], "resolution": 1.0}


def verdicts(draw: Draw, runs: int, rounds: int, shift: float = 0.0) -> Counter[str]:
    generator = random.Random(runs)
    return Counter(
        compare.judge(figure(draw, generator, runs), figure(draw, generator, runs, shift))["verdict"]
        for _ in range(rounds)
    )


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 5, 8])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_two_samples_of_one_distribution_are_not_told_apart(name: str, runs: int) -> None:
    """At most 5 % of the time: what is stated. 600 rounds; three standard deviations of that count on top."""
    found = verdicts(DISTRIBUTIONS[name], runs, 600)
    assert found["better"] + found["worse"] <= 600 * 0.05 + 3 * (600 * 0.05 * 0.95) ** 0.5, found


def test_that_rate_would_be_missed_by_who_compares_means_alone() -> None:
    """The negative control of the test above: the same rounds, judged by whichever mean is higher."""
    generator = random.Random(5)
    draw = DISTRIBUTIONS["normal"]
    wrong = sum(
        abs(sum(figure(draw, generator, 5)["values"]) - sum(figure(draw, generator, 5)["values"])) > 5
        for _ in range(600)
    )
    assert wrong > 600 * 0.2


@pytest.mark.parametrize("runs", [3, 5, 8])
@pytest.mark.parametrize("name", ["normal", "two modes", "as coarse as the probe", "on the edge of a bucket"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_shift_that_is_there_is_found(name: str, runs: int, sign: int) -> None:
    """One of several times what the runs vary by: 8 standard deviations."""
    shift = {"normal": 40, "two modes": 800}.get(name, 20) * sign
    found = verdicts(DISTRIBUTIONS[name], runs, 200, shift)
    assert found["worse" if sign > 0 else "better"] >= 190, found
    assert found["better" if sign > 0 else "worse"] == 0


def test_the_same_is_said_only_where_whatever_may_be_is_too_little() -> None:
    def steady(values: list[float]) -> dict[str, Any]:
        return {"values": values, "resolution": 1.0}

    quiet, loud = [100.0, 101.0, 99.0, 100.0, 100.0], [100.0, 160.0, 60.0, 100.0, 90.0]
    assert compare.judge(steady(quiet), steady(quiet))["verdict"] == "no_difference"
    found = compare.judge(steady(loud), steady(loud))
    assert found["verdict"] == "cannot_tell" and "noise floor" in found["because"]
    assert found["noise_floor"] > found["margin"]
    assert compare.judge(steady(loud), steady(loud), relevant=1.0)["verdict"] == "no_difference"


def test_less_than_the_probe_resolves_is_never_claimed() -> None:
    """Runs that agree to the last digit, and differ by one step of the probe."""
    before, after = {"values": [1000.0] * 5, "resolution": 16.0}, {"values": [1016.0] * 5, "resolution": 16.0}
    found = compare.judge(before, after, relevant=0.0)
    assert found["verdict"] == "cannot_tell" and "resolves" in found["because"]
    after["values"] = [1064.0] * 5
    assert compare.judge(before, after, relevant=0.0)["verdict"] == "worse"


@pytest.mark.parametrize(
    ("values", "because"),
    [([1.0, 1.0], "3 are the least"), ([1.0, 1.0, None], "too few samples"), ([], "3 are the least")],
)
def test_too_little_is_refused(values: list[float | None], because: str) -> None:
    whole = {"values": [1.0, 2.0, 3.0], "resolution": 1.0}
    for pair in ((whole, {"values": values, "resolution": 1.0}), ({"values": values, "resolution": 1.0}, whole)):
        found = compare.judge(*pair)
        assert found["verdict"] == "cannot_tell" and because in found["because"]


def measured(base: int, **settings: Any) -> dict[str, Any]:
    generator = random.Random(base)
    runs = [probe_documents.pingpong(base + int(generator.expovariate(1 / 500)) for _ in range(2000)) for _ in range(5)]
    return measurement.summarize(runs, "pingpong", {"seconds": 1, **settings})


def test_two_measurements_are_compared_figure_by_figure() -> None:
    found = compare.compare(measured(20000), measured(24000))
    assert found["verdict"] == "worse" and found["metrics"]["p50_ns"]["verdict"] == "worse"
    assert compare.compare(measured(24000), measured(20000))["verdict"] == "better"
    assert compare.compare(measured(20000), measured(20001))["metrics"]["p50_ns"]["verdict"] == "no_difference"


def test_the_more_figures_there_are_the_more_each_must_show() -> None:
    """Two figures of one pair share the 5 %, so each has less, and its interval is wider."""
    before, after = measured(20000), measured(20001)
    both = compare.compare(before, after)["metrics"]["p50_ns"]
    del before["metrics"]["p99_ns"]
    alone = compare.compare(before, after)["metrics"]["p50_ns"]
    assert 0 < alone["high"] - alone["low"] < both["high"] - both["low"]


def test_what_was_not_measured_alike_is_not_compared() -> None:
    with pytest.raises(ValueError, match="measure both alike"):
        compare.compare(measured(20000), measured(20000, protocol="tcp"))


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        (["better", "worse"], "worse"),
        (["better", "cannot_tell"], "better"),
        (["no_difference", "no_difference"], "no_difference"),
        (["no_difference", "cannot_tell"], "cannot_tell"),
        ([], "cannot_tell"),
    ],
)
def test_one_figure_that_is_worse_makes_the_whole_worse(given: list[compare.Verdict], whole: str) -> None:
    assert compare.overall(given) == whole


@pytest.mark.parametrize(
    ("confidence", "freedom", "limit"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 4, 2.7764),
        (0.99, 10, 3.1693),
        (0.999, 4, 8.6103),
        (0.95, 120, 1.9799),
    ],
)
def test_students_t_is_as_in_the_tables(confidence: float, freedom: float, limit: float) -> None:
    assert estimate.t_limit(confidence, freedom) == pytest.approx(limit, abs=1e-4)
    assert estimate.t_beyond(limit, freedom) == pytest.approx(1 - confidence, rel=1e-3)


def test_the_incomplete_beta_function_is_itself_from_both_ends() -> None:
    for a, b, x in ((0.5, 2.5, 0.1), (2.0, 0.5, 0.9), (10.0, 0.5, 0.3), (1.0, 1.0, 0.37)):
        assert estimate.incomplete_beta(a, b, x) == pytest.approx(1 - estimate.incomplete_beta(b, a, 1 - x), abs=1e-12)
    assert estimate.incomplete_beta(1.0, 1.0, 0.37) == pytest.approx(0.37)
    assert (estimate.incomplete_beta(2, 2, 0.0), estimate.incomplete_beta(2, 2, 1.0)) == (0.0, 1.0)
