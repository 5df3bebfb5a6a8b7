# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's table of what groups of tunables have come to: each figure of a few hosts, the ends of a fleet's."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from .effects import difference_text, figure_text, leading, quantity, words

HEADS = ("Hosts", "Group, tried as a whole", "Figure", "Before", "After", "Difference", "Says")
Names = Callable[[list[str]], str]


def of_few(machines: list[dict[str, Any]], names: Names) -> list[str]:
    """Write a row for each figure; `names` writes the names of hosts."""
    return [
        _figure(effect, figure, _tried(names(machine["names"]), effect) if number == 0 else "<td></td><td></td>")
        for machine in machines
        for effect in machine["effects"]
        for number, figure in enumerate(effect["figures"])
    ]


def of_fleet(machines: list[dict[str, Any]], names: Names) -> list[str]:
    """Write a row for each group and verdict, with the smallest and the largest difference."""
    alike: dict[tuple[str, ...], list[tuple[list[str], dict[str, Any]]]] = {}
    for machine in machines:
        for effect in machine["effects"]:
            key = (effect["group"], effect["verdict"], effect["outcome"], effect["stale"])
            alike.setdefault(key, []).append((machine["names"], effect))
    rows = []
    for found in alike.values():
        figures = [leading(effect) for _names, effect in found]
        figures = sorted((each for each in figures if "difference" in each), key=lambda each: each["difference"])
        ends = "".join(f"<p>{escape(figure_text(figure))}</p>" for figure in (*figures[:1], *figures[1:][-1:]))
        hosts = names([name for each, _effect in found for name in each])
        times = sorted({effect["measured_at"] for _names, effect in found})
        shown = {**found[0][1], "measured_at": " to ".join(dict.fromkeys((times[0], times[-1])))}
        rows.append(f'<tr>{_tried(hosts, shown)}<td colspan="5">{ends}</td></tr>')
    return rows


def _tried(hosts: str, effect: dict[str, Any]) -> str:
    verdict = "stale" if effect["stale"] else effect["verdict"]
    stale = f"<p>{escape(effect['stale'])}</p>" if effect["stale"] else ""
    return (
        f"<td>{hosts}</td><td><code>{escape(effect['group'])}</code> "
        f'<span class="mark {escape(verdict)}">{escape(words(verdict))}</span> {escape(effect["outcome"])}{stale}'
        f"<p>{escape(effect['measured_at'])}</p></td>"
    )


def _figure(effect: dict[str, Any], figure: dict[str, Any], tried: str) -> str:
    if "difference" not in figure:
        said = f'<td colspan="4" class="faint">{escape(figure["because"])}</td>'
        return f"<tr>{tried}<td>{escape(figure['mode'])} {escape(figure['name'])}</td>{said}</tr>"
    cells = (
        f"{figure['mode']} {figure['name']}",
        *(quantity(figure[name], figure["unit"]) for name in ("before", "after")),
        difference_text(figure),
        words(figure["verdict"]),
    )
    kind = ' class="faint"' if effect["stale"] else ""
    return f"<tr{kind}>{tried}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
