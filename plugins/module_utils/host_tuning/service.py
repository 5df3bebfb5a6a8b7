# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit as the module calls it: from parameters to the result."""

from __future__ import annotations

from typing import Any

from . import values
from .audit import audit
from .check import Machine
from .ethtool import CapturedEthtool, LiveEthtool
from .facts import gather
from .host import Host


class AuditError(Exception):
    """The plan does not fit the host, or the root is none; the text is shown as it stands."""


def run(root: str, isolated_cpus: str, huge_pages: int, interfaces: list[str] | None) -> dict[str, Any]:
    """Audit a host.

    Args:
        root: ``/`` for this machine, or the directory of a captured tree.
        isolated_cpus: the plan's isolated CPUs, as a CPU list; empty when none is planned.
        huge_pages: the plan's 2 MiB pages.
        interfaces: the interfaces to judge; None are those that lead out of the machine and are not down.

    Raises:
        AuditError: with one line that names what is wrong.

    """
    host = Host(root)
    if not host.exists("/proc/cmdline") and not host.exists("/sys"):
        raise AuditError(f"root {root}: neither /proc nor /sys is in it, so it is no host and no captured tree")
    try:
        isolated = values.cpu_list(isolated_cpus)
        facts = gather(host, isolated, huge_pages, interfaces or None)
    except ValueError as exc:
        raise AuditError(str(exc)) from exc
    ethtool = LiveEthtool() if host.live else CapturedEthtool(host)
    return audit(Machine(host, ethtool, facts))
