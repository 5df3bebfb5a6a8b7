# SPDX-License-Identifier: GPL-3.0-or-later
"""What the formats say alike: a finding in one line."""

from __future__ import annotations

import re
from typing import Any

NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def told(row: dict[str, Any]) -> str:
    """Say in one line what was found, what was wanted and why the verdict is what it is."""
    planes = row["planes"]
    parts = [f"{row['verdict'].replace('_', ' ')}: {row['title']}"]
    if planes["live"] is not None:
        parts.append(f"live {planes['live']}, wanted {planes['desired']}")
    parts += [f"{plane} {planes[plane]}" for plane in ("boot", "persisted") if planes[plane] is not None]
    if row["waiver"]:
        parts.append(waived(row["waiver"]))
    if row["because"]:
        parts.append(row["because"])
    return "; ".join(parts)


def effect_text(row: dict[str, Any]) -> str:
    """Say what was measured of the group of a finding; empty where nothing was."""
    if not row["measured"]:
        return ""
    return row["planes"]["effect"] or f"stale: {row['measured']['stale']}; {row['measured']['measured_at']}"


def waived(waiver: dict[str, Any]) -> str:
    """Say who waived it, for how long and why."""
    return f"waived by {waiver['owner']} until {waiver['expires']}: {waiver['reason']}"


def in_xml(text: str) -> str:
    """Take out the characters that XML 1.0 has no way to write; a host may say anything."""
    return NOT_IN_XML.sub("\ufffd", text)
