# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owners promised for each disaster (rows DRB-08, DRB-09), as data, and what a drill's measurement is worth.

RTO: how long nobody is served, from the last acknowledgement before to the first one after. RPO: how far what is there
afterwards lies behind what was acknowledged. Both in seconds and both strict: 60 s are not "below 1 minute". An RPO of
0 allows no acknowledged order to be missing, whatever its age.

A row is found by what breaks, `scenario`, and by what has to be served again, `scope`: one shard, or the whole venue.
A venue may set tighter targets (`dr_targets`), and no wider ones. Pure: nothing is asked of anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class Target:
    """One row: `drill` is the name of the exercise that measures it, the limits are in seconds."""

    scenario: str
    scope: str
    drill: str
    rto_below_seconds: int
    rpo_below_seconds: int  # 0: nothing that was acknowledged may be missing


TARGETS = (
    Target("pod", "shard", "process_crash", 1 * MINUTE, 0),
    Target("node", "shard", "host_loss", 5 * MINUTE, 0),
    Target("zone", "shard", "zone_loss", 10 * MINUTE, 1 * MINUTE),
    Target("region", "venue", "region_loss", 1 * HOUR, 5 * MINUTE),
    Target("data_loss", "venue", "restore_from_archive", 4 * HOUR, 1 * HOUR),
    Target("full", "venue", "full_recovery", 4 * HOUR, 15 * MINUTE),  # DRB-09; those above are DRB-08
)
_LIMITS = ("rto_below_seconds", "rpo_below_seconds")
_KEYS = ("scenario", "scope", "drill", *_LIMITS)


@dataclass(frozen=True)
class Measured:
    """What a drill saw; None where it could not measure. `missing`: acknowledged orders that are not there after."""

    rto_seconds: float | None
    rpo_seconds: float | None
    missing: int | None


@dataclass(frozen=True)
class Verdict:
    """Whether a drill met its row, and each reason why not."""

    target: Target
    passed: bool
    failures: tuple[str, ...]


def check(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each fault of a table of a venue's own; an empty list where it may take ours' place."""
    problems = list(_of_rows(rows))
    for target in TARGETS:
        found = [row for row in rows if _name(row) == _name(vars(target))]
        if not found:
            problems.append(f"dr_targets has no row {_name(vars(target))}: add it, with the drill {target.drill}")
        elif len(found) > 1:
            problems.append(f"dr_targets has {len(found)} rows {_name(vars(target))}: keep one")
    return problems


def parse(rows: Sequence[Mapping[str, Any]]) -> tuple[Target, ...]:
    """Return a venue's own table; ValueError with every fault where it has any."""
    if problems := check(rows):
        raise ValueError("; ".join(problems))
    return tuple(Target(*(row[key] for key in _KEYS)) for row in rows)


def find(rows: Sequence[Mapping[str, Any]], scenario: str, scope: str, drill: str) -> Target:
    """Return the row that a drill is judged by; `rows`: a venue's own table, empty for the owners'.

    ValueError for a table with a fault, for a row that there is not, and for one that another exercise measures.
    """
    targets = parse(rows) if rows else TARGETS
    wanted = _name({"scenario": scenario, "scope": scope})
    target = next((one for one in targets if _name(vars(one)) == wanted), None)
    if target is None:
        there = ", ".join(_name(vars(one)) for one in targets)
        raise ValueError(f"dr_targets has no row {wanted}; there are {there}")
    if target.drill != drill:
        raise ValueError(f"dr_targets, row {wanted}: its drill is {target.drill}, and this is {drill}")
    return target


def _name(row: Mapping[str, Any]) -> str:
    return f"{row.get('scenario')}/{row.get('scope')}"


def evaluate(drill: str, measured: Measured, targets: Sequence[Target] = TARGETS) -> Verdict:
    """Judge a drill by its own row. What was not measured has failed. KeyError where no row has this drill."""
    target = next((one for one in targets if one.drill == drill), None)
    if target is None:
        raise KeyError(f"no row of dr_targets has the drill {drill}; there are {', '.join(t.drill for t in targets)}")
    failures = tuple(_failures(target, measured))
    return Verdict(target, not failures, failures)


def _failures(target: Target, measured: Measured) -> Iterator[str]:
    rto, rpo, missing = measured.rto_seconds, measured.rpo_seconds, measured.missing
    if rto is None or not _is_time(rto):
        yield f"RTO was not measured ({rto})"
    elif rto >= target.rto_below_seconds:
        yield f"RTO {rto:g} s is not below {target.rto_below_seconds} s"
    if rpo is None or missing is None or not _is_time(rpo) or missing < 0:
        yield f"RPO was not measured ({rpo} s, {missing} missing)"
    elif target.rpo_below_seconds == 0 and (missing or rpo > 0):
        yield f"{missing} acknowledged orders are missing, of up to {rpo:g} s: none may be"
    elif target.rpo_below_seconds > 0 and rpo >= target.rpo_below_seconds:
        yield f"RPO {rpo:g} s is not below {target.rpo_below_seconds} s"


def _is_time(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    promised = {_name(vars(target)): target for target in TARGETS}
    drills: dict[str, str] = {}
    for row in rows:
        name = _name(row)
        target = promised.get(name)
        if target is None:
            yield f"dr_targets has a row {name}: known are {', '.join(promised)}"
            continue
        for key in sorted(set(row) ^ set(_KEYS)):
            yield f"dr_targets, row {name}: {key} is {'unknown' if key in row else 'missing'}"
        for key in set(_LIMITS) & set(row):
            least, most = (1 if key.startswith("rto") else 0), getattr(target, key)
            if isinstance(row[key], bool) or not isinstance(row[key], int) or row[key] < least:
                yield f"dr_targets, row {name}: {key} is {row[key]!r}; whole seconds from {least} are wanted"
            elif row[key] > most:
                yield f"dr_targets, row {name}: {key} is {row[key]}, wider than the {most} that are promised"
        drill = row.get("drill")
        if not isinstance(drill, str) or not drill:
            yield f"dr_targets, row {name}: drill is {drill!r}; the name of the exercise that measures it is wanted"
        elif drill in drills:
            yield f"dr_targets, row {name}: its drill {drill} is that of row {drills[drill]} too"
        else:
            drills[drill] = name
