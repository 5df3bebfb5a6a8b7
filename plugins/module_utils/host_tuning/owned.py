# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are ours as a whole: lines of many tunables, each below the names of those that want it.

The file itself says which line is whose, so that tuning one group of tunables leaves the lines of the others alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

HEADER = "# Managed by Ironbook (module host_tuning), which writes it anew. With state=reverted it goes away."
Lines = dict[tuple[str, str], frozenset[str]]
"""By section and text of a line: the tunables that want it."""


class ForeignError(Exception):
    """A file of our name that is not ours; the text says so."""


def parse(path: str, text: str) -> Lines:
    """Read a file that `render` has written.

    Raises:
        ForeignError: somebody else has written it.

    """
    if path.endswith(".json"):
        return _parse_json(path, text)
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        raise ForeignError(f"{path}: it is there and not Ironbook's: move it away")
    found: Lines = {}
    section, wanted_by = "", frozenset[str]()
    for line in lines[1:]:
        if line.startswith("# "):
            wanted_by = frozenset(line[2:].split(", "))
        elif re.fullmatch(r"\[\w+\]", line):
            section = line[1:-1]
        elif line:
            found[section, line] = wanted_by
    return found


def render(path: str, lines: Lines) -> str:
    """Write a file; the same lines make the same text in whatever order they came."""
    if path.endswith(".json"):
        return _render_json(lines)
    ordered = sorted(lines, key=lambda key: (key[0], sorted(lines[key]), key[1]))
    text, section = [HEADER], ""
    said: frozenset[str] = frozenset()
    for key in ordered:
        if key[0] != section:
            section = key[0]
            text.append(f"[{section}]")
        if lines[key] != said:
            said = lines[key]
            text.append(f"# {', '.join(sorted(said))}")
        text.append(key[1])
    return "\n".join(text) + "\n"


def without(lines: Lines, tunables: frozenset[str]) -> Lines:
    """Return the lines that others still want."""
    kept = {key: wanted_by - tunables for key, wanted_by in lines.items()}
    return {key: wanted_by for key, wanted_by in kept.items() if wanted_by}


def _parse_json(path: str, text: str) -> Lines:
    try:
        content: dict[str, Any] = json.loads(text)
        if content["comment"] != HEADER[2:]:
            raise KeyError("comment")
        entries = content["entries"]
        return {
            ("", json.dumps({k: v for k, v in entry.items() if k != "tunables"}, sort_keys=True)): frozenset(
                entry["tunables"]
            )
            for entry in entries
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ForeignError(f"{path}: it is there and not Ironbook's: move it away") from None


def _render_json(lines: Lines) -> str:
    """An entry a line, so that a difference shows what is different."""
    ordered = sorted(lines, key=lambda key: (sorted(lines[key]), key[1]))
    entries = [json.dumps({**json.loads(key[1]), "tunables": sorted(lines[key])}, sort_keys=True) for key in ordered]
    body = ",\n".join(f"  {entry}" for entry in entries)
    return f'{{"comment": {json.dumps(HEADER[2:])}, "entries": [\n{body}\n]}}\n'
