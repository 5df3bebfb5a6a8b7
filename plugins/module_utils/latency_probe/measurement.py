# SPDX-License-Identifier: GPL-3.0-or-later
"""From the documents of several runs of the probe to one measurement: histograms to draw, figures to compare. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from . import histogram
from .compare import LEAST_REPEATS
from .estimate import interval
from .histogram import Histogram

PROBE_SCHEMA = ("ironbook.latency_probe", 1)
SCHEMA, SCHEMA_VERSION = "ironbook.latency_measurement", 1
QUANTILES = {"p50_ns": 0.5, "p99_ns": 0.99, "p999_ns": 0.999}
COMPARED = ("p50_ns", "p99_ns")
"""What is judged. A run of a second or two has too few samples beyond the others."""
CLOCK_NS = 30
"""What a reading of the kernel's clock takes at most on hosts that read it without a call."""


def check(document: Any, mode: str) -> Mapping[str, Any]:
    """Return a document of the probe, if it is one.

    Raises:
        ValueError: it is another one, or of another version.

    """
    if not isinstance(document, dict) or (document.get("schema"), document.get("schema_version")) != PROBE_SCHEMA:
        raise ValueError("what the probe said is no document of version 1: build it anew from these sources")
    if document.get("mode") != mode:
        raise ValueError(f"a document of mode {document.get('mode')}, and {mode} was asked for")
    return document


