# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips between all engine hosts: the matrix, and the same beside an earlier one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .compare import compare

SCHEMA, SCHEMA_VERSION = "ironbook.latency_mesh", 1


def key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what makes a row of a mesh the same in another one."""
    return tuple(str(row[name]) for name in ("from", "to", "protocol", "busy_poll_us"))


def report(
    rows: Sequence[Mapping[str, Any]], generated_at: str, baseline: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Put the measurements of a mesh together.

    Args:
        rows: ``from``, ``to``, ``protocol``, ``busy_poll_us`` and the ``measurement`` of each.
        generated_at: the time, as text.
        baseline: an earlier report: each row that it has, too, is compared with it, distribution beside distribution.

    Raises:
        ValueError: the baseline is no report of this kind.

    """
    known = (SCHEMA, SCHEMA_VERSION)
    if baseline is not None and (baseline.get("schema"), baseline.get("schema_version")) != known:
        raise ValueError(f"the baseline is no {SCHEMA} of version {SCHEMA_VERSION}")
    before = {key(row): row["measurement"] for row in (baseline or {}).get("rows", ())}
    made = []
    for row in rows:
        earlier = before.get(key(row))
        compared = None
        if earlier is not None:
            compared = {**against(earlier, row["measurement"]), "before": earlier}
        made.append({**row, "compared": compared})
    matrix: dict[str, dict[str, dict[str, Any]]] = {}
    for row in made:
        figures = row["measurement"]["metrics"]
        cell = {name: figures[name]["mean"] for name in figures}
        way = matrix.setdefault(_kind(row), {}).setdefault(row["from"], {})
        way[row["to"]] = cell
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at,
        "hosts": sorted({row[end] for row in made for end in ("from", "to")}),
        "matrix": matrix,
        "table": table(made),
        "rows": made,
    }


def against(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Compare, and where that makes no sense say so."""
    try:
        return compare(before, after)
    except ValueError as exc:
        return {"verdict": "cannot_tell", "because": str(exc), "metrics": {}}


def _kind(row: Mapping[str, Any]) -> str:
    polled = f", busy poll {row['busy_poll_us']} us" if int(row["busy_poll_us"]) else ""
    return f"{row['protocol']}{polled}"


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a mesh for people: a row each, microseconds."""
    lines = [f"{'from':<16} {'to':<16} {'how':<24} {'p50 us':>10} {'p99 us':>10}  than before"]
    for row in rows:
        figures = row["measurement"]["metrics"]
        shown = [_microseconds(figures[name]["mean"]) for name in ("p50_ns", "p99_ns")]
        verdict = row["compared"]["verdict"].replace("_", " ") if row["compared"] else "-"
        lines.append(f"{row['from']:<16} {row['to']:<16} {_kind(row):<24} {shown[0]:>10} {shown[1]:>10}  {verdict}")
    return lines


def _microseconds(ns: float | None) -> str:
    return "-" if ns is None else f"{ns / 1000:.1f}"
