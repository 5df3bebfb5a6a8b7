# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in Markdown, for a ticket or a pull request: the hosts, what does not hold, what changed."""

from __future__ import annotations

import re
from typing import Any

from ..audit import VERDICTS
from .effects import figure_text, words
from .fleet import SEVERITIES, WRONG
from .text import effect_text, told

SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|~!&"})
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""What ends a line, in Markdown or on a terminal, or does worse there."""


def render(report: dict[str, Any]) -> str:
    """Render a fleet's report."""
    counts = ", ".join(f"{report['counts'][name]} {name.replace('_', ' ')}" for name in VERDICTS)
    parts = [f"# Host audit\n\n{_safe(report['generated_at'])}: {counts}.", _hosts(report["machines"])]
    rows = [(machine, row) for machine in report["machines"] for row in machine["findings"]]
    rows.sort(key=lambda pair: SEVERITIES.index(pair[1]["severity"]))
    wrong = [_finding(machine, row) for machine, row in rows if row["verdict"] in WRONG]
    parts.append("## What does not hold\n\n" + ("\n".join(wrong) or "Nothing."))
    for title, verdict in (("Unknown", "unknown"), ("Waived", "waived")):
        lines = [f"- {_who(machine)}: {_safe(told(row))}" for machine, row in rows if row["verdict"] == verdict]
        if lines:
            parts.append(f"## {title}\n\n" + "\n".join(lines))
    if report["changes"]:
        parts.append(f"## Since {_safe(report['since'])}\n\n" + "\n".join(map(_change, report["changes"])))
    effects = [_effect(machine, effect) for machine in report["machines"] for effect in machine["effects"]]
    if effects or report["unread"]:
        unread = [f"- {_safe(line)}" for line in report["unread"]]
        parts.append("## Measured effect\n\n" + "\n".join([*effects, *unread]))
    if report["odd"]:
        parts.append("## The odd host out\n\n" + "\n".join(map(_odd, report["odd"])))
    return "\n\n".join(parts) + f"\n\nScore: {_safe(report['formula'])}\n"


def _safe(text: object) -> str:
    return CONTROL.sub(" ", str(text)).translate(SPECIAL)


def _who(machine: dict[str, Any]) -> str:
    return _safe(", ".join(machine["names"]))


def _effect(machine: dict[str, Any], effect: dict[str, Any]) -> str:
    """Write what a group has come to, and the tunables that it was tried with; of all others nothing was measured."""
    mine = [row["id"] for row in machine["findings"] if row["measured"] and row["group"] == effect["group"]]
    verdict = f"stale: {effect['stale']}" if effect["stale"] else words(effect["verdict"])
    figures = "".join(f"\n  - {_safe(words(row['verdict']))}: {_safe(figure_text(row))}" for row in effect["figures"])
    return (
        f"- {_who(machine)}: the whole group {_safe(effect['group'])}, {_safe(effect['outcome'])} "
        f"{_safe(effect['measured_at'])}: **{_safe(verdict)}**. Of {_safe(', '.join(mine))}{figures}"
    )


def _hosts(machines: list[dict[str, Any]]) -> str:
    head = "| host | kind | score | gate | does not hold | unknown |\n|---|---|---:|---|---:|---:|\n"
    return head + "\n".join(
        f"| {_who(machine)} | {_safe(machine['host']['instance_type'] or machine['host']['cpu_model'])} "
        f"| {machine['score']:g} | {machine['gate']} | {sum(machine['counts'][name] for name in WRONG)} "
        f"| {machine['counts']['unknown']} |"
        for machine in machines
    )


def _finding(machine: dict[str, Any], row: dict[str, Any]) -> str:
    fix = f"\n  - fix: {_safe(row['fix'])}" if row["fix"] else ""
    reboot = " (needs a reboot)" if row["needs_reboot"] else ""
    effect = f"\n  - effect: {_safe(effect_text(row))}" if row["measured"] else ""
    return (
        f"- **{row['severity']}** {_who(machine)}: {_safe(row['id'])}: {_safe(told(row))}\n"
        f"  - why: {_safe(row['why'])} ({_safe(row['source'])}){fix}{reboot if fix else ''}{effect}"
    )


def _change(change: dict[str, Any]) -> str:
    return (
        f"- {_who(change)}: {_safe(change['id'])} was {_safe(change['was'])} ({_safe(change['live_was'] or '–')}), "
        f"is {_safe(change['now'])} ({_safe(change['live_now'] or '–')})"
    )


def _odd(odd: dict[str, Any]) -> str:
    return (
        f"- {_who(odd)}: {_safe(odd['id'])} is {_safe(odd['live'] or odd['verdict'])}, "
        f"{odd['count']} of its kind have {_safe(odd['others'])}"
    )
