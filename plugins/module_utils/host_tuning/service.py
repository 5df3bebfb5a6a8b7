# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit as the module calls it: from parameters to the result."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import values
from .audit import audit
from .check import Machine
from .ethtool import CapturedEthtool, LiveEthtool
from .facts import gather
from .host import Host
from .plan import Wishes, plan
from .runner import CapturedRunner, LiveRunner
from .topology import topology_of
from .waivers import waivers_for


class AuditError(Exception):
    """The plan does not fit the host, or the root is none; the text is shown as it stands."""


def run(  # noqa: PLR0913  (the parameters of the module)
    root: str,
    isolated_cpus: str,
    huge_pages: int,
    interfaces: list[str] | None,
    *,
    isolated_cores: int = 0,
    waivers: Iterable[Mapping[str, Any]] | None = None,
    inventory_name: str | None = None,
    ec2: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Audit a host.

    Args:
        root: ``/`` for this machine, or the directory of a captured tree.
        isolated_cpus: the plan's isolated CPUs, as a CPU list; empty when none is planned.
        huge_pages: the plan's 2 MiB pages.
        interfaces: the interfaces to judge; None are those that lead out of the machine and are not down.
        isolated_cores: how many whole cores are isolated where no CPUs are named; those that the tuning would choose.
        waivers: the differences that somebody has accepted; see :func:`waivers.waivers_for`.
        inventory_name: the name by which waivers know the host; its own name where there is none.
        ec2: what the EC2 API says of the instance; see ec2_facts.py.
        more: what else the plan says: `gigantic_pages`, `always_polling`, `venue_zone`.

    Raises:
        AuditError: with one line that names what is wrong.

    """
    host = Host(root)
    try:
        host.check_root()
        isolated = values.cpu_list(isolated_cpus)
        if isolated_cores and not isolated:
            isolated = plan(topology_of(host, interfaces), Wishes(isolated_cores=isolated_cores)).isolated
        facts = gather(host, isolated, huge_pages, interfaces or None, **more)
        today = datetime.datetime.now(datetime.timezone.utc).date()  # noqa: UP017  (a host may have Python 3.9)
        accepted = waivers_for(waivers or (), inventory_name or facts.name, today)
    except ValueError as exc:
        raise AuditError(str(exc)) from exc
    ethtool = LiveEthtool() if host.live else CapturedEthtool(host)
    runner = LiveRunner() if host.live else CapturedRunner(host)
    with on_housekeeping(facts.housekeeping if host.live and isolated else frozenset()):
        return audit(Machine(host, ethtool, facts, runner, ec2), waivers=accepted)


@contextmanager
def on_housekeeping(cpus: frozenset[int]) -> Iterator[None]:
    """Stay on these CPUs meanwhile, so that no isolated one is disturbed by its own audit.

    Where the kernel refuses, the audit runs where it is: it would not be wrong there, only felt.
    """
    try:
        before = os.sched_getaffinity(0)
        if cpus:
            os.sched_setaffinity(0, cpus)
    except (OSError, AttributeError):
        before = set()
    try:
        yield
    finally:
        if before and cpus:
            os.sched_setaffinity(0, before)
