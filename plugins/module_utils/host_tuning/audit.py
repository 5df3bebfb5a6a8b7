# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over the catalogue: read, judge, report. It writes nothing and needs no privilege."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import values
from .catalogue import TUNABLES
from .check import UNKNOWN, Machine, NotApplicableError, Tunable
from .conditions import Verdict
from .ethtool import AskOnce
from .host import AbsentError, ReadOnce, UnreadableError
from .next_boot import next_boot
from .settings import CannotSetError, HugePages, KernelParameter
from .waivers import Waiver, waive

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
BY_BOOT = (KernelParameter, HugePages)
"""The kinds of setting that a boot is told."""
HALF_KNOWN = 0.5
"""The confidence of a verdict on a value of which nobody can say what the next boot sets."""


@dataclass(frozen=True)
class Planes:
    """What is known of one tunable beside the live value."""

    persisted: str | None = None
    persisted_by: str | None = None
    persists: bool | None = None
    """Whether the next boot sets a right value; None where that cannot be known, or nothing has to."""
    boot: str | None = None
    told: bool | None = None
    """Whether this boot was told the right value; None where a boot is told nothing of it."""
    because: str = ""
    """Why it does not persist, or why nobody knows."""


def audit(machine: Machine, tunables: Iterable[Tunable] = TUNABLES, waivers: Sequence[Waiver] = ()) -> dict[str, Any]:
    """Judge a host; the result is schema version 2 of the report, without the time, which the caller knows."""
    machine = replace(machine, host=ReadOnce(machine.host), ethtool=AskOnce(machine.ethtool))
    later = next_boot(machine)
    findings = [waive(judge(tunable, machine, later), waivers) for tunable in tunables]
    counts = Counter(finding["verdict"] for finding in findings)
    return {
        "schema_version": SCHEMA_VERSION,
        "host": machine.facts.as_dict(),
        "counts": {verdict: counts.get(verdict, 0) for verdict in VERDICTS},
        "fingerprint": fingerprint(findings),
        "findings": findings,
    }


def judge(tunable: Tunable, machine: Machine, later: Machine | None = None) -> dict[str, Any]:
    """Judge one tunable of a host; `later` is the host with the CPUs of its next boot, where those are others."""
    facts = machine.facts
    reason = tunable.not_applicable(facts)
    verdict, because, live, planes = (
        ("not_applicable", reason, "", Planes()) if reason else _judge(tunable, machine, later or machine)
    )
    applies = verdict != "not_applicable"
    setting = tunable.setting
    guessed = verdict == "ok" and tunable.settable and planes.persists is None and bool(planes.because)
    return {
        "id": tunable.id,
        "group": tunable.group,
        "title": tunable.title,
        "severity": tunable.severity,
        "confidence": min(tunable.confidence, HALF_KNOWN) if guessed else tunable.confidence,
        "verdict": verdict,
        "path": tunable.live.path,
        "planes": {
            "desired": tunable.wanted.text(facts),
            "persisted": planes.persisted,
            "boot": planes.boot,
            "live": live or None,
            "effect": None,
        },
        "persisted_by": planes.persisted_by,
        "tolerance": tunable.wanted.tolerance(),
        "because": because,
        "why": tunable.why,
        "source": tunable.source,
        "risk": tunable.risk,
        "fix": setting.fix(tunable.wanted.best(facts), facts) if setting is not None and applies else "",
        "needs_reboot": setting is not None and setting.needs_reboot,
        "counter": tunable.counter,
        "waiver": None,
    }


def _judge(tunable: Tunable, machine: Machine, later: Machine) -> tuple[Verdict, str, str, Planes]:
    """Return the verdict, the reason for it, the live value for people, and the other planes."""
    verdict, because, live = _judge_live(tunable, machine)
    if not tunable.settable or verdict not in ("ok", "drift", "harmful"):
        return verdict, because, live, Planes()
    planes = _planes(tunable, machine, later)
    if verdict == "ok":
        if planes.persists is False:
            return "not_persisted", planes.because, live, planes
        return "ok", planes.because, live, planes
    if planes.persists and planes.told is False:
        told = f"this boot was told {planes.boot or 'nothing'}"
        return "pending_reboot", f"{planes.persisted_by} sets it, and {told}", live, planes
    if planes.told:
        because = f"{because}; " if because else ""
        because += "this boot was told so, and the kernel did something else"
    return verdict, because, live, planes


def _judge_live(tunable: Tunable, machine: Machine) -> tuple[Verdict, str, str]:
    """Judge the live value."""
    try:
        found = tunable.live.read(machine)
    except NotApplicableError as exc:
        return "not_applicable", str(exc), ""
    except AbsentError as exc:
        missing = "no such path" if str(exc) == tunable.live.path else f"no {exc}"
        return tunable.absence.verdict(machine.facts), f"{missing}: {tunable.absence.reason(machine.facts)}", ""
    except UnreadableError as exc:
        return "unknown", str(exc), ""
    if not found:  # nothing to judge is nothing proved
        return "unknown", f"{tunable.live.path}: nothing in it", ""
    live = summary(found) + (getattr(tunable.wanted, "unit", "") if len(set(found.values())) == 1 else "")
    wrong = {name: value for name, value in found.items() if not tunable.wanted.accepts(value, machine.facts)}
    return (tunable.wrong, _explain(wrong, found), live) if wrong else ("ok", "", live)


def _planes(tunable: Tunable, machine: Machine, later: Machine) -> Planes:
    """Ask what the next boot sets, and what this one was told."""
    setting = tunable.setting
    if setting is None:
        return Planes()
    boot = setting.boot(machine)
    told = _accepts(tunable, boot, machine) if isinstance(setting, BY_BOOT) else None
    if not machine.host.matching("/etc/*"):
        return Planes(boot=boot, told=told, because="what the next boot sets is not known: there is no /etc")
    try:
        persisted = setting.persisted(later)
    except (CannotSetError, AbsentError, UnreadableError) as exc:
        return Planes(boot=boot, told=told, because=f"what the next boot sets is not known: {exc}")
    if persisted is not None:
        right = _accepts(tunable, persisted.value, later)
        because = "" if right else f"{persisted.file} sets {persisted.value or 'it'} at the next boot"
        return Planes(persisted.value, persisted.file, right, boot, told, because)
    if _right_by_default(tunable, machine):
        return Planes(boot=boot, told=told)
    return Planes(persists=False, boot=boot, told=told, because="nothing sets it at the next boot")


def _accepts(tunable: Tunable, text: str | None, machine: Machine) -> bool:
    """Tell whether a text that stands in a file or on the command line is right."""
    if text is None:
        return False
    try:
        return tunable.wanted.accepts(tunable.persisted_value(text, machine), machine.facts)
    except (ValueError, TypeError):
        return False


def _right_by_default(tunable: Tunable, machine: Machine) -> bool:
    """Tell whether a host on which nobody sets it has a right value."""
    if tunable.default is UNKNOWN:
        return False
    try:
        value = tunable.default(machine) if callable(tunable.default) else tunable.default
    except (AbsentError, UnreadableError):
        return False
    return value is not UNKNOWN and tunable.wanted.accepts(value, machine.facts)


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
