# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill measured, from a canary's log and from what the venue says afterwards. Pure: values in, a report out.

RTO: from the last acceptance before a fault to the first one after it, on one monotonic clock. A fault may let through
what was on its way, so that the gap is the longest one between two acceptances of which the later came after the fault,
and before the next one unless there was no primary then. One that was still open when the canary ended is not measured.
Nothing is measured finer than the canary's orders follow one another, which the report says.

RPO: what the canary was told is compared, byte by byte, with what the venue tells it now, from the session's first
report on, and with the journal. An order that was acknowledged and is not there is missing; one that is there twice is
doubled; one of which a report says something else is changed. The seconds are those by which the oldest missing one
was acknowledged before the fault.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from ironbook.drills.canary_log import CanaryLog, MemberSaid, Moment
from ironbook.point_in_time import time_text
from ironbook.protocols import ouch50

FORMAT = 1
DIFFERENCES_SHOWN = 20
_NS = 10**9


class Outage(NamedTuple):
    """Of one fault. None: nothing was accepted before it, or nothing ever again."""

    fault: Moment
    last_ns: int | None
    first_ns: int | None

    @property
    def seconds(self) -> float | None:
        """How long nobody was served."""
        if self.last_ns is None or self.first_ns is None:
            return None
        return (self.first_ns - self.last_ns) / _NS


class JournalOrder(NamedTuple):
    """An order as the journal has it, by the command that entered it. Price in 10^-4."""

    side: str
    quantity: int
    price: int


@dataclass
class Losses:
    """What is not as it was told. Orders by their UserRefNum; `lines` say it in words."""

    missing: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """A row of dr_targets: what the drill may take. Both are strict; an RPO of 0 allows no missing order at all."""

    drill: str
    rto_below_seconds: float
    rpo_below_seconds: float


def outages(log: CanaryLog) -> list[Outage]:
    """Return the outage of each fault that was marked."""
    accepted = log.accepted()
    times = sorted(at_ns for _, at_ns in accepted.values())
    last = max((log.sent[ref] for ref in accepted), default=0)
    is_open = not log.is_connected(log.end_ns) or any(
        at_ns > last for ref, at_ns in log.sent.items() if ref not in accepted
    )
    found = []
    for number, fault in enumerate(log.faults):
        until = log.faults[number + 1].at_ns if number + 1 < len(log.faults) else log.end_ns + 1
        # An outage that the next fault finds still there is both faults'.
        ends = until if log.is_connected(until) else log.end_ns + 1
        gaps = [gap for gap in pairwise(times) if fault.at_ns <= gap[1] < ends and gap[0] < until]
        if gaps and not (is_open and ends > log.end_ns):
            found.append(Outage(fault, *max(gaps, key=lambda gap: gap[1] - gap[0])))
        else:
            found.append(Outage(fault, max((at for at in times if at < until), default=None), None))
    return found


def losses(
    log: CanaryLog, stream: Sequence[bytes], journal: Mapping[int, Sequence[JournalOrder]] | None = None
) -> Losses:
    """Compare what was told with `stream`, all reports from the first on, and with the journal's orders by number."""
    found = Losses()
    accepted = log.accepted()
    for report in log.reports:
        ref = getattr(ouch50.decode(report.message), "user_ref", 0)
        if report.sequence > len(stream):
            found.missing.add(ref)
            found.lines.append(f"order {ref}: report {report.sequence} is missing: the venue has {len(stream)} now")
        elif stream[report.sequence - 1] != report.message:
            found.changed.add(ref)
            now = ouch50.decode(stream[report.sequence - 1])
            found.lines.append(f"order {ref}: report {report.sequence} is now {type(now).__name__} of order "
                               f"{getattr(now, 'user_ref', 0)}, and other bytes than it was")  # fmt: skip
    told = Counter(report.user_ref for report in map(ouch50.decode, stream) if isinstance(report, ouch50.Accepted))
    for ref in sorted(set(told) & set(log.sent)):
        if told[ref] > 1:
            found.doubled.add(ref)
            found.lines.append(f"order {ref}: is accepted {told[ref]} times in the venue's reports")
    for ref, (acceptance, _) in sorted(accepted.items()):
        if told[ref] == 0 and ref not in found.missing:
            found.missing.add(ref)
            found.lines.append(f"order {ref}: was accepted, and no report of the venue says so now")
        if journal is not None:
            _compare_journal(ref, acceptance, journal.get(ref, ()), found)
    return found


