# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe as the module calls it: from options to a measurement. Commands go through a runner that a test gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .measurement import summarize

Runner = Callable[[Sequence[str]], tuple[int, str, str]]
"""Runs a command; its exit status, its output and what it said on standard error."""

COMMON = ("cpus",)
"""Options that every mode takes."""
TAKEN = {
    "noise": ("threshold_ns", "clock", "warm_up_ms"),
    "wake": ("interval_us", "warm_up_ms"),
    "pingpong": ("interval_us", "warm_up_ms", "protocol", "busy_poll_us", "peer", "port", "bind", "wait_seconds"),
}
"""The options of each mode, as the probe calls them but for its hyphens; engine_native/probe/options.c limits them."""


class ProbeError(Exception):
    """It could not be measured; the text is shown as it stands."""


@dataclass(frozen=True)
class Asked:
    """What to measure; options that are None were not given."""

    mode: str
    seconds: int
    repeats: int
    options: Mapping[str, Any]

    @property
    def given(self) -> dict[str, Any]:
        """The options that were given."""
        return {name: value for name, value in self.options.items() if value is not None}


def command(program: str, asked: Asked) -> list[str]:
    """Return the command line of one run.

    Raises:
        ProbeError: an option was given that the mode does not take.

    """
    taken = (*COMMON, *TAKEN[asked.mode])
    if strange := sorted(set(asked.given) - set(taken)):
        raise ProbeError(f"{', '.join(strange)}: the mode {asked.mode} takes {', '.join(taken)}")
    words = [program, asked.mode, "--seconds", str(asked.seconds)]
    for name in taken:
        if name in asked.given:
            words += [f"--{name.replace('_', '-')}", str(asked.given[name])]
    return words


def measure(runner: Runner, program: str, asked: Asked) -> dict[str, Any]:
    """Run the probe several times, one after the other, and put what it said together.

    Raises:
        ProbeError: with one line that names what is wrong.

    """
    words = command(program, asked)
    documents = []
    for _run in range(asked.repeats):
        status, out, said = runner(words)
        if status != 0:
            raise ProbeError(said.strip() or f"{program} ended with status {status}")
        try:
            documents.append(json.loads(out))
        except ValueError:
            raise ProbeError(f"{program} printed no JSON: is it ironbook-probe?") from None
    try:
        return summarize(documents, asked.mode, {"seconds": asked.seconds, **asked.given})
    except ValueError as exc:
        raise ProbeError(str(exc)) from exc
