# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of commands that the oracle of tests/unit/core has aimed, and what it said to each, as files for C programs.

A flow is a name, a capacity and two files: the commands and the events, byte for byte as they lie in memory.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME.parent / "tests"))

from unit.core.flow import FIELDS, Flow  # noqa: E402  (found through the line above)
from unit.core.oracle import Oracle  # noqa: E402

COMMAND = struct.Struct("<QQHHIIIqQBBBBBBHQQ24sqQQBB6x")  # struct ib_command, and ib_event
EVENT = struct.Struct("<QQIHHIIIBBBBQQqQQIIQBBH4x24s")
# Seed, capacity, steps, and whether it is a plain one. That is what the path of plain orders is tried with: rules 1,
# which the simulation speaks, do not take it.
FLOWS = [(1, 12, 6000, False), (2, 300, 12000, False), (3, 300, 12000, False), (4, 300, 6000, True)]


class Written(NamedTuple):
    """A flow in files."""

    name: str
    capacity: int
    commands: Path
    events: Path


def write_flows(build: Path) -> list[Written]:
    """Let the oracle write its flows into a directory."""
    made = []
    for seed, capacity, steps, plain in FLOWS:
        oracle = Oracle(capacity)
        flow = Flow(seed, oracle, plain=plain)
        name = f"flow_{seed}"
        written = Written(name, capacity, build / f"{name}.commands", build / f"{name}.events")
        with written.commands.open("wb") as commands, written.events.open("wb") as events:
            definitions = iter(flow.definitions())
            for _ in range(steps):
                command = next(definitions, None) or flow.next()
                commands.write(COMMAND.pack(*[command[field] for field in FIELDS]))
                events.write(b"".join(EVENT.pack(*event) for event in oracle.apply(command)))
        made.append(written)
    return made