def _compare_journal(ref: int, told: ouch50.Accepted, orders: Sequence[JournalOrder], found: Losses) -> None:
    wanted = JournalOrder(told.side.decode("ascii"), told.quantity, told.price)
    if not orders:
        found.missing.add(ref)
        found.lines.append(f"order {ref}: was accepted and is not in the journal")
    elif len(orders) > 1:
        found.doubled.add(ref)
        found.lines.append(f"order {ref}: is in the journal {len(orders)} times")
    elif orders[0] != wanted:
        found.changed.add(ref)
        found.lines.append(f"order {ref}: was accepted as {wanted}, and the journal has {orders[0]}")


def rpo_seconds(log: CanaryLog, missing: set[int]) -> float:
    """Return how long before the fault the oldest missing order was acknowledged; 0 for those behind all faults."""
    oldest = 0
    reported: dict[int, int] = {}
    for report in log.reports:
        reported.setdefault(getattr(ouch50.decode(report.message), "user_ref", 0), report.at_ns)
    for ref in missing:
        at_ns = reported.get(ref, log.end_ns)
        fault = next((fault.at_ns for fault in log.faults if fault.at_ns >= at_ns), at_ns)
        oldest = max(oldest, fault - at_ns)
    return oldest / _NS


def failures(target: Target, rto: float | None, rpo: float | None, found: Losses | None) -> list[str]:
    """Return each reason why the drill has missed its target. What was not measured has."""
    lines = []
    if rto is None or not math.isfinite(rto):
        lines.append("RTO was not measured: no fault was marked, or nothing was accepted before it or after it")
    elif rto >= target.rto_below_seconds:
        lines.append(f"RTO {rto:g} s is not below {target.rto_below_seconds:g} s")
    if rpo is None or found is None:
        lines.append("RPO was not measured")
        return lines
    if target.rpo_below_seconds == 0 and (found.missing or rpo > 0):
        lines.append(f"{len(found.missing)} acknowledged orders are missing, of up to {rpo:g} s: none may be")
    elif target.rpo_below_seconds > 0 and rpo >= target.rpo_below_seconds:
        lines.append(f"RPO {rpo:g} s is not below {target.rpo_below_seconds:g} s")
    for name, orders in (("doubled", found.doubled), ("changed", found.changed)):
        if orders:
            lines.append(f"{len(orders)} acknowledged orders are {name}")
    return lines


def build(
    log: CanaryLog, stream: Sequence[bytes], journal: Mapping[int, Sequence[JournalOrder]] | None, target: Target
) -> dict[str, Any]:
    """Return the report, as it goes into the JSON file: times of day as ISO 8601, durations in seconds."""
    measured = outages(log)
    found = losses(log, stream, journal)
    seconds = [outage.seconds for outage in measured]
    rto = max((each for each in seconds if each is not None), default=None) if None not in seconds else None
    rpo = rpo_seconds(log, found.missing)
    why = failures(target, rto, rpo, found)
    if not log.accepted():
        why.append("not one order of the canary was accepted")
    origin = log.faults[0].at_ns if log.faults else log.begin_ns
    return {
        "format": FORMAT,
        "drill": target.drill,
        "verdict": "failed" if why else "passed",
        "failures": why,
        "targets": {"rto_below_seconds": target.rto_below_seconds, "rpo_below_seconds": target.rpo_below_seconds},
        "measured": {
            "rto_seconds": rto,
            "rpo_seconds": rpo,
            "missing": len(found.missing),
            "doubled": len(found.doubled),
            "changed": len(found.changed),
        },
        "began_at": time_text(log.wall_ns(log.begin_ns)),
        "ended_at": time_text(log.wall_ns(log.end_ns)),
        "origin_at": time_text(log.wall_ns(origin)),
        "ended": log.ended,
        "canary": log.begin,
        "clock_jump_seconds": _clock_jump(log),
        "orders": _orders(log),
        "compared_with": {"reports": len(stream), "journal_orders": None if journal is None else len(journal)},
        "outages": [_outage(log, outage, origin) for outage in measured],
        "differences": found.lines[:DIFFERENCES_SHOWN],
        "differences_not_shown": max(len(found.lines) - DIFFERENCES_SHOWN, 0),
        "timeline": [
            {
                "at": time_text(log.wall_ns(one.at_ns)),
                "seconds": _since(one.at_ns, origin),
                "who": one.who,
                "what": one.what,
            }
            for one in timeline(log, measured)
        ],
        "members": _members(log, origin),
        "accepted_seconds": [_since(at, origin) for at in sorted(at for _, at in log.accepted().values())],
    }


