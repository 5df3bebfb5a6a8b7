# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over the catalogue: read, judge, report. It writes nothing, starts nothing, and needs no privilege."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from . import values
from .catalogue import TUNABLES
from .check import Machine, NotApplicableError, Tunable, Verdict
from .host import AbsentError, UnreadableError

SCHEMA_VERSION = 2
VERDICTS: tuple[Verdict, ...] = (
    "harmful",
    "drift",
    "pending_reboot",
    "not_persisted",
    "unknown",
    "waived",
    "ok",
    "not_applicable",
)
"""In the order in which a reader wants them."""
SHOWN_DISTINCT = 4
"""How many different values of one tunable are listed before the rest is counted."""


def audit(machine: Machine, tunables: Iterable[Tunable] = TUNABLES) -> dict[str, Any]:
    """Judge a host; the result is schema version 2 of the report, without the time, which the caller knows."""
    findings = [judge(tunable, machine) for tunable in tunables]
    counts = Counter(finding["verdict"] for finding in findings)
    return {
        "schema_version": SCHEMA_VERSION,
        "host": machine.facts.as_dict(),
        "counts": {verdict: counts.get(verdict, 0) for verdict in VERDICTS},
        "fingerprint": fingerprint(findings),
        "findings": findings,
    }


def judge(tunable: Tunable, machine: Machine) -> dict[str, Any]:
    """Judge one tunable."""
    facts = machine.facts
    verdict, because, live = _verdict(tunable, machine)
    setting = tunable.setting
    return {
        "id": tunable.id,
        "group": tunable.group,
        "title": tunable.title,
        "severity": tunable.severity,
        "confidence": 1.0,
        "verdict": verdict,
        "path": tunable.live.path,
        "planes": {
            "desired": tunable.wanted.text(facts),
            "persisted": None,
            "boot": None,
            "live": live or None,
            "effect": None,
        },
        "persisted_by": None,
        "tolerance": tunable.wanted.tolerance(),
        "because": because,
        "why": tunable.why,
        "source": tunable.source,
        "risk": tunable.risk,
        "fix": "",
        "needs_reboot": setting is not None and setting.needs_reboot,
        "counter": tunable.counter,
        "waiver": None,
    }


def _verdict(tunable: Tunable, machine: Machine) -> tuple[Verdict, str, str]:
    """Return the verdict, the reason for it, and the live value for people."""
    for condition in tunable.needs:
        reason = condition(machine.facts)
        if reason:
            return "not_applicable", reason, ""
    try:
        found = tunable.live.read(machine)
    except NotApplicableError as exc:
        return "not_applicable", str(exc), ""
    except AbsentError as exc:
        missing = "no such path" if str(exc) == tunable.live.path else f"no {exc}"
        return tunable.absence.verdict(machine.facts), f"{missing}: {tunable.absence.because}", ""
    except UnreadableError as exc:
        return "unknown", str(exc), ""
    if not found:  # nothing to judge is nothing proved
        return "unknown", f"{tunable.live.path}: nothing in it", ""
    live = summary(found) + (getattr(tunable.wanted, "unit", "") if len(set(found.values())) == 1 else "")
    wrong = {name: value for name, value in found.items() if not tunable.wanted.accepts(value, machine.facts)}
    return ("drift", _explain(wrong, found), live) if wrong else ("ok", "", live)


def _explain(wrong: dict[str, Any], found: dict[str, Any]) -> str:
    """Name what is wrong when it is a part of many."""
    if len(found) == 1:
        return ""
    names = list(wrong)
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{len(wrong)} of {len(found)}: {', '.join(names[:2])}{more}"


def summary(found: dict[str, Any]) -> str:
    """Write the values of one tunable in one line, each different one once."""
    counted = Counter(values.shown(value) for value in found.values())
    if len(counted) == 1:
        return next(iter(counted))
    parts = [f"{text} ×{count}" for text, count in counted.most_common(SHOWN_DISTINCT)]
    return ", ".join(parts + (["…"] if len(counted) > SHOWN_DISTINCT else []))


def fingerprint(findings: Iterable[dict[str, Any]]) -> str:
    """Hash what the audit says of the host's tuning: each verdict but those of counters, which move by themselves."""
    lines = sorted(f"{finding['id']}={finding['verdict']}" for finding in findings if not finding["counter"])
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
