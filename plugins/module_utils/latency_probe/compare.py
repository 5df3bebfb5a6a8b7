# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether something is better after than before, worse, the same, or whether that cannot be told. Pure.

A difference is claimed where all of this holds: its confidence interval does not contain 0; no run after lies among
those before; and it is more than the probe can resolve. The confidence (95 %) is that of all figures of a pair
together: each gets its part (Bonferroni). "No difference" is a claim, too: the whole interval lies within what is
relevant. All else "cannot be told": the noise floor, half the width of the interval, is above the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .estimate import CONFIDENCE, difference

Verdict = Literal["better", "worse", "no_difference", "cannot_tell"]
LEAST_REPEATS = 3
RELEVANT = 0.05
"""A share of the value before: what is smaller makes no difference."""


def judge(
    before: Mapping[str, Any], after: Mapping[str, Any], relevant: float = RELEVANT, confidence: float = CONFIDENCE
) -> dict[str, Any]:
    """Judge one figure, of which less is better; both have ``values``, one a run, and ``resolution``."""
    values, later = list(before["values"]), list(after["values"])
    because = _unfit(values, later)
    if because:
        return {"verdict": "cannot_tell", "because": because}
    resolution = max(before["resolution"], after["resolution"])
    found = difference(values, later, resolution, confidence)
    mean = sum(values) / len(values)
    margin = max(relevant * abs(mean), resolution)
    apart = max(values) < min(later) or max(later) < min(values)
    verdict: Verdict = "cannot_tell"
    if -margin <= found.low and found.high <= margin:
        verdict, because = "no_difference", f"it is within {margin:.6g}, whatever it is"
    elif found.low <= 0.0 <= found.high:
        because = f"the noise floor of {found.half_width:.6g} is above the difference: more or longer runs are wanted"
    elif not apart:
        because = "runs after lie among those before"
    elif abs(found.value) <= resolution:
        because = f"the probe resolves {resolution:.6g}"
    else:
        verdict, because = ("worse" if found.value > 0.0 else "better"), "the runs lie apart by more than their noise"
    return {
        "verdict": verdict,
        "because": because,
        "before": mean,
        "after": sum(later) / len(later),
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "noise_floor": max(found.half_width, resolution),
        "margin": margin,
    }


def _unfit(before: Sequence[Any], after: Sequence[Any]) -> str:
    """Say why these cannot be compared at all."""
    least = min(len(before), len(after))
    if least < LEAST_REPEATS:
        return f"{least} runs: {LEAST_REPEATS} are the least"
    if any(value is None for value in (*before, *after)):
        return "a run has too few samples beyond it, or lost too many"
    return ""


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], relevant: float = RELEVANT, confidence: float = CONFIDENCE
) -> dict[str, Any]:
    """Compare two measurements of `measurement.summarize`.

    Args:
        before: the one.
        after: the other, with the same settings.
        relevant: the share of the value before below which a difference makes none.
        confidence: of all that is claimed together.

    Returns:
        ``verdict`` and ``metrics``, by name what `judge` says of each. One figure that is worse makes the whole worse.

    Raises:
        ValueError: they did not measure the same.

    """
    for what in ("mode", "settings"):
        if before[what] != after[what]:
            raise ValueError(f"{what}: before it was {before[what]}, and after {after[what]}: measure both alike")
    names = [name for name in before["metrics"] if name in after["metrics"]]
    each = 1.0 - (1.0 - confidence) / max(1, len(names))
    judged = {name: judge(before["metrics"][name], after["metrics"][name], relevant, each) for name in names}
    return {"verdict": overall([row["verdict"] for row in judged.values()]), "metrics": judged}


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Put the verdicts of several figures together."""
    if "worse" in verdicts:
        return "worse"
    if "better" in verdicts:
        return "better"
    return "no_difference" if verdicts and set(verdicts) == {"no_difference"} else "cannot_tell"
