# SPDX-License-Identifier: GPL-3.0-or-later
"""Histograms as the probe writes them: pairs of the highest time of a bucket and how many are in it. Pure.

A quantile is the highest time of the bucket that it falls into, so it is never below the true one and at most a 64th
above (engine_native/probe/histogram.h). What got no answer is longer than anything that was counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LEAST_BEYOND = 10
"""A quantile with fewer samples beyond it is not one: the next run would say something else."""
Z_95 = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True)
class Histogram:
    """Counts of times in nanoseconds; ``missing`` are those that never came."""

    buckets: tuple[tuple[int, int], ...]
    sum_ns: int
    max_ns: int
    missing: int = 0

    @property
    def count(self) -> int:
        """How many came."""
        return sum(count for _upper, count in self.buckets)

    def at_rank(self, rank: int) -> int | None:
        """The time of the one at a rank, 1 is the shortest; None where it never came."""
        seen = 0
        for upper, count in self.buckets:
            seen += count
            if seen >= rank:
                return upper
        return None

    def quantile(self, share: float) -> int | None:
        """Return a quantile in nanoseconds; None where too few lie beyond it, or it never came."""
        total = self.count + self.missing
        if total * min(share, 1 - share) < LEAST_BEYOND:
            return None
        return self.at_rank(max(1, math.ceil(total * share)))

    def interval(self, share: float) -> tuple[int | None, int | None]:
        """95 % confidence interval of a quantile by order statistics, were the samples independent of each other.

        The number of samples below the true quantile is binomial; its normal approximation holds where `quantile` is
        given at all. Times of one run depend on each other, so what the runs differ by counts, too (`estimate`).
        """
        total = self.count + self.missing
        if self.quantile(share) is None:
            return None, None
        half = Z_95 * math.sqrt(total * share * (1 - share))
        low, high = math.floor(total * share - half), math.ceil(total * share + half) + 1
        return self.at_rank(max(1, low)), self.at_rank(min(total, high))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON, fit to be drawn: buckets of highest time and count, ascending."""
        return {
            "count": self.count,
            "missing": self.missing,
            "sum_ns": self.sum_ns,
            "max_ns": self.max_ns,
            "buckets": [list(bucket) for bucket in self.buckets],
        }


def read(said: Any, missing: int = 0) -> Histogram:
    """Read what the probe wrote, or `as_dict` gave.

    Raises:
        ValueError: it is no histogram, or contradicts itself.

    """
    try:
        buckets = tuple((int(upper), int(count)) for upper, count in said["buckets"])
        histogram = Histogram(buckets, int(said["sum_ns"]), int(said["max_ns"]), missing + int(said.get("missing", 0)))
        count = int(said["count"])
    except (TypeError, KeyError, AttributeError) as exc:
        raise ValueError(f"no histogram: {exc!r}") from None
    if histogram.count != count or any(each <= 0 for _upper, each in buckets):
        raise ValueError(f"histogram: its buckets hold {histogram.count}, and its count is {count}")
    if any(upper >= following for (upper, _count), (following, _next) in pairwise(buckets)):
        raise ValueError("histogram: its buckets do not ascend")
    return histogram


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Put several into one."""
    counts: Counter[int] = Counter()
    sum_ns = max_ns = missing = 0
    for histogram in histograms:
        for upper, count in histogram.buckets:
            counts[upper] += count
        sum_ns += histogram.sum_ns
        max_ns = max(max_ns, histogram.max_ns)
        missing += histogram.missing
    return Histogram(tuple(sorted(counts.items())), sum_ns, max_ns, missing)


def width_ns(values: Sequence[float]) -> int:
    """How far a quantile may lie above the true one: the width of the widest bucket that one of these stands for."""
    return max((1 if value < 128 else 1 << (int(value).bit_length() - 7) for value in values), default=1)
