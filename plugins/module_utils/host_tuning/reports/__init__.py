# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and programs read of an audit: one report of the fleet, and the files that it is written as.

All of it is pure, so that it can be made again from stored JSON at any time. To add a format: a file here with a
function from the report to text, and its line in :data:`FORMATS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import html, junit, markdown, prometheus, sarif
from .fleet import SCHEMA, SCHEMA_VERSION, SEVERITIES, WRONG, changes, fleet_report

FORMATS = {
    "host_audit.json": lambda report: json.dumps(report, indent=1, sort_keys=True) + "\n",
    "host_audit.html": html.render,
    "host_audit.md": markdown.render,
    "host_audit.xml": junit.render,
    "host_audit.sarif": sarif.render,
    "host_audit.prom": prometheus.render,
}
"""The files by name: JSON for programs of one's own, a page, Markdown for a ticket, JUnit for a pipeline, SARIF 2.1.0
for a code-scanning service, and the textfile of Prometheus' node exporter."""


def report_files(
    audits: Mapping[str, dict[str, Any]],
    generated_at: str,
    before: str | None = None,
    fail_at: str = "",
    experiments: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Make the report of a fleet and all its files.

    Args:
        audits: what the module returned, by the name of the host in the inventory.
        generated_at: the time in UTC, as ``YYYY-MM-DD HH:MM:SS UTC``.
        before: the content of the last run's ``host_audit.json``; None or one of another version: there was none.
        fail_at: the severity from which on a finding that does not hold fails the audit; empty: none does.
        experiments: what experiments have measured on these hosts: the content of each ``host_experiment-HOST.json``,
            by the file's name.

    Returns:
        ``files`` (content by name), ``counts``, ``unchanged`` (the one before says the same of every host), ``failing``
        (a line for each finding at ``fail_at`` or above that does not hold).

    """
    previous = _stored(before)
    report = fleet_report(audits, generated_at, previous, experiments)
    return {
        "counts": report["counts"],
        "unchanged": previous is not None and previous["fingerprint"] == report["fingerprint"],
        "failing": failing(report, fail_at),
        "files": {name: render(report) for name, render in FORMATS.items()},
    }


def failing(report: dict[str, Any], fail_at: str) -> list[str]:
    """Return a line for each finding that does not hold and is as severe as ``fail_at``, or more."""
    severe = SEVERITIES[: SEVERITIES.index(fail_at) + 1] if fail_at else ()
    return [
        f"{', '.join(machine['names'])}: {row['id']} ({row['severity']}) is {row['verdict']}: "
        f"{row['planes']['live'] or row['because']}, wanted {row['planes']['desired']}"
        for machine in report["machines"]
        for row in machine["findings"]
        if row["verdict"] in WRONG and row["severity"] in severe
    ]


def _stored(text: str | None) -> dict[str, Any] | None:
    """Read a stored report; one that is damaged or of another version compares with nothing."""
    try:
        report = json.loads(text or "null")
    except ValueError:
        return None
    try:
        if (report["schema"], report["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
            return None
        changes(report["machines"], report["machines"])
        return {"generated_at": "", "fingerprint": "", **report}
    except (KeyError, TypeError, AttributeError):
        return None
