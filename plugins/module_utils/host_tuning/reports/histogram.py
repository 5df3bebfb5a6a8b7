# SPDX-License-Identifier: GPL-3.0-or-later
"""A measured distribution as SVG: time and count both on logarithmic scales, since the tail is what matters."""

from __future__ import annotations

from html import escape
from math import log10
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 540, 190, 24, 24, 26, 10
BINS = 90
UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


def histogram(title: str, measured: dict[str, Any]) -> str:
    """Draw one.

    Args:
        title: what was measured, where.
        measured: ``count``, ``max_ns`` and ``buckets``, a list of [upper bound in ns, count] in order, as the probe
            writes them.

    """
    buckets = [(max(1, upper), count) for upper, count in measured["buckets"] if count > 0]
    if not buckets:
        return f"<figure><figcaption>{escape(title)}: nothing was counted</figcaption></figure>"
    low, high = int(log10(buckets[0][0])), int(log10(buckets[-1][0])) + 1
    bins: dict[int, int] = {}
    for upper, count in buckets:
        place = min(BINS - 1, int(BINS * (log10(upper) - low) / (high - low)))
        bins[place] = bins.get(place, 0) + count
    top = log10(max(bins.values())) + 1  # a single count is one decade high, and not nothing
    wide, tall = (WIDTH - LEFT - RIGHT) / BINS, HEIGHT - TOP - BOTTOM
    bars = "".join(
        f'<rect x="{LEFT + place * wide:.1f}" y="{TOP + tall * (1 - share):.1f}" width="{wide - 0.6:.1f}" '
        f'height="{tall * share:.1f}"><title>{count}</title></rect>'
        for place, count in sorted(bins.items())
        for share in [(log10(count) + 1) / (top + 0.2)]
    )
    ticks = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{x:.1f}" y="{HEIGHT - 9}" text-anchor="middle">{duration(10**decade)}</text>'
        for decade in range(low, high + 1)
        for x in [LEFT + (WIDTH - LEFT - RIGHT) * (decade - low) / (high - low)]
    )
    facts = f"{measured['count']} counted; {_quantiles(buckets)}; longest {duration(measured['max_ns'])}"
    return (
        f"<figure><figcaption>{escape(title)}<p>{facts}</p></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{ticks}{bars}</svg></figure>"
    )


def _quantiles(buckets: list[tuple[int, int]]) -> str:
    """Name the upper bound of the bucket in which each quantile lies."""
    total, found = sum(count for _upper, count in buckets), []
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        seen = 0
        for upper, count in buckets:
            seen += count
            if seen >= share * total:
                found.append(f"{name} {duration(upper)}")
                break
    return ", ".join(found)


def duration(time_ns: int) -> str:
    """Write a time with three digits and its unit."""
    unit, name = next((unit, name) for unit, name in UNITS if time_ns >= unit or unit == 1)
    return f"{time_ns / unit:.3g} {name}"
