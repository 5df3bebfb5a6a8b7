# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet, from the audits of its hosts: score and gate of each, what changed, and the odd host out."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..audit import SCHEMA_VERSION, VERDICTS
from ..catalogue import TITLES
from . import effects
from .text import effect_text

SCHEMA = "ironbook.host_audit"
SEVERITIES = ("critical", "high", "medium", "low")
WEIGHTS = {"critical": 25.0, "high": 8.0, "medium": 3.0, "low": 1.0}
SHARES = {"harmful": 1.0, "drift": 1.0, "pending_reboot": 0.5, "not_persisted": 0.5, "unknown": 0.25}
"""How much of its weight a finding costs: what is right now and lost at the next boot, or the other way round, half."""
WRONG = ("harmful", "drift", "pending_reboot", "not_persisted")
"""The verdicts that say that something does not hold."""
FORMULA = (
    "100 minus, for each finding, weight × confidence × share; weight: "
    + ", ".join(f"{name} {weight:g}" for name, weight in WEIGHTS.items())
    + "; share: "
    + ", ".join(f"{verdict.replace('_', ' ')} {share:g}" for verdict, share in SHARES.items())
    + "; never below 0. The gate is apart: it fails where a critical finding does not hold, whatever the score."
)
ALIKE = 3
"""From how many hosts of a kind on one may be the odd one out."""
DRAWN = 3
"""Up to how many machines the distributions of experiments are part of the report."""


