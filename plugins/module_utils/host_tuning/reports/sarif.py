# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as SARIF 2.1.0 (OASIS), for services that collect findings: a rule a tunable, a result a finding.

A host is no file: what was read stands as a logical location, ``host/path``. What is waived is suppressed with its
reason; what is unknown is open, which SARIF has a word for.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .fleet import WRONG
from .text import told, waived

LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
TOLD = (*WRONG, "unknown", "waived")


def render(report: dict[str, Any]) -> str:
    """Render a fleet's report."""
    rules: dict[str, dict[str, Any]] = {}
    for machine in report["machines"]:
        for row in machine["findings"]:
            rules.setdefault(row["id"], _rule(row))
    numbers = {name: number for number, name in enumerate(rules)}
    results = [
        _result(row, name, numbers[row["id"]])
        for machine in report["machines"]
        for row in machine["findings"]
        if row["verdict"] in TOLD
        for name in machine["names"]
    ]
    driver = {"name": "ironbook.trading.audit_hosts", "rules": list(rules.values())}
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "utf16CodeUnits"}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1) + "\n"


def _plain(text: str) -> str:
    """Write text that a host may have made as a plain message: a placeholder (3.11.5) or a link (3.11.6) is none."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _rule(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "shortDescription": {"text": row["title"]},
        "fullDescription": {"text": row["why"]},
        "help": {"text": _plain(f"Wanted: {row['planes']['desired']} ({row['tolerance']}). Source: {row['source']}.")},
        "defaultConfiguration": {"level": LEVELS[row["severity"]]},
        "properties": {"severity": row["severity"], "risk": row["risk"], "tags": [row["group"]]},
    }


def _result(row: dict[str, Any], host: str, number: int) -> dict[str, Any]:
    fix = f" Fix: {row['fix']}" if row["fix"] else ""
    result: dict[str, Any] = {
        "ruleId": row["id"],
        "ruleIndex": number,
        "kind": "open" if row["verdict"] == "unknown" else "fail",
        # 3.27.10: what does not fail has no level
        "level": "none" if row["verdict"] == "unknown" else LEVELS[row["severity"]],
        "message": {"text": _plain(f"{host}: {told(row)}.{fix}")},
        "locations": [
            {
                "logicalLocations": [
                    {"name": row["path"], "fullyQualifiedName": f"{host}/{row['path']}", "kind": "resource"}
                ]
            }
        ],
        "partialFingerprints": {"hostTunable/v1": hashlib.sha256(f"{host} {row['id']}".encode()).hexdigest()},
    }
    if row["waiver"]:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": waived(row["waiver"])}]
    return result