def _since(at_ns: int, origin: int) -> float:
    return round((at_ns - origin) / _NS, 6)


def _clock_jump(log: CanaryLog) -> float:
    """By how much the machine's time of day went another way than its monotonic clock during the drill, at most."""
    offsets = [wall - at for at, wall in log.clocks]
    return round((max(offsets) - min(offsets)) / _NS, 6)


def _orders(log: CanaryLog) -> dict[str, Any]:
    accepted = log.accepted()
    decoded = [ouch50.decode(report.message) for report in log.reports]
    rejected = {one.user_ref for one in decoded if isinstance(one, ouch50.Rejected) and one.user_ref in log.sent}
    waits = sorted((at - log.sent[ref]) / _NS for ref, (_, at) in accepted.items())
    times = sorted(at for _, at in accepted.values())
    gaps = sorted((after - before) / _NS for before, after in pairwise(times))
    return {
        "sent": len(log.sent),
        "accepted": len(accepted),
        "rejected": len(rejected),
        "unanswered": len(set(log.sent) - set(accepted) - rejected),
        "executed": sum(isinstance(one, ouch50.Executed) for one in decoded),
        "acknowledged_after_seconds": _spread(waits),
        "between_acknowledgements_seconds": _spread(gaps),
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return median, 99 % and most of sorted values."""
    if not values:
        return None
    high = values[min(len(values) - 1, math.ceil(0.99 * len(values)) - 1)]
    return {"p50": round(statistics.median(values), 6), "p99": round(high, 6), "max": round(values[-1], 6)}


def _outage(log: CanaryLog, outage: Outage, origin: int) -> dict[str, Any]:
    def moment(at_ns: int | None) -> dict[str, Any] | None:
        return None if at_ns is None else {"at": time_text(log.wall_ns(at_ns)), "seconds": _since(at_ns, origin)}

    return {
        "fault": outage.fault.what,
        "fault_at": moment(outage.fault.at_ns),
        "last_acknowledged": moment(outage.last_ns),
        "first_acknowledged": moment(outage.first_ns),
        "rto_seconds": outage.seconds,
    }


def timeline(log: CanaryLog, measured: Sequence[Outage]) -> list[Moment]:
    """Return what happened, in order of time."""
    moments = [*log.faults, *log.marks, *log.connections, *_member_moments(log.members)]
    for outage in measured:
        if outage.last_ns is not None:
            moments.append(Moment(outage.last_ns, "canary", "last order acknowledged before the outage"))
        if outage.first_ns is not None:
            moments.append(Moment(outage.first_ns, "canary", "first order acknowledged after it"))
    return sorted(moments)


def _member_moments(said: Sequence[MemberSaid]) -> Iterator[Moment]:
    before: dict[str, MemberSaid] = {}
    for one in said:
        words = _change(before.get(one.member), one)
        before[one.member] = one
        if words:
            yield Moment(one.at_ns, one.member, words)


def _change(before: MemberSaid | None, now: MemberSaid) -> str:
    if now.role == "gone":
        return "is lost: it does not answer"
    words = []
    if before is None or before.role != now.role:
        words.append(f"is {now.role}" + (f" ({now.reason})" if now.reason else ""))
    if before is None or before.role == "gone" or before.epoch != now.epoch:
        words.append(f"epoch {now.epoch}")
    if now.primary is not None and (before is None or before.primary != now.primary):
        words.append(f"primary is replica {now.primary}")
    if now.in_sync and (before is None or before.in_sync != now.in_sync):
        words.append(f"in sync: {', '.join(map(str, now.in_sync))}")
    return ", ".join(words)


def _members(log: CanaryLog, origin: int) -> list[dict[str, Any]]:
    """Return, of each member, from when on it had which role."""
    roles: dict[str, list[dict[str, Any]]] = {name: [] for name in log.begin["members"]}
    for one in log.members:
        roles.setdefault(one.member, []).append({"seconds": _since(one.at_ns, origin), "role": one.role})
    return [{"member": name, "roles": said} for name, said in roles.items()]
