# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of an operation on a shard: a dictionary for programs, and for people one HTML file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..host_tuning.reports.style import STYLE

FORMAT = 1
_SHOWN = ("role", "state", "epoch", "primary", "in_sync", "last_seq", "commit_seq", "in_doubt", "store_fault", "reason")


def report(given: Mapping[str, Any]) -> dict[str, Any]:
    """Put it together. `given`: operation, shard, environment, started_at, ended_at, failure, before, after, timelines.

    Without a time at which it ended it is of a run that has begun, and says so until the run's end writes another one.

    And, where there is more to say of the operation as a whole, `about`: values by name. `before` and
    `after` map a host to what engine_failover_info has returned of its member, `timelines` to its steps.
    """
    timeline = [
        {"at": step["at"], "host": host, "what": step["what"]}
        for host, steps in given["timelines"].items()
        for step in steps
    ]
    return {
        "format": FORMAT,
        **{key: given[key] for key in ("operation", "shard", "environment", "started_at", "ended_at", "failure")},
        "outcome": "failed" if given["failure"] else "done" if given["ended_at"] else "begun",
        "changed": any(timeline),
        "about": dict(given.get("about") or {}),
        "timeline": sorted(timeline, key=lambda step: (step["at"], step["host"])),
        "before": {host: _shown(one) for host, one in sorted(given["before"].items())},
        "after": {host: _shown(one) for host, one in sorted(given["after"].items())},
    }


def _shown(member: Mapping[str, Any]) -> dict[str, Any]:
    return {"replica": member.get("replica"), **{key: member.get(key) for key in _SHOWN}}


def render(made: Mapping[str, Any]) -> str:
    """Render it; whatever a host has said is escaped."""
    mark = "ok" if made["outcome"] == "done" else "drift"
    title = f"{made['operation']}: shard {made['shard']}, {made['environment']}"
    steps = "".join(_row((step["at"], step["host"], step["what"])) for step in made["timeline"])
    nothing = "Nothing: it was so already" if made["ended_at"] else "Not known: this run has not come to its end"
    steps = steps or _row(("", "", nothing))
    head = _row(("Time (UTC)", "Host", "What"), "th")
    failure = f'<p class="mark drift">{escape(str(made["failure"]))}</p>' if made["failure"] else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<div class="faint">{escape(str(made["started_at"]))} to {escape(str(made["ended_at"]))}</div>
<p><span class="mark {mark}">{escape(made["outcome"])}</span></p>
{failure}
{_about(made["about"])}<h2>What happened</h2>
<table><thead>{head}</thead><tbody>{steps}</tbody></table>
<h2>The shard before</h2>
{_members(made["before"])}
<h2>The shard after</h2>
{_members(made["after"])}
</body>
</html>
"""


def _about(found: Mapping[str, Any]) -> str:
    rows = "".join(_row((key.replace("_", " "), value)) for key, value in sorted(found.items()))
    return f"<h2>What it was about</h2>\n<table><tbody>{rows}</tbody></table>\n" if rows else ""


def _members(found: Mapping[str, Mapping[str, Any]]) -> str:
    head = _row(("Host", "Replica", *(key.replace("_", " ") for key in _SHOWN)), "th")
    rows = "".join(_row((host, one["replica"], *(one[key] for key in _SHOWN))) for host, one in found.items())
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _row(cells: Sequence[Any], kind: str = "td") -> str:
    texts = (
        "–" if cell is None else ", ".join(map(str, cell)) if isinstance(cell, list) else str(cell) for cell in cells
    )
    return f"<tr>{''.join(f'<{kind}>{escape(text)}</{kind}>' for text in texts)}</tr>"
