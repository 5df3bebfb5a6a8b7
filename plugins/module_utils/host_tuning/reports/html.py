# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML file that needs nothing else.

No network, no font, no script of others; it prints, and follows the reader's dark or light. What a tunable is stands
once, and below it each different state with the hosts that are in it, so that a page of hundreds of hosts stays small
and the odd one is seen.
"""

from __future__ import annotations

from html import escape
from typing import Any

from ..audit import VERDICTS
from . import effect_table
from .fleet import SEVERITIES, WRONG, by_tunable
from .histogram import histogram
from .style import SCRIPT, STYLE
from .text import waived

WORDS: dict[str, str] = {verdict: verdict.replace("_", " ") for verdict in VERDICTS}
NAMED = 6
"""How many hosts are named before the rest is folded away."""
FOLDED = ("not_applicable",)
"""The verdicts whose rows are shown only when they are asked for: half of a laptop's page, and nothing to do."""
GATES = ("failed", "open", "passed")
"""In the order in which a reader wants the hosts."""
DESCRIBED = 3
"""Up to how many machines are described one by one above the table of all."""


def render(report: dict[str, Any]) -> str:
    """Render a fleet's report; what came from a host is escaped, since a host may say anything."""
    machines = report["machines"]
    hosts, count = report["hosts"], len(machines)
    where = f"{_plural(hosts, 'host')} on {_plural(count, 'machine')}" if hosts != count else _plural(hosts, "host")
    boxes = "\n".join(
        f'<label><input type="checkbox" value="{verdict}"{"" if verdict in FOLDED else " checked"}> '
        f"{WORDS[verdict]} <span class=faint>{report['counts'][verdict]}</span></label>"
        for verdict in VERDICTS
        if report["counts"][verdict]
    )
    groups = by_tunable(machines)
    tables = "\n".join(_group(title, tunables, count) for title, tunables in groups)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Host audit</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Host audit</h1>
