# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured of the tunables: the evidence of the role host_experiment, joined to the audit of the same host.

A group of tunables is tried as a whole, so the effect is the group's, and is told so of each tunable that the tuning
sets in it. Where the host has another kernel or is of another instance type than the one that was measured, the
evidence is stale: it is shown, and is no effect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ...latency_probe.experiment import SCHEMA, SCHEMA_VERSION
from ..catalogue import TUNABLES
from .histogram import duration

SET_BY_TUNING = frozenset(tunable.id for tunable in TUNABLES if tunable.settable)
NOT_SAID = "one that it does not name"
DRAWN = 2
"""How many series of one measurement are drawn, before and after."""


def read(texts: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Read the reports of experiments.

    Args:
        texts: the content of each file, by its name.

    Returns:
        By host what was measured of each group, and a line for each file that is no such report.

    """
    found: dict[str, dict[str, Any]] = {}
    unread = []
    for name, text in texts.items():
        try:
            report = json.loads(text)
            if (report["schema"], report["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
                raise ValueError(f"schema {report['schema']}, version {report['schema_version']}")
            measured = [_group(row, report["generated_at"]) for row in report["groups"] if row["judged"]]
            found[report["host"]] = {row["group"]: row for row in measured}
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            unread.append(f"{name}: no report of {SCHEMA} {SCHEMA_VERSION}, so its effects are not shown: {exc!r}")
    return found, unread


def _group(row: Mapping[str, Any], measured_at: str) -> dict[str, Any]:
    """Return what one group has come to."""
    comparisons = row["judged"]["comparisons"]
    runs = [comparison[when] for comparison in comparisons for when in ("before", "after")]
    return {
        "group": row["group"],
        "verdict": row["judged"]["verdict"],
        "outcome": row["outcome"],
        "measured_at": measured_at,
        "kernels": sorted({run["kernel"] for run in runs}),
        "instance_types": sorted({run.get("instance_type", NOT_SAID) or "none" for run in runs}),
        "figures": [figure for comparison in comparisons for figure in _figures(comparison)],
        "drawn": [
            {"title": f"{row['group']}, {when}: {comparison['mode']} {name}", "histogram": series["histogram"]}
            for comparison in comparisons
            for name in list(comparison["before"]["series"])[:DRAWN]
            for when in ("before", "after")
            for series in [comparison[when]["series"][name]]
        ],
    }


def _figures(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a comparison says of each figure, or why it says nothing."""
    mode, metrics = comparison["mode"], comparison["before"]["metrics"]
    if not comparison["metrics"]:
        return [{"mode": mode, "name": "", "verdict": comparison["verdict"], "because": comparison["because"]}]
    return [
        {"mode": mode, "name": name, "unit": metrics[name]["unit"], **judged}
        for name, judged in comparison["metrics"].items()
    ]


def of_machine(
    names: Iterable[str], host: Mapping[str, Any], found: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return by group the newest that was measured on a machine, under any of its names."""
    newest: dict[str, dict[str, Any]] = {}
    for name in names:
        for group, effect in found.get(name, {}).items():
            if group not in newest or effect["measured_at"] > newest[group]["measured_at"]:
                newest[group] = effect
    return {group: {**effect, "stale": _stale(effect, host)} for group, effect in newest.items()}


def _stale(effect: Mapping[str, Any], host: Mapping[str, Any]) -> str:
    """Say why it tells nothing of the host as it is; empty where it does."""
    for what, then, now in (
        ("kernel", effect["kernels"], host["kernel"]),
        ("instance type", effect["instance_types"], host["instance_type"] or "none"),
    ):
        if then != [now]:
            return f"measured on {what} {', '.join(then)}, and this is {now}"
    return ""


def joined(row: dict[str, Any], effects: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a finding with what was measured of its group, where the tuning sets it and the host can have it."""
    effect = effects.get(row["group"])
    if effect is None or row["id"] not in SET_BY_TUNING or row["verdict"] == "not_applicable":
        return {**row, "measured": None}
    said = {name: effect[name] for name in ("group", "verdict", "outcome", "measured_at", "stale")}
    text = None if effect["stale"] else described(effect)
    return {**row, "planes": {**row["planes"], "effect": text}, "measured": said}


def described(effect: Mapping[str, Any]) -> str:
    """Say in one line what a group has come to: the verdict, its first figure, and when."""
    whole = f"{words(effect['verdict'])}, of the whole group {effect['group']}, {effect['outcome']}"
    return f"{whole}: {figure_text(leading(effect))}; {effect['measured_at']}"


def leading(effect: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figure to name first: one that says what the verdict says, and else one that says a number."""
    return min(effect["figures"], key=lambda row: (row["verdict"] != effect["verdict"], "difference" not in row))


def figure_text(figure: Mapping[str, Any]) -> str:
    """Write a figure before and after, the difference, and its interval."""
    if "difference" not in figure:
        return f"{figure['mode']} {figure['name']}: {figure['because']}"
    unit = figure["unit"]
    before, after = (quantity(figure[name], unit) for name in ("before", "after"))
    return f"{figure['mode']} {figure['name']} {before} to {after}, {difference_text(figure)}"


def difference_text(figure: Mapping[str, Any]) -> str:
    """Write the difference and its interval, which holds for all figures of its measurement together."""
    value, low, high = (quantity(figure[name], figure["unit"], signed=True) for name in ("difference", "low", "high"))
    return f"{value} (95 %: {low} to {high})"


def quantity(value: float, unit: str, *, signed: bool = False) -> str:
    """Write a value with three digits and its unit."""
    sign = "−" if value < 0 else "+" if signed else ""
    return sign + (duration(round(abs(value))) if unit == "ns" else f"{abs(value):.3g} {unit}")


def words(verdict: str) -> str:
    """Write a verdict for people."""
    return verdict.replace("_", " ")
