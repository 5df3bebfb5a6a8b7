# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as JUnit XML, for a pipeline: a suite a machine, a case a tunable.

What does not hold fails. What is unknown, waived or not applicable is skipped and says why: it is no pass.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from .fleet import WRONG
from .text import in_xml, told


def render(report: dict[str, Any]) -> str:
    """Render a fleet's report."""
    suites = "\n".join(_suite(machine) for machine in report["machines"])
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="host audit">\n{suites}\n</testsuites>\n'


def _suite(machine: dict[str, Any]) -> str:
    rows = machine["findings"]
    failed = sum(row["verdict"] in WRONG for row in rows)
    passed = sum(row["verdict"] == "ok" for row in rows)
    name = quoteattr(in_xml(", ".join(machine["names"])))
    cases = "\n".join(_case(row) for row in rows)
    counts = f'tests="{len(rows)}" failures="{failed}" errors="0" skipped="{len(rows) - failed - passed}"'
    return f"<testsuite name={name} {counts}>\n{cases}\n</testsuite>"


def _case(row: dict[str, Any]) -> str:
    head = f"<testcase classname={quoteattr(row['group'])} name={quoteattr(row['id'])}"
    if row["verdict"] == "ok":
        return f"{head}/>"
    message = quoteattr(in_xml(told(row)))
    if row["verdict"] not in WRONG:
        return f"{head}><skipped message={message}/></testcase>"
    text = escape(in_xml("\n".join(line for line in (row["why"], row["fix"] and f"Fix: {row['fix']}") if line)))
    return f'{head}><failure type="{row["severity"]}" message={message}>{text}</failure></testcase>'