<div class="faint">{escape(where)}, {escape(report["generated_at"])}. Read only: nothing was changed.</div>
{_counts(report["counts"])}
{_hosts(machines)}
{_first(groups)}
<details class="faint"><summary>How the score is made</summary>{escape(report["formula"])}</details>
{_changes(report)}
{_odd(report["odd"])}
{_effects(machines, report["unread"])}
{_measurements(machines)}
<h2>Tunables</h2>
<div class="filter">
{boxes}
<input type="search" placeholder="Find: busy_poll, high, irq …" aria-label="Find">
</div>
{tables}
<script>{SCRIPT}</script>
</body>
</html>
"""


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _counts(counts: dict[str, int]) -> str:
    cards = "".join(
        f'<div class="count {verdict}"><b>{counts[verdict]}</b>{WORDS[verdict]}</div>'
        for verdict in VERDICTS
        if counts[verdict]
    )
    return f'<div class="counts">{cards}</div>'


def _names(names: list[str], of: int = 0) -> str:
    """Name the hosts; many are folded, and all are called all."""
    if of > 1 and len(names) == of:
        return "all"
    if len(names) <= NAMED:
        return escape(", ".join(names))
    return (
        f"<details><summary>{escape(', '.join(names[:NAMED]))} and {len(names) - NAMED} more</summary>"
        f"{escape(', '.join(names[NAMED:]))}</details>"
    )


def _hosts(machines: list[dict[str, Any]]) -> str:
    worst_first = sorted(machines, key=lambda machine: (GATES.index(machine["gate"]), machine["score"]))
    rows = "\n".join(map(_host, worst_first))
    heads = ("Hosts", "Kind", "CPUs", "Isolated", "Gate", "Score", "Does not hold", "Unknown", "Ok")
    head = "".join(f"<th{' class=number' if name in heads[5:] else ''}>{name}</th>" for name in heads)
    described = "\n".join(map(_facts, machines)) if len(machines) <= DESCRIBED else ""
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n{described}"


def _host(machine: dict[str, Any]) -> str:
    names, host, counts = machine["names"], machine["host"], machine["counts"]
    shared = " share one machine" if len(names) > 1 else ""
    texts = (_names(names) + shared, _kind(host), escape(host["cpus"]), escape(host["isolated_cpus"] or "none"))
    numbers = (sum(counts[name] for name in WRONG), counts["unknown"], counts["ok"])
    return (
        f"<tr>{''.join(f'<td>{text}</td>' for text in texts)}"
        f'<td><span class="mark gate-{machine["gate"]}">{machine["gate"]}</span></td>{_number(machine["score"])}'
        f"{''.join(map(_number, numbers))}</tr>"
    )


def _number(value: float) -> str:
    return f'<td class="number">{value:g}</td>'


def _kind(host: dict[str, Any]) -> str:
    kind = {True: "virtual machine", False: "metal", None: "not known"}[host["virtual"]]
    return escape(f"{host['instance_type']}, {kind}" if host["instance_type"] else kind)


def _facts(machine: dict[str, Any]) -> str:
    host = machine["host"]
    interfaces = ", ".join(f"{interface['name']} ({interface['driver']})" for interface in host["interfaces"])
    rows = (
        ("Machine", host["name"]),
        ("Processor", host["cpu_model"]),
        ("Architecture", host["architecture"]),
        ("NUMA nodes", host["numa_nodes"]),
        ("Memory", f"{host['memory_mib']} MiB"),
        ("Kernel", host["kernel"]),
        ("Judged interfaces", interfaces or "none"),
    )
    items = "".join(f"<div><dt>{label}</dt><dd>{escape(str(value))}</dd></div>" for label, value in rows)
    return f"<dl>{items}</dl>"


def _first(groups: list[tuple[str, list[list[dict[str, Any]]]]]) -> str:
    """Name what is wrong and weighs most, so that nobody has to scroll for it."""
    rows = [
        f"<tr><td>{_mark(rows[0]['verdict'])}</td><td>{severity}</td>"
        f'<td><a href="#{escape(rows[0]["id"])}">{escape(rows[0]["title"])}</a></td>'
        f"<td>{escape(rows[0]['planes']['desired'])}</td><td>{escape(rows[0]['planes']['live'] or '–')}</td>"
        f"<td>{escape(rows[0]['planes']['persisted'] or '–')}</td></tr>"
        for severity in SEVERITIES[:2]
        for _title, tunables in groups
        for rows in tunables
        if rows[0]["verdict"] in WRONG and rows[0]["severity"] == severity
    ]
    heads = ("Verdict", "Severity", "Does not hold", "Wanted", "Live", "Next boot")
    return _section("First: critical or high", heads, rows, "first")


def _changes(report: dict[str, Any]) -> str:
    rows = [
        f"<tr><td>{_names(row['names'])}</td><td>{_link(row['id'])}</td>"
        f"<td>{_mark(row['was'])} {escape(row['live_was'] or '')}</td>"
        f"<td>{_mark(row['now'])} {escape(row['live_now'] or '')}</td></tr>"
        for row in report["changes"]
    ]
    return _section(f"Changed since {report['since']}", ("Hosts", "Tunable", "Was", "Is"), rows)


def _odd(odd: list[dict[str, Any]]) -> str:
    rows = [
        f"<tr><td>{_names(row['names'])}</td><td>{_link(row['id'])}</td>"
        f"<td>{_mark(row['verdict'])} {escape(row['live'] or '')}</td>"
        f"<td>{row['count']} have {escape(row['others'] or '')}</td></tr>"
        for row in odd
    ]
    return _section("The odd host out", ("Hosts", "Tunable", "Here", "Others of its kind"), rows)


def _link(name: str) -> str:
    return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>'


def _section(title: str, heads: tuple[str, ...], rows: list[str], kind: str = "") -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "\n".join(rows)
    named = f' class="{kind}" id="{kind}"' if kind else ""
    return f"<h2>{escape(title)}</h2>\n<table{named}><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _effects(machines: list[dict[str, Any]], unread: list[str]) -> str:
    write = effect_table.of_few if len(machines) <= DESCRIBED else effect_table.of_fleet
    notes = "".join(f'<p class="faint">{escape(line)}</p>' for line in unread)
    return _section("Measured effect", effect_table.HEADS, write(machines, _names), "effects") + notes


def _measurements(machines: list[dict[str, Any]]) -> str:
    figures = "\n".join(
        histogram(f"{', '.join(machine['names'])}: {measurement['title']}", measurement["histogram"])
        for machine in machines
        for measurement in machine["measurements"]
    )
    return f'<h2>Distributions</h2>\n<div class="figures">\n{figures}\n</div>' if figures else ""


def _group(title: str, tunables: list[list[dict[str, Any]]], machines: int) -> str:
    measured = any(row["effects"] for rows in tunables for row in rows)
    note = "" if measured else ' <span class="faint">effect not measured</span>'
    body = "\n".join(_tunable(rows, machines) for rows in tunables)
    hosts = "<th>Hosts</th>" if machines > 1 else ""
    column = '<col class="names">' if machines > 1 else ""
    return f"""<div class="group">
