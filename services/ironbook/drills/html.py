# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's report as one HTML file that needs nothing else, in the style of the host audit's.

No network, no font, no script; it prints, and follows the reader's dark or light. Pure: the JSON report in, text out.
"""

from __future__ import annotations

import statistics
from html import escape
from itertools import pairwise
from typing import Any

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1d2126; --faint: #667079; --line: #dcdfe1; --card: #ffffff;
  --failed: #b3261e; --failed-paper: #fdecea; --passed: #1b6b3a; --passed-paper: #e6f4ea;
  --primary: #2f6fb2; --standby: #b9c9da; --between: #d9a02b; --gone: #d98b85; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e7ea; --faint: #98a2ab;
  --line: #30363c; --card: #1c2024; --failed: #ff9a90; --failed-paper: #4a1f1c;
  --passed: #85d6a0; --passed-paper: #183d26;
  --primary: #6aa5e0; --standby: #3b4a59; --between: #b8862b; --gone: #7d3a35; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 2px; }
h2 { font-size: 19px; margin: 34px 0 6px; }
.faint { color: var(--faint); }
.verdict { display: inline-block; margin: 14px 0 0; padding: 3px 14px; border-radius: 12px; font-weight: 600; }
.verdict.passed { color: var(--passed); background: var(--passed-paper); }
.verdict.failed { color: var(--failed); background: var(--failed-paper); }
.failures { margin: 8px 0 0; padding-left: 20px; color: var(--failed); }

.counts { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0 8px; }
.count { min-width: 118px; padding: 8px 16px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); }
.count b { display: block; font-size: 26px; line-height: 1.15; font-variant-numeric: tabular-nums; }
.count p { margin: 0; color: var(--faint); font-size: 12.5px; }
.passed b { color: var(--passed); }
.failed b { color: var(--failed); }

dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 8px 22px; margin: 12px 0 4px; }
dt { color: var(--faint); font-size: 12.5px; }
dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border: 1px solid var(--line); border-collapse: collapse; background: var(--card); }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--faint); font-size: 12.5px; font-weight: 600; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.who { white-space: nowrap; }
tr.fault td { color: var(--failed); font-weight: 600; }

svg { display: block; width: 100%; height: auto; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .label { fill: var(--faint); }
svg .axis { stroke: var(--line); }
svg .outage { fill: var(--failed-paper); }
svg .mark { stroke: var(--failed); stroke-width: 1.5; }
svg .order { fill: var(--passed); }
.primary { fill: var(--primary); } .standby { fill: var(--standby); } .between { fill: var(--between); }
.gone { fill: var(--gone); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 6px 0 0; color: var(--faint); font-size: 12.5px; }
.legend svg { display: inline-block; width: 11px; height: 11px; margin-right: 5px; border: 0; border-radius: 2px; }

@media (max-width: 720px) { td.day, th.day { display: none; } th, td { padding: 5px 6px; } }
@media print {
  :root { --paper: #fff; }
  body { max-width: none; padding: 0; font-size: 9.5px; }
  h1 { font-size: 16px; }
  h2 { font-size: 13px; margin-top: 16px; break-after: avoid; }
  th, td { padding: 3px 6px; }
  tr { break-inside: avoid; }
}
"""

_WIDTH, _LEFT, _RIGHT, _TOP = 1130, 130, 16, 14
_ORDERS_HEIGHT, _BAND, _STEP = 56, 16, 26
_BINS = 160
_ROLES = {"primary": "primary", "alone": "primary", "standby": "standby", "gone": "gone"}
_LEGEND = (("primary", "primary"), ("standby", "standby"), ("between", "takes over, opens or stops"), ("gone", "lost"))


