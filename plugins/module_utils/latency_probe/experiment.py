# SPDX-License-Identifier: GPL-3.0-or-later
"""What an experiment with one group of tunings has come to, and whether the group is kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .compare import Verdict, overall
from .mesh import against

SCHEMA, SCHEMA_VERSION = "ironbook.host_experiment", 1


def judge(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare the measurements of a host before and after a group was applied, in the same order.

    Returns:
        ``verdict``, ``keep`` (something is better and nothing is worse: what cannot be told is no reason to keep
        anything), and the ``comparisons``, each with both measurements.

    Raises:
        ValueError: there are not as many after as before.

    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} measurements before and {len(after)} after: the same ones are wanted")
    comparisons = []
    for earlier, later in zip(before, after, strict=True):
        found = against(earlier, later)
        comparisons.append({"mode": earlier["mode"], **found, "before": earlier, "after": later})
    verdicts: list[Verdict] = [row["verdict"] for row in comparisons]
    verdict = overall(verdicts)
    return {"verdict": verdict, "keep": verdict == "better", "comparisons": comparisons}


def report(rows: Sequence[Mapping[str, Any]], host: str, generated_at: str) -> dict[str, Any]:
    """Put the experiments of a host together: a row a group, with ``group``, ``outcome``, ``because``, ``judged``."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at,
        "host": host,
        "groups": [dict(row) for row in rows],
        "lines": said(rows, host),
        "kept": [row["group"] for row in rows if row["outcome"] == "kept"],
        "reverted": [row["group"] for row in rows if row["outcome"] == "reverted"],
    }


def said(rows: Sequence[Mapping[str, Any]], host: str) -> list[str]:
    """Return the lines for people: each group, and each figure that says something."""
    lines = []
    for row in rows:
        lines.append(f"{host}: {row['group']} {row['outcome']}: {row['because']}")
        for comparison in (row["judged"] or {}).get("comparisons", ()):
            for name, found in comparison["metrics"].items():
                if found["verdict"] in ("better", "worse"):
                    change = f"{found['before']:.6g} -> {found['after']:.6g}"
                    lines.append(f"  {comparison['mode']} {name} {found['verdict']}: {change}")
    return lines
