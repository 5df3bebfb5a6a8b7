# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page looks, in light, in dark and on paper, and the few lines that filter its tables."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1d2126; --faint: #667079; --line: #dcdfe1; --card: #ffffff;
  --bad: #b3261e; --bad-paper: #fdecea; --doubt: #8a5a00; --doubt-paper: #fff3d9;
  --good: #1b6b3a; --good-paper: #e6f4ea; --none: #5d666e; --none-paper: #eef0f2; --bar: #2f6fb2; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e7ea; --faint: #98a2ab;
  --line: #30363c; --card: #1c2024;
  --bad: #ff9a90; --bad-paper: #4a1f1c; --doubt: #f5c566; --doubt-paper: #453410;
  --good: #85d6a0; --good-paper: #183d26; --none: #a9b3bb; --none-paper: #2b3136; --bar: #6aa5e0; } }
.drift, .harmful, .gate-failed, .worse { --tone: var(--bad); --tone-paper: var(--bad-paper); }
.pending_reboot, .not_persisted, .unknown, .gate-open, .stale {
  --tone: var(--doubt); --tone-paper: var(--doubt-paper); }
.ok, .gate-passed, .better { --tone: var(--good); --tone-paper: var(--good-paper); }
.waived, .not_applicable, .no_difference, .cannot_tell { --tone: var(--none); --tone-paper: var(--none-paper); }
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
.count b { display: block; font-size: 26px; line-height: 1.15; font-variant-numeric: tabular-nums; color: var(--tone); }

.filter { display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center; margin: 18px 0 0; }
.filter input[type=search] { width: 320px; padding: 5px 10px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); color: inherit; font: inherit; }

dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 8px 22px; margin: 12px 0 4px; }
dt { color: var(--faint); font-size: 12.5px; }
dd { margin: 0; overflow-wrap: anywhere; }
.first td, .effects td { padding: 4px 10px; }
details { margin: 12px 0 0; }
a { color: var(--bar); }

table { width: 100%; border: 1px solid var(--line); border-collapse: collapse; background: var(--card); }
.tunables { table-layout: fixed; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--faint); font-size: 12.5px; font-weight: 600; white-space: nowrap; }
td p { margin: 2px 0 0; color: var(--faint); font-size: 13px; }
tbody:target td { background: var(--doubt-paper); }
col.verdict { width: 128px; }
col.severity { width: 96px; }
col.value { width: 17%; }
col.names { width: 15%; }
.mark { display: inline-block; padding: 1px 9px; border-radius: 10px; font-size: 12.5px; font-weight: 600;
  white-space: nowrap; color: var(--tone); background: var(--tone-paper); }
.fix { color: var(--ink); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; }

.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 14px; }
figure { margin: 0; padding: 10px 12px 2px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); }
figcaption p { margin: 0; color: var(--faint); font-size: 13px; }
svg { display: block; width: 100%; height: auto; }
svg rect { fill: var(--bar); }
svg line { stroke: var(--line); }
svg text { fill: var(--faint); font: 12px system-ui, sans-serif; }
@media (max-width: 720px) {
  col.severity, th.severity, .tunables td:nth-child(2) { display: none; }
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
    for (const row of group.querySelectorAll('tbody')) {
      const text = row.textContent.toLowerCase();
      const verdicts = row.dataset.verdicts.split(' ');
      row.hidden = !(verdicts.some(name => shown.has(name)) && words.every(word => text.includes(word)));
      any = any || !row.hidden;
    }
    group.hidden = !any;
  }
}
for (const box of boxes) box.addEventListener('change', filter);
search.addEventListener('input', filter);
function reveal() {  // what a link leads to is shown, whatever the boxes say
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!row) return;
  row.hidden = row.closest('.group').hidden = false;
  row.scrollIntoView();
}
addEventListener('hashchange', reveal);
filter();
reveal();
"""
