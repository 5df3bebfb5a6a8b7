# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in Prometheus' text format, for the node exporter's textfile collector.

What holds is counted and not listed, so that a fleet of hundreds makes thousands of series and not tens of thousands.
"""

from __future__ import annotations

from calendar import timegm
from time import strptime
from typing import Any

from ..audit import VERDICTS
from .fleet import WRONG

TIME = "%Y-%m-%d %H:%M:%S UTC"
GATES = {"passed": 1, "failed": 0, "open": 0}


def render(report: dict[str, Any]) -> str:
    """Render a fleet's report."""
    hosts = [(name, machine) for machine in report["machines"] for name in machine["names"]]
    families = (
        (
            "ironbook_host_audit_timestamp_seconds",
            "When the audit was made.",
            [("", timegm(strptime(report["generated_at"], TIME)))],
        ),
        (
            "ironbook_host_audit_score",
            "0 to 100; the report says the formula.",
            [(_labels(host=name), machine["score"]) for name, machine in hosts],
        ),
        (
            "ironbook_host_audit_gate_passed",
            "1 where every critical tunable is known to hold.",
            [(_labels(host=name), GATES[machine["gate"]]) for name, machine in hosts],
        ),
        (
            "ironbook_host_audit_findings",
            "Tunables by verdict.",
            [
                (_labels(host=name, verdict=verdict), machine["counts"][verdict])
                for name, machine in hosts
                for verdict in VERDICTS
            ],
        ),
        (
            "ironbook_host_audit_finding",
            "1 for each tunable that does not hold.",
            [
                (_labels(host=name, id=row["id"], severity=row["severity"], verdict=row["verdict"]), 1)
                for name, machine in hosts
                for row in machine["findings"]
                if row["verdict"] in WRONG
            ],
        ),
    )
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n"
        + "".join(f"{name}{labels} {value}\n" for labels, value in samples)
        for name, text, samples in families
    )


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