<h3>{escape(title)}{note}</h3>
<table class="tunables">
<colgroup><col class="verdict"><col class="severity"><col><col class="value"><col class="value">{column}</colgroup>
<thead><tr><th>Verdict</th><th class="severity">Severity</th><th>Tunable</th><th>Wanted</th><th>Live</th>{hosts}</tr>
</thead>
{body}
</table>
</div>"""


def _tunable(rows: list[dict[str, Any]], machines: int) -> str:
    hosts = sum(len(row["names"]) for row in rows)
    effects = _of_fleet(rows) if machines > NAMED else ""
    lines = "\n".join(_row(row, rows[0], hosts if machines > 1 else 0, effects) for row in rows)
    verdicts = " ".join(dict.fromkeys(row["verdict"] for row in rows))
    return f'<tbody id="{escape(rows[0]["id"])}" data-verdicts="{verdicts}">\n{lines}\n</tbody>'


def _row(row: dict[str, Any], first: dict[str, Any], hosts: int, effects: str) -> str:
    """Write one state of a tunable; what the tunable is stands in the first row alone."""
    cells = [f"<td>{_mark(row['verdict'])}</td>"]
    if row is first:
        cells += [f"<td>{row['severity']}</td>", f"<td>{_described(row)}{effects}</td>"]
    else:
        remedy = _remedy(row) if row["fix"] != first["fix"] else ""
        cells.append(f"<td></td><td>{remedy}</td>")
    if row["verdict"] == "not_applicable":
        cells.append(f'<td colspan="2" class="faint">{escape(row["because"])}</td>')
    else:
        tolerance = f"<p>{escape(row['tolerance'])}</p>" if row["tolerance"] != "exact" else ""
        cells.append(f"<td>{escape(row['planes']['desired'])}{tolerance}</td><td>{_found(row, hosts)}</td>")
    if hosts:
        cells.append(f"<td>{_names(row['names'], hosts)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _described(row: dict[str, Any]) -> str:
    why = f"<p>{escape(row['why'])}</p>" if row["verdict"] != "not_applicable" else ""  # of no use where it cannot be
    risk = f"<p>Risk: {escape(row['risk'])}</p>" if row["risk"] and row["verdict"] in WRONG else ""
    return (
        f"<b>{escape(row['title'])}</b> <code>{escape(row['id'])}</code>{why}{risk}"
        f"<p><code>{escape(row['path'])}</code> · {escape(row['source'])}</p>{_remedy(row)}"
    )


def _remedy(row: dict[str, Any]) -> str:
    if not row["fix"] or row["verdict"] not in WRONG:
        return ""
    reboot = " Then reboot." if row["needs_reboot"] else ""
    return f'<p class="fix">Fix: <code>{escape(row["fix"])}</code>{reboot}</p>'


def _found(row: dict[str, Any], hosts: int) -> str:
    """Write what was found on each plane that has something to say, and why the verdict is what it is."""
    planes = row["planes"]
    lines = [escape(planes["live"] or "–")]
    if row["verdict"] != "ok":
        by = f" ({row['persisted_by']})" if row["persisted_by"] else ""
        lines += [f"this boot: {escape(planes['boot'])}"] if planes["boot"] is not None else []
        lines += [f"next boot: {escape(planes['persisted'] + by)}"] if planes["persisted"] is not None else []
    lines += [escape(waived(row["waiver"]))] if row["waiver"] else []
    lines += [escape(row["because"])] if row["because"] else []
    return lines[0] + "".join(f"<p>{line}</p>" for line in lines[1:]) + _measured(row, hosts)


def _of_fleet(rows: list[dict[str, Any]]) -> str:
    """Write once a tunable which effects were measured on a fleet; the rest stands in their table."""
    verdicts = sorted({text.partition(":")[0].partition(",")[0] for row in rows for text in row["effects"]})
    return f'<p>Effect: <a href="#effects">{escape(", ".join(verdicts))}</a></p>' if verdicts else ""


def _measured(row: dict[str, Any], hosts: int) -> str:
    """Write the effect, by host where it is not the same on all; nothing of a fleet's, which stands once."""
    effects: dict[str, list[str]] = row["effects"]
    if hosts > NAMED or not effects:
        return ""
    if list(effects.values()) == [row["names"]]:
        return f"<p>Effect: {escape(next(iter(effects)))}</p>"
    lines = "".join(f"<p>{escape(', '.join(names))}: {escape(text)}</p>" for text, names in effects.items())
    return f"<details><summary>Effect, by host</summary>{lines}</details>"


def _mark(verdict: str) -> str:
    return f'<span class="mark {verdict}">{WORDS[verdict]}</span>'
