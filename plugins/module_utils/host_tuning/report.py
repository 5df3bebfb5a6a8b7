# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet, from the audits of its hosts.

It is pure, so that it can be made again from stored JSON at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from .audit import SCHEMA_VERSION, VERDICTS
from .catalogue import TITLES

SEVERITIES = ("critical", "high", "medium", "low")


def fleet_report(audits: Mapping[str, dict[str, Any]], generated_at: str) -> dict[str, Any]:
    """Put the audits of several hosts together.

    Hosts that are the same machine, which they are when they are emulated on one, share its section: their boot ids are
    equal.

    Args:
        audits: what the module returned, by the name of the host in the inventory.
        generated_at: the time, as it is to be shown.

    """
    machines: dict[str, dict[str, Any]] = {}
    for name in sorted(audits):
        audit = audits[name]
        key = f"{audit['host']['boot_id'] or name} {audit['fingerprint']}"
        if key in machines:
            machines[key]["names"].append(name)
        else:
            machines[key] = {
                "names": [name],
                **{part: audit[part] for part in ("host", "counts", "fingerprint", "findings")},
            }
    totals = {verdict: sum(machine["counts"][verdict] for machine in machines.values()) for verdict in VERDICTS}
    fingerprints = [f"{'+'.join(machine['names'])} {machine['fingerprint']}" for machine in machines.values()]
    return {
        "schema": "ironbook.host_audit",
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at,
        "hosts": len(audits),
        "counts": totals,
        "fingerprint": hashlib.sha256("\n".join(fingerprints).encode()).hexdigest(),
        "machines": list(machines.values()),
    }


def by_group(findings: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Sort findings into groups, and within one by what needs a look first."""
    groups: list[tuple[str, list[dict[str, Any]]]] = []
    for group, title in TITLES.items():
        rows = [finding for finding in findings if finding["group"] == group]
        rows.sort(key=lambda row: (VERDICTS.index(row["verdict"]), SEVERITIES.index(row["severity"])))
        if rows:
            groups.append((title, rows))
    return groups
