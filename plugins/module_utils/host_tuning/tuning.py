# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning as the module calls it: from parameters to the result."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import values
from .apply import Outcome, TuningError, revert, tune
from .catalogue import TITLES, TUNABLES
from .check import Machine, Tunable
from .door import BusyError, Commands, WritableHost, alone
from .ethtool import CapturedEthtool, LiveEthtool
from .facts import gather
from .host import Host
from .plan import Plan, Wishes, plan
from .runner import NO_COMMANDS
from .topology import topology_of

SIZES = {"huge_pages": 2048, "gigantic_pages": 1048576}
"""By parameter, the size of the pages in KiB."""


@dataclass(frozen=True)
class Request:
    """What a run is asked for."""

    root: str = "/"
    state: str = "tuned"
    groups: tuple[str, ...] | None = None
    """None is all of them."""
    interfaces: tuple[str, ...] | None = None
    wishes: Mapping[str, Any] = field(default_factory=dict)
    """CPUs as lists such as ``2-7``, counts, and pages as a count or as counts by node."""
    keep_going: bool = False
    check: bool = False


def run(request: Request, tunables: Iterable[Tunable] = TUNABLES, machine: Machine | None = None) -> dict[str, Any]:
    """Tune a host, or undo it.

    Args:
        request: what is asked for.
        tunables: the catalogue.
        machine: a host that is there already, such as a test's; None is the one of the request's root.

    Raises:
        TuningError: with one line that says what is wrong and what was changed.

    """
    unknown = sorted(set(request.groups or ()) - set(TITLES))
    if unknown:
        raise TuningError(f"groups: {', '.join(unknown)} is none, there are {', '.join(TITLES)}")
    groups = frozenset(request.groups or TITLES)
    host = machine.host if machine else WritableHost(request.root)
    try:
        host.check_root()
    except ValueError as exc:
        raise TuningError(str(exc)) from exc
    if host.live and os.geteuid() != 0 and not request.check:
        raise TuningError("only root can change how a host is tuned: run it with become")
    if request.check:
        return _run(request, tunables, machine, host, groups)
    try:
        with alone(host):
            return _run(request, tunables, machine, host, groups)
    except BusyError as exc:
        raise TuningError(f"{exc}. Nothing was changed") from None


def _run(
    request: Request, tunables: Iterable[Tunable], machine: Machine | None, host: Host, groups: frozenset[str]
) -> dict[str, Any]:
    """Tune a host that nobody else is changing, or undo it."""
    if request.state == "reverted":
        known = machine or _machine(request, WritableHost(request.root), None)
        undone = revert(known, groups if request.groups else None, check=request.check)
        return {**_result(undone, None), "interfaces": [interface.name for interface in known.facts.interfaces]}
    try:
        made = plan(topology_of(host, request.interfaces), wishes_of(request.wishes))
        known = machine or _machine(request, WritableHost(request.root), made)
    except ValueError as exc:
        raise TuningError(f"{exc}. Nothing was changed") from exc
    done = tune(known, tunables, groups, check=request.check, keep_going=request.keep_going)
    return {**_result(done, made), "interfaces": [interface.name for interface in known.facts.interfaces]}


def wishes_of(given: Mapping[str, Any]) -> Wishes:
    """Turn parameters into wishes.

    Raises:
        ValueError: one is not of its kind; the line names it.

    """
    pages = {}
    for name, size in SIZES.items():
        wish = given.get(name) or 0
        try:
            pages[size] = {int(n): int(c) for n, c in wish.items()} if isinstance(wish, Mapping) else int(wish)
        except (TypeError, ValueError):
            raise ValueError(f"{name}: {wish!r} is no count, and no counts by node such as {{0: 512}}") from None
    return Wishes(
        isolated=_cpus(given, "isolated_cpus"),
        isolated_cores=int(given.get("isolated_cores") or 0),
        engine=_cpus(given, "engine_cpus"),
        engine_cores=1 if given.get("engine_cores") is None else int(given["engine_cores"]),
        interrupts=_cpus(given, "interrupt_cpus"),
        queues=given.get("queues"),
        huge_pages={size: wish for size, wish in pages.items() if wish},
    )


def _cpus(given: Mapping[str, Any], name: str) -> frozenset[int] | None:
    text = given.get(name)
    try:
        return values.cpu_list(str(text)) if text not in (None, "") else None
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no CPU list such as 2-7 or 2,4-7") from None


def _machine(request: Request, host: WritableHost, made: Plan | None) -> Machine:
    pages = {name: sum(made.huge_pages.get(size, {}).values()) if made else 0 for name, size in SIZES.items()}
    interfaces = list(request.interfaces) if request.interfaces else None
    planned = {**pages, "queues": made.queues if made else 0}
    facts = gather(host, made.isolated if made else frozenset(), interfaces=interfaces, **planned)
    if host.live:
        return Machine(host, LiveEthtool(), facts, runner=Commands(), plan=made)
    return Machine(host, CapturedEthtool(host), facts, runner=NO_COMMANDS, plan=made)


def _result(outcome: Outcome, made: Plan | None) -> dict[str, Any]:
    """Return what the module returns."""
    values_changed = [change for change in outcome.changes if not change.file]
    diff = [
        {
            "before_header": change.target,
            "after_header": change.target,
            "before": change.before or "",
            "after": change.after or "",
        }
        for change in outcome.changes
        if change.file
    ]
    if values_changed:
        diff.insert(
            0,
            {
                "before_header": "values",
                "after_header": "values",
                "before": "".join(f"{change.target}: {change.before}\n" for change in values_changed),
                "after": "".join(f"{change.target}: {change.after}\n" for change in values_changed),
            },
        )
    return {
        "changed": bool(outcome.changes),
        "actions": [
            {"target": change.target, "before": change.before, "after": change.after} for change in outcome.changes
        ],
        "left_alone": [{"name": name, "because": because} for name, because in outcome.skipped.items()],
        "refused": [{"name": name, "because": because} for name, because in outcome.refused.items()],
        "reboot_required": bool(outcome.reboot_for),
        "reboot_for": outcome.reboot_for,
        "plan": made.as_dict() if made else None,
        "plan_lines": made.lines() if made else [],
        "diff": diff,
    }
