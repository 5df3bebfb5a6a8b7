# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure one may be of a figure that was measured several times. Pure, and of the standard library alone.

The runs are what is independent, not the thousands of times within one: those share a minute, a cache and a neighbour.
So the figure of each run is one observation. Of few observations a Student's t says what the mean may be, and Welch's
form of it what two means may differ by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

CONFIDENCE = 0.95
"""Of all that is said of one pair of measurements together."""


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The one of the incomplete beta function (DLMF 8.17.22), by Lentz's method, for x below (a+1)/(a+b+2)."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 500):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + factor * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + factor / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return value


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b), 0 <= x <= 1."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, 1.0 - x) / b


def t_beyond(t: float, freedom: float) -> float:
    """Return how likely Student's t lies further from 0 than this, either way."""
    return incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))


def t_limit(confidence: float, freedom: float) -> float:
    """Return the t within which it lies with this confidence."""
    low, high = 0.0, 1.0
    while t_beyond(high, freedom) > 1.0 - confidence:
        high *= 2.0
    for _step in range(200):
        middle = (low + high) / 2.0
        if t_beyond(middle, freedom) > 1.0 - confidence:
            low = middle
        else:
            high = middle
        if high - low <= 1e-12 * high:
            break
    return high


@dataclass(frozen=True)
class Difference:
    """What the mean after differs from the mean before by, and how far that may be wrong."""

    value: float
    half_width: float

    @property
    def low(self) -> float:
        """The least that it may be."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """The most."""
        return self.value + self.half_width


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the confidence interval of the mean of two or more runs."""
    half = t_limit(confidence, len(values) - 1) * math.sqrt(variance(values) / len(values))
    return fmean(values) - half, fmean(values) + half


def difference(before: Sequence[float], after: Sequence[float], resolution: float, confidence: float) -> Difference:
    """Compare two or more runs with two or more, by Welch's t.

    A figure that is rounded to `resolution` is known no better than that, however often it comes out the same: the
    variance of a uniform distribution of that width is the least that is believed.
    """
    least = resolution * resolution / 12.0
    parts = [max(variance(values), least) / len(values) for values in (before, after)]
    total = sum(parts)
    shift = fmean(after) - fmean(before)
    if total == 0.0:  # counts that never move
        return Difference(shift, 0.0)
    freedom = total * total / sum(p * p / (len(v) - 1) for p, v in zip(parts, (before, after), strict=True) if p)
    return Difference(shift, t_limit(confidence, freedom) * math.sqrt(total))
