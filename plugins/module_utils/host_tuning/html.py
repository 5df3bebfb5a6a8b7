# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML file that needs nothing else.

No network, no font, no script of others; it prints, and follows the reader's dark or light.
"""

from __future__ import annotations

from html import escape
from typing import Any

from .audit import VERDICTS
from .report import by_group

WORDS = {verdict: verdict.replace("_", " ") for verdict in VERDICTS}

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1d2126; --faint: #667079; --line: #dcdfe1; --card: #ffffff;
  --drift: #b3261e; --drift-paper: #fdecea; --unknown: #8a5a00; --unknown-paper: #fff3d9;
  --ok: #1b6b3a; --ok-paper: #e6f4ea; --not_applicable: #5d666e; --not_applicable-paper: #eef0f2; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e7ea; --faint: #98a2ab;
  --line: #30363c; --card: #1c2024;
  --drift: #ff9a90; --drift-paper: #4a1f1c; --unknown: #f5c566; --unknown-paper: #453410;
  --ok: #85d6a0; --ok-paper: #183d26; --not_applicable: #a9b3bb; --not_applicable-paper: #2b3136; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 2px; }
h2 { font-size: 19px; margin: 34px 0 6px; }
h3 { font-size: 15px; margin: 24px 0 6px; }
.faint { color: var(--faint); }
code { font: 12.5px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
[hidden] { display: none !important; }

.counts { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0 8px; }
.count { min-width: 118px; padding: 8px 16px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); }
.count b { display: block; font-size: 26px; line-height: 1.15; font-variant-numeric: tabular-nums; }
.drift b { color: var(--drift); }
.unknown b { color: var(--unknown); }
.ok b { color: var(--ok); }
.not_applicable b { color: var(--not_applicable); }

.filter { display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center; margin: 18px 0 0; }
.filter input[type=search] { width: 320px; padding: 5px 10px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); color: inherit; font: inherit; }

dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 8px 22px; margin: 12px 0 4px; }
dt { color: var(--faint); font-size: 12.5px; }
dd { margin: 0; overflow-wrap: anywhere; }
.first { margin: 14px 0 0; }
.first a { color: var(--drift); }

table { width: 100%; border: 1px solid var(--line); border-collapse: collapse; table-layout: fixed;
  background: var(--card); }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--faint); font-size: 12.5px; font-weight: 600; }
td p { margin: 2px 0 0; color: var(--faint); font-size: 13px; }
tr:target td { background: var(--unknown-paper); }
col.verdict { width: 128px; }
col.severity { width: 96px; }
col.value { width: 17%; }
.mark { display: inline-block; padding: 1px 9px; border-radius: 10px; font-size: 12.5px; font-weight: 600;
  white-space: nowrap; }
.mark.drift { color: var(--drift); background: var(--drift-paper); }
.mark.unknown { color: var(--unknown); background: var(--unknown-paper); }
.mark.ok { color: var(--ok); background: var(--ok-paper); }
.mark.not_applicable { color: var(--not_applicable); background: var(--not_applicable-paper); }

@media (max-width: 720px) {
  col.severity, th.severity, td.severity { display: none; }
  col.verdict { width: 104px; }
  th, td { padding: 6px; }
}
@media print {
  :root { --paper: #fff; }
  body { max-width: none; padding: 0; font-size: 9.5px; }
  h1 { font-size: 16px; }
  h2 { font-size: 13px; margin-top: 16px; }
  h3 { font-size: 11px; margin-top: 12px; break-after: avoid; }
  td p, th, dt, code, .mark { font-size: 8.5px; }
  th, td { padding: 3px 6px; }
  tr { break-inside: avoid; }
  .count { min-width: 80px; padding: 4px 10px; }
  .count b { font-size: 16px; }
  .filter { display: none; }
  col.verdict { width: 92px; }
  col.severity { width: 56px; }
}
"""

SCRIPT = """
const boxes = [...document.querySelectorAll('.filter input[type=checkbox]')];
const search = document.querySelector('.filter input[type=search]');
function filter() {
  const shown = new Set(boxes.filter(box => box.checked).map(box => box.value));
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const group of document.querySelectorAll('.group')) {
    let any = false;
    for (const row of group.querySelectorAll('tbody tr')) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(shown.has(row.dataset.verdict) && words.every(word => text.includes(word)));
      any = any || !row.hidden;
    }
    group.hidden = !any;
  }
}
for (const box of boxes) box.addEventListener('change', filter);
search.addEventListener('input', filter);
"""


