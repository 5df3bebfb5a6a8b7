# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owners promised for each disaster (row DRB-08), as data, and what a drill's measurement is worth against it.

RTO: how long nobody is served, from the last acknowledgement before to the first one after. RPO: how far what is there
afterwards lies behind what was acknowledged. Both in seconds and both strict: 60 s are not "below 1 minute". An RPO of
0 allows no acknowledged order to be missing, whatever its age.

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
    drill: str
    rto_below_seconds: int
    rpo_below_seconds: int  # 0: nothing that was acknowledged may be missing


TARGETS = (
    Target("pod", "process_crash", 1 * MINUTE, 0),
    Target("node", "host_loss", 5 * MINUTE, 0),
    Target("zone", "zone_loss", 10 * MINUTE, 1 * MINUTE),
    Target("region", "region_loss", 1 * HOUR, 5 * MINUTE),
    Target("data_loss", "restore_from_archive", 4 * HOUR, 1 * HOUR),
)
_LIMITS = ("rto_below_seconds", "rpo_below_seconds")
_KEYS = ("scenario", "drill", *_LIMITS)


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
        found = [row for row in rows if row.get("scenario") == target.scenario]
        if not found:
            problems.append(f"dr_targets has no row {target.scenario}: add it, with the drill {target.drill}")
        elif len(found) > 1:
            problems.append(f"dr_targets has {len(found)} rows {target.scenario}: keep one")
    return problems


def parse(rows: Sequence[Mapping[str, Any]]) -> tuple[Target, ...]:
    """Return a venue's own table; ValueError with every fault where it has any."""
    if problems := check(rows):
        raise ValueError("; ".join(problems))
    return tuple(Target(*(row[key] for key in _KEYS)) for row in rows)


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
    promised = {target.scenario: target for target in TARGETS}
    drills: dict[str, str] = {}
    for row in rows:
        name = row.get("scenario")
        target = promised.get(name) if isinstance(name, str) else None
        if target is None:
            yield f"dr_targets has a row {name!r}: known are {', '.join(promised)}"
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
            drills[drill] = str(name)