def fleet_report(
    audits: Mapping[str, dict[str, Any]],
    generated_at: str,
    previous: dict[str, Any] | None = None,
    experiments: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Put the audits of several hosts together.

    Hosts that are the same machine, which they are when they are emulated on one, share its entry: their boot ids are
    equal.

    Args:
        audits: what the module returned, by the name of the host in the inventory.
        generated_at: the time, as it is to be shown.
        previous: the report of the last run, to tell what has changed since.
        experiments: the reports of the role host_experiment, by the names of their files.

    """
    measured, unread = effects.read(experiments or {})
    machines = _machines(audits)
    for machine in machines:
        _join(machine, measured, drawn=len(machines) <= DRAWN)
    totals = {verdict: sum(machine["counts"][verdict] for machine in machines) for verdict in VERDICTS}
    fingerprints = [f"{'+'.join(machine['names'])} {machine['fingerprint']}" for machine in machines]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at,
        "formula": FORMULA,
        "hosts": len(audits),
        "counts": totals,
        "fingerprint": hashlib.sha256("\n".join(fingerprints).encode()).hexdigest(),
        "machines": machines,
        "unread": unread,
        "odd": odd_ones_out(machines),
        "since": previous["generated_at"] if previous else None,
        "changes": changes(previous["machines"], machines) if previous else [],
    }


def _machines(audits: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    machines: dict[str, dict[str, Any]] = {}
    for name in sorted(audits):
        audit = audits[name]
        key = f"{audit['host']['boot_id'] or name} {audit['fingerprint']}"
        if key in machines:
            machines[key]["names"].append(name)
            continue
        machines[key] = {
            "names": [name],
            **{part: audit[part] for part in ("host", "counts", "fingerprint", "findings")},
            "score": score(audit["findings"]),
            "gate": gate(audit["findings"]),
        }
    return list(machines.values())


def _join(machine: dict[str, Any], measured: Mapping[str, dict[str, Any]], *, drawn: bool) -> None:
    """Add what experiments have measured on a machine."""
    found = effects.of_machine(machine["names"], machine["host"], measured)
    machine["findings"] = [effects.joined(row, found) for row in machine["findings"]]
    machine["effects"] = [{name: effect[name] for name in effect if name != "drawn"} for effect in found.values()]
    machine["measurements"] = [each for effect in found.values() for each in effect["drawn"]] if drawn else []


def score(findings: Iterable[dict[str, Any]]) -> float:
    """Return 0 to 100 as :data:`FORMULA` says; a pass ratio would let twenty trifles outweigh one broken isolation."""
    lost = sum(WEIGHTS[row["severity"]] * row["confidence"] * SHARES.get(row["verdict"], 0.0) for row in findings)
    return round(max(0.0, 100.0 - lost), 1)


def gate(findings: Iterable[dict[str, Any]]) -> str:
    """Return ``failed`` where a critical finding does not hold, ``open`` where one is unknown, else ``passed``."""
    critical = {row["verdict"] for row in findings if row["severity"] == "critical"}
    return "failed" if critical.intersection(WRONG) else "open" if "unknown" in critical else "passed"


def odd_ones_out(machines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return where one host of a kind differs from most of its kind, right or wrong.

    Hosts are of a kind when instance type and plan are equal. Counters move by themselves and are left out.
    """
    kinds: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for machine in machines:
        host = machine["host"]
        kinds[host["instance_type"], host["cpus"], host["isolated_cpus"]].append(machine)
    odd = []
    for alike in kinds.values():
        by_id: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
        for machine in alike:
            for row in machine["findings"]:
                by_id[row["id"]].append((machine, row))
        for pairs in by_id.values():
            states = [(row["verdict"], row["planes"]["live"]) for _machine, row in pairs]
            usual, count = Counter(states).most_common(1)[0]
            if len(pairs) < ALIKE or pairs[0][1]["counter"] or 2 * count <= len(pairs):
                continue
            odd += [
                {
                    "names": machine["names"],
                    "id": row["id"],
                    "verdict": state[0],
                    "live": state[1],
                    "others": usual[1] if usual[1] != state[1] else usual[0],
                    "count": count,
                }
                for (machine, row), state in zip(pairs, states, strict=True)
                if state != usual
            ]
    return odd


def changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each tunable whose verdict is another one than in the last report, by host; counters are left out."""
    old = {(name, row["id"]): row for machine in before for name in machine["names"] for row in machine["findings"]}
    found = []
    for machine in now:
        for row in machine["findings"]:
            was = next((old[name, row["id"]] for name in machine["names"] if (name, row["id"]) in old), None)
            if was and was["verdict"] != row["verdict"] and not row["counter"]:
                found.append(
                    {
                        "names": machine["names"],
                        "id": row["id"],
                        "was": was["verdict"],
                        "now": row["verdict"],
                        "live_was": was["planes"]["live"],
                        "live_now": row["planes"]["live"],
                    }
                )
    return found


def by_tunable(machines: list[dict[str, Any]]) -> list[tuple[str, list[list[dict[str, Any]]]]]:
    """Sort the findings of all machines: by group, in it by tunable, and what needs a look first.

    Returns:
        For each group its title and its tunables; a tunable is the list of its different findings, the worst first,
        each with ``names``, the hosts that have it, and ``effects``, what was measured and on which of them.

    """
    variants: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = defaultdict(dict)
    for machine in machines:
        for row in machine["findings"]:
            planes = {name: value for name, value in row["planes"].items() if name != "effect"}
            key = (row["verdict"], *planes.values(), row["because"], row["fix"])
            variant = variants[row["id"]].setdefault(key, {**row, "names": [], "effects": defaultdict(list)})
            variant["names"].extend(machine["names"])
            if row["measured"]:
                variant["effects"][effect_text(row)].extend(machine["names"])
    groups: dict[str, list[list[dict[str, Any]]]] = {group: [] for group in TITLES}
    for found in variants.values():
        rows = sorted(found.values(), key=_urgency)
        groups[rows[0]["group"]].append(rows)
    return [(TITLES[group], sorted(rows, key=lambda row: _urgency(row[0]))) for group, rows in groups.items() if rows]


def _urgency(row: dict[str, Any]) -> tuple[int, int]:
    return VERDICTS.index(row["verdict"]), SEVERITIES.index(row["severity"])
