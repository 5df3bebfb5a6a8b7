# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is for: whether it has come, and in words what has not. Pure."""

from __future__ import annotations

from .plan import View, Wanted


def is_reached(until: str, wanted: Wanted, before: View, view: View) -> bool:
    """Whether what a plan is for has come."""
    record, old = view.record, before.record
    if record is None or old is None:
        return False
    if until == "leads":
        # With fewer in sync than it needs it stays as it is, whatever is waited for.
        return view.role == "primary" or (view.role == "opening" and len(record.in_sync) < view.min_in_sync)
    if until == "handed_over":
        follows = view.role == "standby" and view.replication.get("primary") == wanted.replica
        return (
            record.primary == wanted.replica and record.epoch > old.epoch and follows and record.in_sync >= old.in_sync
        )
    if until == "out":
        return view.replica not in record.in_sync and record.primary != view.replica
    if until == "in_sync":
        return view.status is not None and view.replica in record.in_sync
    return True


def told(view: View) -> str:
    """What there is, in words."""
    record = view.record
    if record is None:
        return f"replica {view.replica} is {view.role}: no record"
    leads = "nobody" if record.primary is None else f"replica {record.primary}"
    in_sync = ", ".join(map(str, sorted(record.in_sync)))
    return f"replica {view.replica} is {view.role}: epoch {record.epoch}, primary {leads}, in sync {in_sync}"


def missing(until: str, wanted: Wanted, before: View, view: View) -> str:
    """Say what has not come."""
    reason = view.replication.get("reason") or "it says nothing"
    now = told(view).partition(": ")[2]
    if until == "handed_over" and view.role == "primary":
        return (
            f"replica {view.replica} is still the primary ({now}): somebody in sync did not acknowledge in time, so "
            "that it went on; nothing was interrupted, run this again"
        )
    if until == "out":
        return f"replica {view.replica} is stopped, and still in the record ({now}): nobody leads who could take it out"
    what = {"leads": "is not the primary yet", "in_sync": "is not in sync yet"}.get(until, "is not followed by all yet")
    return f"replica {wanted.replica} {what} ({now}; replica {view.replica} is {view.role}: {reason})"
