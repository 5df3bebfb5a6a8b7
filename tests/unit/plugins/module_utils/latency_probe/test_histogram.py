# SPDX-License-Identifier: GPL-3.0-or-later
"""Histograms of the probe: their quantiles against the times that they were made of, and what is no histogram."""

from __future__ import annotations

import math
import random

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe import histogram
from fixtures import probe_documents
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.lists(st.integers(0, 10**9), min_size=20, max_size=300)


@given(times=TIMES, share=st.sampled_from([0.5, 0.9]))
def test_a_quantile_is_never_below_the_true_one_and_at_most_a_64th_above(times: list[int], share: float) -> None:
    found = histogram.read(probe_documents.histogram(times)).quantile(share)
    if len(times) * (1 - share) < histogram.LEAST_BEYOND:
        assert found is None
    else:
        true = sorted(times)[max(1, math.ceil(len(times) * share)) - 1]
        assert found is not None and true <= found <= true + true // 64


@given(times=TIMES, missing=st.integers(0, 300))
def test_what_never_came_is_longer_than_all_that_did(times: list[int], missing: int) -> None:
    found = histogram.read(probe_documents.histogram(times), missing).quantile(0.5)
    rank = math.ceil((len(times) + missing) / 2)
    assert found == (probe_documents.upper(sorted(times)[rank - 1]) if rank <= len(times) else None)


@given(parts=st.lists(TIMES, min_size=1, max_size=4))
def test_what_is_put_together_is_what_all_have_seen(parts: list[list[int]]) -> None:
    made = histogram.merged(histogram.read(probe_documents.histogram(times)) for times in parts)
    whole = probe_documents.histogram([ns for times in parts for ns in times])
    assert made.as_dict() == {name: whole[name] for name in whole if name != "min_ns"} | {"missing": 0}
    assert histogram.read(made.as_dict()) == made


@pytest.mark.slow
def test_the_interval_holds_the_true_quantile_as_often_as_it_says() -> None:
    """Exponential times, whose quantiles are known; 95 % asked, and what rounding gives goes on top."""
    generator = random.Random(3)
    rounds, held = 400, dict.fromkeys((0.5, 0.99), 0)
    for _round in range(rounds):
        made = histogram.read(probe_documents.histogram(int(generator.expovariate(1e-4)) for _ in range(2000)))
        for share in held:
            low, high = made.interval(share)
            true = -math.log(1 - share) * 1e4
            assert low is not None and high is not None
            held[share] += low * (1 - 1 / 64) <= true <= high
    assert all(count >= 0.93 * rounds for count in held.values()), held


def test_an_interval_is_wider_where_there_is_less_to_go_by() -> None:
    def width(count: int) -> int:
        low, high = histogram.read(probe_documents.histogram(range(0, 100 * count, 100))).interval(0.5)
        assert low is not None and high is not None
        return (high - low) * 1000 // (100 * count)

    assert width(100) > width(1000) > width(10000)
    assert histogram.read(probe_documents.histogram(range(15))).interval(0.5) == (None, None)


def test_the_width_of_a_bucket_is_the_probes() -> None:
    for ns in (0, 5, 127, 128, 255, 256, 1000, 123456):
        low = next(other for other in range(ns, -1, -1) if other == 0 or probe_documents.upper(other - 1) < ns)
        assert histogram.width_ns([probe_documents.upper(ns)]) == probe_documents.upper(ns) - low + 1


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        [],
        {"count": 2, "sum_ns": 0, "max_ns": 0, "buckets": [[1, 1]]},
        {"count": 2, "sum_ns": 0, "max_ns": 0, "buckets": [[2, 1], [1, 1]]},
        {"count": 0, "sum_ns": 0, "max_ns": 0, "buckets": [[1, 0]]},
        {"count": 1, "sum_ns": 0, "max_ns": 0, "buckets": [[1]]},
        {"count": 1, "sum_ns": 0, "max_ns": 0, "buckets": [["x", 1]]},
    ],
)
def test_what_is_no_histogram_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match=r"histogram|unpack|literal"):
        histogram.read(said)