def render(report: dict[str, Any]) -> str:
    """Render a report; what came from a process is escaped, since it may say anything."""
    failures = "".join(f"<li>{escape(line)}</li>" for line in report["failures"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Drill: {escape(report["drill"])}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Drill: {escape(report["drill"].replace("_", " "))}</h1>
<div class="faint">{_day(report["began_at"])} to {_day(report["ended_at"])} UTC, as a client saw it.</div>
<div class="verdict {report["verdict"]}">{report["verdict"]}</div>
{f'<ul class="failures">{failures}</ul>' if failures else ""}
{_counts(report)}
<h2>Timeline</h2>
{_chart(report)}
{_events(report["timeline"])}
{_outages(report["outages"])}
{_differences(report)}
<h2>How it was measured</h2>
{_facts(report)}
</body>
</html>
"""


def _day(time: str) -> str:
    return escape(time[:19].replace("T", " "))


def _seconds(value: float | None) -> str:
    """Write a duration with as many digits as it deserves."""
    if value is None:
        return "not measured"
    return f"{value * 1000:.1f} ms" if abs(value) < 1 else f"{value:.3f} s"


def _counts(report: dict[str, Any]) -> str:
    measured, targets = report["measured"], report["targets"]
    rto, rpo, orders = measured["rto_seconds"], measured["rpo_seconds"], report["orders"]
    limit = targets["rpo_below_seconds"]
    cards = [
        ("RTO", _seconds(rto), f"target: below {targets['rto_below_seconds']:g} s",
         rto is not None and rto < targets["rto_below_seconds"]),
        ("RPO", _seconds(rpo) if rpo else "0", f"target: {f'below {limit:g} s' if limit else '0, nothing missing'}",
         (measured["missing"] == 0) if limit == 0 else rpo < limit),
        ("missing", measured["missing"], "acknowledged orders", measured["missing"] == 0 or limit > 0),
        ("doubled", measured["doubled"], "acknowledged orders", measured["doubled"] == 0),
        ("changed", measured["changed"], "acknowledged orders", measured["changed"] == 0),
        ("acknowledged", orders["accepted"], f"of {orders['sent']} sent", orders["accepted"] > 0),
    ]  # fmt: skip
    return '<div class="counts">' + "".join(
        f'<div class="count {"passed" if good else "failed"}"><b>{value}</b>{name}<p>{words}</p></div>'
        for name, value, words, good in cards
    ) + "</div>"  # fmt: skip


def window(report: dict[str, Any]) -> tuple[float, float]:
    """Return the seconds that the chart shows: around the longest outage, or all of it where there was none."""
    times = report["accepted_seconds"]
    ended = [each for each in report["outages"] if each["rto_seconds"] is not None]
    if not ended or len(ended) < len(report["outages"]):
        return min([0.0, *times]), max([1.0, *times, *(each["seconds"] for each in report["timeline"])])
    worst = max(ended, key=lambda each: each["rto_seconds"])
    first = min(worst["last_acknowledged"]["seconds"], worst["fault_at"]["seconds"])
    last = worst["first_acknowledged"]["seconds"]
    pad = max(0.6 * (last - first), 0.1)
    return first - pad, last + pad


def _chart(report: dict[str, Any]) -> str:
    begin, end = window(report)
    scale = (_WIDTH - _LEFT - _RIGHT) / (end - begin)
    base = _TOP + _ORDERS_HEIGHT
    bottom = base + 12 + _STEP * len(report["members"])

    def x(seconds: float) -> float:
        return round(_LEFT + (min(max(seconds, begin), end) - begin) * scale, 1)

    parts = []
    for outage in report["outages"]:
        last, first = outage["last_acknowledged"], outage["first_acknowledged"]
        if last is not None:
            left, right = x(last["seconds"]), x(first["seconds"] if first else end)
            parts.append(f'<rect class="outage" x="{left}" y="{_TOP}" width="{max(right - left, 1):.1f}" '
                         f'height="{bottom - _TOP}"/>')  # fmt: skip
    parts += _order_bars(report["accepted_seconds"], begin, end, base)
    parts.append(f'<text class="label" x="10" y="{base - 4}">orders accepted</text>')
    for number, member in enumerate(report["members"]):
        top = base + 12 + _STEP * number
        parts.append(f'<text x="10" y="{top + 12}">{escape(member["member"])}</text>')
        spans = [*member["roles"], {"seconds": end, "role": "end"}]
        for now, after in pairwise(spans):
            left, right = x(now["seconds"]), x(after["seconds"])
            if right > left:
                title = escape(f"{now['role']} from {now['seconds']:.3f} s")
                parts.append(f'<rect class="{_ROLES.get(now["role"], "between")}" x="{left}" y="{top}" '
                             f'width="{right - left:.1f}" height="{_BAND}"><title>{title}</title></rect>')  # fmt: skip
    for outage in report["outages"]:
        at = outage["fault_at"]["seconds"]
        if begin <= at <= end:
            parts.append(f'<line class="mark" x1="{x(at)}" x2="{x(at)}" y1="{_TOP}" y2="{bottom}"/>')
            parts.append(f'<text x="{x(at) + 4}" y="{_TOP + 10}">{escape(outage["fault"])}</text>')
    parts += _axis(begin, end, bottom)
    legend = "".join(
        f'<span><svg viewBox="0 0 11 11"><rect class="{name}" width="11" height="11"/></svg>{words}</span>'
        for name, words in _LEGEND
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {bottom + 34}" role="img" aria-label="Orders accepted and roles of the members">'
        f'{"".join(parts)}</svg>\n<div class="legend">{legend if report["members"] else ""}'
        "<span>shaded: no order was acknowledged</span></div>"
    )


def _order_bars(times: list[float], begin: float, end: float, base: float) -> list[str]:
    counts = [0] * _BINS
    for at in times:
        if begin <= at < end:
            counts[int((at - begin) / (end - begin) * _BINS)] += 1
    width = (_WIDTH - _LEFT - _RIGHT) / _BINS
    # What an outage held back comes all at once: higher than three times the usual it need not be drawn.
    usual = statistics.median([count for count in counts if count] or [1])
    most = min(max([1, *counts]), 3 * usual)
    counts = [min(count, round(most)) for count in counts]
    return [
        f'<rect class="order" x="{_LEFT + number * width:.1f}" y="{base - (_ORDERS_HEIGHT - 4) * count / most:.1f}" '
        f'width="{width - 1:.1f}" height="{(_ORDERS_HEIGHT - 4) * count / most:.1f}"/>'
        for number, count in enumerate(counts)
        if count
    ]


def _axis(begin: float, end: float, bottom: float) -> list[str]:
    """Five to ten round numbers of seconds since the fault."""
    span = end - begin
    step = next(s * 10.0**e for e in range(-4, 7) for s in (1, 2, 5) if span / (s * 10.0**e) <= 10)
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}"/>']
    number = -int(-begin // step)
    while number * step <= end:
        x = _LEFT + (number * step - begin) / span * (_WIDTH - _LEFT - _RIGHT)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(
            f'<text class="label" x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{number * step:g} s</text>'
        )
        number += 1
    return parts


def _events(timeline: list[dict[str, Any]]) -> str:
    rows = "\n".join(
        f'<tr class="{"fault" if one["who"] == "fault" else ""}"><td class="number">{one["seconds"]:+.3f} s</td>'
        f'<td class="who">{escape(one["who"])}</td><td>{escape(one["what"])}</td>'
        f'<td class="number day">{escape(one["at"][11:23])}</td></tr>'
        for one in timeline
    )
    return (
        '<table style="margin-top: 14px">\n<thead><tr><th>Since the fault</th><th>Who</th><th>What</th>'
        f'<th class="day">Time of day (UTC)</th></tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>'
    )


def _outages(outages: list[dict[str, Any]]) -> str:
    if len(outages) < 2:
        return ""
    rows = "\n".join(
        f'<tr><td>{escape(one["fault"])}</td><td class="number">{one["fault_at"]["seconds"]:.3f} s</td>'
        f'<td class="number">{_seconds(one["rto_seconds"])}</td></tr>'
        for one in outages
    )
    return (
        "<h2>Each fault</h2>\n<table>\n<thead><tr><th>Fault</th><th>At</th><th>No answer for</th></tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>"
    )


def _differences(report: dict[str, Any]) -> str:
    if not report["differences"]:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in report["differences"])
    more = report["differences_not_shown"]
    return f"<h2>What is not as it was told</h2>\n<ul>{lines}</ul>\n" + (f"<p>and {more} more</p>" if more else "")


def _facts(report: dict[str, Any]) -> str:
    canary, orders, compared = report["canary"], report["orders"], report["compared_with"]
    side = {"B": "buy", "S": "sell"}.get(canary["side"], canary["side"])
    journal = compared["journal_orders"]
    rows = (
        ("Canary", f"{canary['session']}: {side} {canary['quantity']} {canary['symbol']} at "
                   f"{canary['price'] / 10_000:.4f}, {canary['rate']:g} orders a second"),
        ("RTO", "from the last order acknowledged before the fault to the first after it, on one monotonic clock; not "
                "measured finer than acknowledgements follow one another"),
        ("Between acknowledgements", _spread(orders["between_acknowledgements_seconds"])),
        ("Acknowledged after", _spread(orders["acknowledged_after_seconds"])),
        ("RPO", f"each report that the canary had, byte by byte against the {compared['reports']} of its session now"
                + ("" if journal is None else f", and against {journal} orders of the journal")),
        ("Orders", f"{orders['sent']} sent, {orders['accepted']} accepted, {orders['rejected']} rejected, "
                   f"{orders['executed']} executions, {orders['unanswered']} without an answer"),
        ("Order entry", ", ".join(canary["endpoints"])),
        ("The clock jumped by", f"{_seconds(report['clock_jump_seconds'])} at most; no figure rests on it"),
        ("The canary", report["ended"]),
        ("SHA-256 of its log", report.get("log_sha256", "none")),
    )  # fmt: skip
    return (
        "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in rows) + "</dl>"
    )


def _spread(spread: dict[str, float] | None) -> str:
    if spread is None:
        return "none"
    return f"{_seconds(spread['p50'])} median, {_seconds(spread['p99'])} 99 %, {_seconds(spread['max'])} most"