def summarize(documents: Sequence[Any], mode: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put the runs of one measurement together.

    Args:
        documents: what the probe said, a run each.
        mode: ``noise``, ``wake`` or ``pingpong``.
        settings: what two measurements must have in common to be compared.

    Raises:
        ValueError: fewer than three runs, or not what the probe of these sources says.

    """
    if len(documents) < LEAST_REPEATS:
        raise ValueError(f"repeats: {len(documents)} runs, and {LEAST_REPEATS} are the least that say anything")
    try:
        runs = [check(document, mode) for document in documents]
        series, metrics, more = READERS[mode](runs)
    except (KeyError, TypeError) as exc:
        raise ValueError(f"what the probe said lacks something: {exc!r}") from exc
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "mode": mode,
        "settings": dict(settings),
        "repeats": len(runs),
        "kernel": runs[0]["kernel"],
        "series": series,
        "metrics": metrics,
        **more,
    }


def metric(values: Sequence[float | None], unit: str, resolution: float) -> dict[str, Any]:
    """One figure, one value a run, with the interval of its mean; less is better."""
    known = [value for value in values if value is not None]
    whole = len(known) == len(values)
    low, high = interval(known) if whole and len(known) > 1 else (None, None)
    return {
        "values": list(values),
        "unit": unit,
        "mean": fmean(known) if whole else None,
        "low": low,
        "high": high,
        "resolution": resolution,
    }


def drawn(runs: Sequence[Histogram], cold: Sequence[Histogram] = ()) -> dict[str, Any]:
    """One series: all runs in one histogram, and its quantiles with the interval that order statistics give."""
    pooled = histogram.merged(runs)
    rows = {}
    for name, share in QUANTILES.items():
        low, high = pooled.interval(share)
        rows[name] = {"value": pooled.quantile(share), "low": low, "high": high}
    return {
        "histogram": pooled.as_dict(),
        "cold": histogram.merged(cold).as_dict() if cold else None,
        "quantiles": rows,
    }


Read = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def _round_trips(name: str, prefix: str, parts: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read one series of awaited times, a run each."""
    runs = [histogram.read(part["histogram"], int(part["lost"]) + int(part["unsent"])) for part in parts]
    cold = [histogram.read(part["cold"]) for part in parts]
    metrics = {}
    for quantile in COMPARED:
        values = [run.quantile(QUANTILES[quantile]) for run in runs]
        known = [value for value in values if value is not None]
        metrics[prefix + quantile] = metric(values, "ns", max(CLOCK_NS, histogram.width_ns(known)))
    return {name: drawn(runs, cold)}, metrics


def _pingpong(runs: Sequence[Mapping[str, Any]]) -> Read:
    series, metrics = _round_trips("round_trip", "", runs)
    first = runs[0]
    kept = ("protocol", "local", "peer", "own_echo", "message_bytes", "busy_poll")
    return series, metrics, {"path": {name: first[name] for name in kept}}


def _wake(runs: Sequence[Mapping[str, Any]]) -> Read:
    series: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    for name in runs[0]["wakes"]:
        one, figures = _round_trips(name, f"{name}_", [run["wakes"][name] for run in runs])
        series |= one
        metrics |= figures
    return series, metrics, {}


def _noise(runs: Sequence[Mapping[str, Any]]) -> Read:
    """Of gaps, quantiles are drawn and not compared: fewer short gaps would look like longer ones."""
    numbers = [cpu["cpu"] for cpu in runs[0]["cpus"]]
    if any([cpu["cpu"] for cpu in run["cpus"]] != numbers for run in runs):
        raise ValueError("the runs were on different CPUs")
    series, causes = {}, {}
    for place, number in enumerate(numbers):
        parts = [run["cpus"][place] for run in runs]
        series[f"cpu{number}"] = drawn([histogram.read(part["histogram"]) for part in parts])
        causes[f"cpu{number}"] = attribute(parts)
    lost, gaps, errors = [], [], []
    for run in runs:
        spun = sum(cpu["spun_ns"] for cpu in run["cpus"])
        count = sum(cpu["histogram"]["count"] for cpu in run["cpus"])
        lost.append(1e6 * sum(cpu["lost_ns"] for cpu in run["cpus"]) / spun)
        gaps.append(1e9 * count / spun)
        errors.append(1e6 * max(1, count) * max(cpu["step_ns"] for cpu in run["cpus"]) / spun)
    seconds = sum(cpu["spun_ns"] for cpu in runs[0]["cpus"]) / 1e9
    metrics = {
        "lost_ppm": metric(lost, "ppm", max(errors)),
        "gaps_per_second": metric(gaps, "1/s", 1.0 / seconds),
    }
    floors = [cpu[name] for run in runs for cpu in run["cpus"] for name in ("threshold_ns",)]
    return series, metrics, {"clock": runs[0]["clock"]["source"], "threshold_ns": max(floors), "causes": causes}


def attribute(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say what the kernel counted on a CPU while it had gaps, the most frequent first, and what nobody knows.

    A count is no proof that this was the gap; but more gaps than everything that was counted are somebody else's:
    firmware, a hypervisor, another thread of the same core.
    """
    counts: Counter[str] = Counter()
    unknown: set[str] = set()
    for part in parts:
        found = part["attribution"]
        for kind in ("interrupts", "softirqs"):
            if found[kind] is None:
                unknown.add(kind)
            for name, count in (found[kind] or {}).items():
                counts[f"{kind}: {name}"] += count
        singles = {"context switches: voluntary": "voluntary_switches", "SMI": "smi", "steal": "steal_ticks",
                   "context switches: involuntary": "involuntary_switches"}  # fmt: skip
        for name, key in singles.items():
            if found[key] is None:
                unknown.add(name)
            elif found[key]:
                counts[name] += found[key]
    gaps = sum(part["histogram"]["count"] for part in parts)
    waited = [part["attribution"]["wait_ns"] for part in parts]
    return {
        "gaps": gaps,
        "lost_ns": sum(part["lost_ns"] for part in parts),
        "waited_ns": None if None in waited else sum(waited),
        "counted": [{"what": what, "count": count} for what, count in counts.most_common()],
        "unexplained": max(0, gaps - sum(counts.values())),
        "unknown": sorted(unknown),
    }


READERS: dict[str, Callable[[Sequence[Mapping[str, Any]]], Read]] = {
    "noise": _noise,
    "wake": _wake,
    "pingpong": _pingpong,
}
