# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and threads of the kernel: who they are, and which CPUs they may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from . import values
from .check import Machine, parsed
from .host import AbsentError, UnreadableError

NO_SETAFFINITY = 0x04000000
"""Among a task's flags: nobody may move it, so that it is not a matter of tuning (linux/sched.h)."""
FLAGS_FIELD = 6
"""Of /proc/PID/stat, behind the name in brackets: state, ppid, pgrp, session, tty, tpgid, flags …"""


def line_of(machine: Machine, path: str) -> str:
    """Read a file of a process; empty where the process has ended meanwhile."""
    try:
        return machine.host.read(path).strip()
    except (AbsentError, UnreadableError):
        return ""


class Task(NamedTuple):
    """A process or a thread of the kernel."""

    name: str
    of_kernel: bool
    movable: bool
    cpus: frozenset[int]


def tasks(machine: Machine) -> Iterator[Task]:
    """Return every task, with the CPUs that it may use."""
    paths = machine.host.matching("/proc/[0-9]*/status")
    if not paths:
        raise AbsentError("/proc/*/status")
    for path in paths:
        known = dict(line.partition(":")[::2] for line in line_of(machine, path).splitlines())
        cpus = known.get("Cpus_allowed_list")
        if cpus is not None:
            name = known.get("Name", "").strip()
            of_kernel = known.get("PPid", "").strip() == "2" or name == "kthreadd"
            movable = not of_kernel or _movable(machine, path.replace("/status", "/stat"))
            yield Task(name, of_kernel, movable, parsed(values.cpu_list, cpus, path))


def _movable(machine: Machine, path: str) -> bool:
    """Tell by its flags whether a task may be moved; one that has ended meanwhile need not be."""
    fields = line_of(machine, path).rpartition(")")[2].split()
    return len(fields) > FLAGS_FIELD and not int(fields[FLAGS_FIELD]) & NO_SETAFFINITY