def render(report: dict[str, Any]) -> str:
    """Render a fleet's report; what came from a host is escaped, since a host may say anything."""
    machines = "\n".join(_machine(f"m{number}-", machine) for number, machine in enumerate(report["machines"]))
    hosts, count = report["hosts"], len(report["machines"])
    where = f"{_plural(hosts, 'host')} on {_plural(count, 'machine')}" if hosts != count else _plural(hosts, "host")
    boxes = "\n".join(
        f'<label><input type="checkbox" value="{verdict}" checked> {WORDS[verdict]}</label>' for verdict in VERDICTS
    )
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
<div class="filter">
{boxes}
<input type="search" placeholder="Find: busy_poll, high, irq …" aria-label="Find">
</div>
{machines}
<script>{SCRIPT}</script>
</body>
</html>
"""


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _counts(counts: dict[str, int]) -> str:
    cards = "".join(
        f'<div class="count {verdict}"><b>{counts[verdict]}</b>{WORDS[verdict]}</div>' for verdict in VERDICTS
    )
    return f'<div class="counts">{cards}</div>'


def _machine(anchor: str, machine: dict[str, Any]) -> str:
    groups = "\n".join(_group(anchor, title, rows) for title, rows in by_group(machine["findings"]))
    names = ", ".join(machine["names"])
    shared = " share one machine" if len(machine["names"]) > 1 else ""
    return (
        f"<section>\n<h2>{escape(names)}{shared}</h2>\n{_facts(machine['host'])}\n"
        f"{_first(anchor, machine['findings'])}\n{groups}\n</section>"
    )


def _first(anchor: str, findings: list[dict[str, Any]]) -> str:
    """Name what is wrong and weighs most, so that nobody has to scroll for it."""
    links = [
        f'<a href="#{anchor}{escape(row["id"])}">{escape(row["title"])}</a>'
        for severity in ("critical", "high")
        for row in findings
        if row["verdict"] == "drift" and row["severity"] == severity
    ]
    return f'<p class="first">These do not hold, and are critical or high: {" · ".join(links)}</p>' if links else ""


def _facts(host: dict[str, Any]) -> str:
    kind = {True: "virtual machine", False: "metal", None: "not known"}[host["virtual"]]
    interfaces = ", ".join(f"{interface['name']} ({interface['driver']})" for interface in host["interfaces"])
    rows = (
        ("Machine", host["name"]),
        ("Kind", f"{host['instance_type']}, {kind}" if host["instance_type"] else kind),
        ("Processor", host["cpu_model"]),
        ("Architecture", host["architecture"]),
        ("CPUs", host["cpus"]),
        ("Isolated CPUs (plan)", host["isolated_cpus"] or "none"),
        ("NUMA nodes", host["numa_nodes"]),
        ("Memory", f"{host['memory_mib']} MiB"),
        ("Kernel", host["kernel"]),
        ("Judged interfaces", interfaces or "none"),
    )
    items = "".join(f"<div><dt>{label}</dt><dd>{escape(str(value))}</dd></div>" for label, value in rows)
    return f"<dl>{items}</dl>"


def _group(anchor: str, title: str, rows: list[dict[str, Any]]) -> str:
    body = "\n".join(_row(anchor, row) for row in rows)
    return f"""<div class="group">
<h3>{escape(title)}</h3>
<table>
<colgroup><col class="verdict"><col class="severity"><col><col class="value"><col class="value"></colgroup>
<thead><tr><th>Verdict</th><th class="severity">Severity</th><th>Tunable</th><th>Wanted</th><th>Live</th></tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>"""


def _row(anchor: str, row: dict[str, Any]) -> str:
    verdict = row["verdict"]
    because = f"<p>{escape(row['because'])}</p>" if row["because"] else ""
    tolerance = f"<p>{escape(row['tolerance'])}</p>" if row["tolerance"] != "exact" else ""
    why = f"<p>{escape(row['why'])}</p>"
    desired, live = row["planes"]["desired"], row["planes"]["live"] or "–"
    values = f"<td>{escape(desired)}{tolerance}</td><td>{escape(live)}{because}</td>"
    if verdict == "not_applicable":  # why it would matter is of no use where it cannot
        why, values = "", f'<td colspan="2" class="faint">{escape(row["because"])}</td>'
    return (
        f'<tr id="{anchor}{escape(row["id"])}" data-verdict="{verdict}">'
        f'<td><span class="mark {verdict}">{WORDS[verdict]}</span></td>'
        f'<td class="severity">{row["severity"]}</td>'
        f"<td><b>{escape(row['title'])}</b> <code>{escape(row['id'])}</code>{why}"
        f"<p><code>{escape(row['path'])}</code> · {escape(row['source'])}</p></td>"
        f"{values}</tr>"
    )
