# SPDX-License-Identifier: GPL-3.0-or-later
"""Waivers: differences that somebody has accepted, until a day and for a reason."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .catalogue import TUNABLES

FIELDS = ("id", "host", "owner", "reason", "expires")
WAIVABLE = ("harmful", "drift", "pending_reboot", "not_persisted")
"""What is not known cannot be accepted."""


@dataclass(frozen=True)
class Waiver:
    """One difference that one owner accepts."""

    id: str
    owner: str
    reason: str
    expires: str
    """The last day on which it counts, as 2026-12-31."""
    expired: bool


def waivers_for(entries: Iterable[Mapping[str, Any]], host: str, today: datetime.date) -> list[Waiver]:
    """Return those that are meant for a host.

    Args:
        entries: mappings with `id`, `host` (a pattern of the names of hosts, such as ``engine-0-*``), `owner`, `reason`
            and `expires` (a date).
        host: the name of the host in the inventory.
        today: the day on which it is judged.

    Raises:
        ValueError: an entry is none; one line that names it and what it lacks.

    """
    known = {tunable.id for tunable in TUNABLES}
    found = []
    for number, entry in enumerate(entries, 1):
        named = f"waiver {number}"
        missing = [field for field in FIELDS if not str(entry.get(field) or "").strip()]
        if missing:
            raise ValueError(f"{named}: no {', no '.join(missing)}: a waiver has {', '.join(FIELDS)}")
        named = f"{named} ({entry['id']})"
        unknown = sorted(set(entry) - set(FIELDS))
        if unknown:
            raise ValueError(f"{named}: {unknown[0]} is no field of a waiver, which has {', '.join(FIELDS)}")
        if entry["id"] not in known:
            raise ValueError(f"{named}: the catalogue has no tunable of this name")
        try:
            expires = datetime.date.fromisoformat(str(entry["expires"]))
        except ValueError:
            raise ValueError(f"{named}: expires {entry['expires']!r} is no date such as 2026-12-31") from None
        if fnmatch.fnmatchcase(host, str(entry["host"])):
            found.append(Waiver(entry["id"], str(entry["owner"]), str(entry["reason"]), str(expires), expires < today))
    return found


def waive(finding: dict[str, Any], waivers: Sequence[Waiver]) -> dict[str, Any]:
    """Return the finding as it is with its waiver; one that has expired changes nothing and is named."""
    mine = [waiver for waiver in waivers if waiver.id == finding["id"]]
    if finding["verdict"] not in WAIVABLE or not mine:
        return finding
    waiver = max(mine, key=lambda each: each.expires)
    before = finding["because"]
    if waiver.expired:
        said = f"the waiver of {waiver.owner} expired on {waiver.expires}"
        return {**finding, "because": f"{said}; {before}" if before else said}
    said = f"{waiver.owner} accepts {finding['verdict'].replace('_', ' ')} until {waiver.expires}: {waiver.reason}"
    return {
        **finding,
        "verdict": "waived",
        "because": f"{said}; {before}" if before else said,
        "waiver": {"owner": waiver.owner, "expires": waiver.expires, "reason": waiver.reason},
    }
