# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tunable is made of: where the value is read, what is wanted, and when neither question makes sense.

A catalogue entry is data put together from these small parts; the parts are pure but for the readers, which see the
host only through :class:`Host` and :class:`Ethtool`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from . import values
from .conditions import UNEXPLAINED, Absence, Condition, Verdict
from .ethtool import Ethtool
from .facts import Facts
from .host import AbsentError, Host, UnreadableError
from .plan import Plan
from .runner import NO_COMMANDS, Runner
from .settings import Advice, Setting

Severity = Literal["critical", "high", "medium", "low"]
Parse = Callable[[str], Any]


class NotApplicableError(Exception):
    """The host cannot have this knob; the text says why."""


@dataclass(frozen=True)
class Machine:
    """What a reader may look at."""

    host: Host
    ethtool: Ethtool
    facts: Facts
    runner: Runner = NO_COMMANDS
    """Commands whose answer is in no file: chronyc, systemctl, tc."""
    ec2: Mapping[str, Any] | None = None
    """What the EC2 API says of the instance; None where nobody asked it. See ec2_facts.py for its form."""
    plan: Plan | None = None
    """Which CPU does what, where the host is tuned by a plan."""


class Reader(Protocol):
    """Reads one tunable, which may have a value for each CPU, queue or interface."""

    @property
    def path(self) -> str:
        """Say where it is read."""

    @property
    def parse(self) -> Parse | None:
        """Say how a text that persists it is read."""

    def read(self, machine: Machine) -> dict[str, Any]:
        """Return the values by what they belong to; raises AbsentError, UnreadableError or NotApplicableError."""


@dataclass(frozen=True)
class File:
    """One file, or with a pattern every file that matches.

    ``{interface}`` stands for each judged interface, and ``{isolated}`` for each of the plan's isolated CPUs.
    """

    path: str
    parse: Parse = values.word

    def read(self, machine: Machine) -> dict[str, Any]:
        """Read all of them; no match at all is an absent path."""
        patterns = [self.path]
        if "{interface}" in self.path:
            patterns = [self.path.format(interface=interface.name) for interface in judged_interfaces(machine)]
        elif "{isolated}" in self.path:
            patterns = [self.path.format(isolated=cpu) for cpu in sorted(machine.facts.isolated)]
        found: dict[str, Any] = {}
        for pattern in patterns:
            paths = machine.host.matching(pattern) if "*" in pattern else [pattern]
            if not paths:
                raise AbsentError(pattern)
            for path in paths:
                found[path] = parsed(self.parse, machine.host.read(path), path)
        return found


@dataclass(frozen=True)
class Parameter:
    """A word of the kernel's command line; one that is not there is a value too: not set."""

    name: str
    parse: Parse = values.word

    @property
    def path(self) -> str:
        """Say where it is read."""
        return f"/proc/cmdline {self.name}="

    def read(self, machine: Machine) -> dict[str, Any]:
        """Read it, from a command line that is there."""
        if not machine.facts.command_line:
            raise AbsentError("/proc/cmdline")
        value = machine.facts.command_line.get(self.name)
        return {self.name: None if value is None else parsed(self.parse, value, self.path)}


@dataclass(frozen=True)
class Offload:
    """A value of ethtool, by the name under which the command prints it."""

    option: str
    name: str
    switch: bool = False
    """On or off, and not a number."""
    by_command: bool = False
    """Only the command tells it, which is not started on a live host."""

    @property
    def parse(self) -> Parse:
        """Say how ethtool's word is read."""
        return values.switch if self.switch else values.number

    @property
    def path(self) -> str:
        """Say the command that shows the same."""
        return f"ethtool -{self.option} {{interface}}: {self.name}"

    def read(self, machine: Machine) -> dict[str, Any]:
        """Read it from each judged interface; a driver that lacks it on all of them makes it not applicable."""
        found: dict[str, Any] = {}
        for interface in judged_interfaces(machine):
            known = machine.ethtool.values(interface.name)
            if self.name in known:
                found[interface.name] = bool(known[self.name]) if self.switch else known[self.name]
        if not found and self.by_command and machine.host.live:
            raise UnreadableError(f"the kernel's ioctl does not tell: see {self.path}")
        if not found:
            drivers = ", ".join(sorted({interface.driver for interface in machine.facts.interfaces}))
            raise NotApplicableError(f"the driver ({drivers}) does not offer it")
        return found


@dataclass(frozen=True)
class Computed:
    """A value that takes more than one file; the function is given the machine."""

    path: str
    function: Callable[[Machine], dict[str, Any]]
    parse: Parse | None = None
    """How a text that persists it is read; None where that is no text of this kind."""

    def read(self, machine: Machine) -> dict[str, Any]:
        """Compute it."""
        return self.function(machine)


def judged_interfaces(machine: Machine) -> tuple[Any, ...]:
    """Return the interfaces to judge.

    Raises:
        NotApplicableError: there is none that leads out of the machine.

    """
    if not machine.facts.interfaces:
        raise NotApplicableError("no network interface leads out of this machine")
    return machine.facts.interfaces


def parsed(parse: Parse, text: str, path: str) -> Any:
    """Parse a text, and say whose it was when that fails."""
    try:
        return parse(text)
    except ValueError as exc:
        raise UnreadableError(f"{path}: {exc}") from None


class Wanted(Protocol):
    """A judge: pure, from value and facts."""

    def best(self, facts: Facts) -> Any:
        """Return the value that a setting is given."""

    def text(self, facts: Facts) -> str:
        """Say what is wanted."""

    def tolerance(self) -> str:
        """Say how far from it is still right."""

    def accepts(self, value: Any, facts: Facts) -> bool:
        """Judge a value."""


@dataclass(frozen=True)
class OneOf:
    """One of some values, the best one first."""

    values: tuple[Any, ...]

    def best(self, facts: Facts) -> Any:
        """Return the first."""
        return self.values[0]

    def text(self, facts: Facts) -> str:
        """Say the best value."""
        return values.shown(self.values[0])

    def tolerance(self) -> str:
        """Say the others."""
        return " or ".join(["", *map(values.shown, self.values[1:])]).strip() or "exact"

    def accepts(self, value: Any, facts: Facts) -> bool:
        """Judge a value."""
        return value in self.values


def exactly(value: Any) -> OneOf:
    """One value and no other."""
    return OneOf((value,))


@dataclass(frozen=True)
class Between:
    """A number within bounds; the best one is what is wanted, the bounds are the tolerance."""

    best_value: Any
    low: Any = None
    high: Any = None
    unit: str = ""

    def best(self, facts: Facts) -> Any:
        """Return the best value."""
        return self.best_value

    def text(self, facts: Facts) -> str:
        """Say the best value."""
        return values.shown(self.best_value) + self.unit

    def tolerance(self) -> str:
        """Say the bounds."""
        if self.low is None:
            return f"up to {values.shown(self.high)}{self.unit}"
        if self.high is None:
            return f"{values.shown(self.low)}{self.unit} or more"
        return f"{values.shown(self.low)} to {values.shown(self.high)}{self.unit}"

    def accepts(self, value: Any, facts: Facts) -> bool:
        """Judge a value."""
        return (
            value is not None and (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        )


@dataclass(frozen=True)
class Cpus:
    """A set of CPUs in a relation to one that the plan names."""

    relation: Literal["equal", "inside", "cover"]
    plan: Literal["isolated", "housekeeping"]

    def best(self, facts: Facts) -> Any:
        """Return the plan's CPUs."""
        return getattr(facts, self.plan)

    def text(self, facts: Facts) -> str:
        """Say which CPUs."""
        return values.shown(getattr(facts, self.plan))

    def tolerance(self) -> str:
        """Say the relation."""
        return {"equal": "exact", "inside": "any part of them", "cover": "these and more"}[self.relation]

    def accepts(self, value: Any, facts: Facts) -> bool:
        """Judge a set of CPUs; none at all is inside nothing, since something must run somewhere."""
        plan = getattr(facts, self.plan)
        if value is None:
            return False
        if self.relation == "equal":
            return bool(value == plan)
        return bool(value) and value <= plan if self.relation == "inside" else bool(value >= plan)


@dataclass(frozen=True)
class FromFacts:
    """A value that follows from the facts."""

    value: Callable[[Facts], Any]
    relation: Literal["equal", "at_least", "at_most"] = "equal"

    def best(self, facts: Facts) -> Any:
        """Return the value."""
        return self.value(facts)

    def text(self, facts: Facts) -> str:
        """Say the value."""
        return values.shown(self.value(facts))

    def tolerance(self) -> str:
        """Say the relation."""
        return {"equal": "exact", "at_least": "more", "at_most": "fewer, at least 1"}[self.relation]

    def accepts(self, value: Any, facts: Facts) -> bool:
        """Judge a value."""
        wanted = self.value(facts)
        if self.relation == "at_least":
            return bool(value >= wanted)
        return bool(0 < value <= wanted) if self.relation == "at_most" else bool(value == wanted)


UNKNOWN = object()


@dataclass(frozen=True)
class Tunable:
    """One tunable."""

    id: str
    title: str
    live: Reader
    wanted: Wanted
    severity: Severity
    why: str
    source: str
    needs: tuple[Condition, ...] = ()
    absence: Absence = UNEXPLAINED
    counter: bool = False
    """A counter or a table's fill: it moves by itself, so that a change of its verdict is no change of the host's
    tuning."""
    risk: str = ""
    """What it costs, in one sentence; empty where it costs nothing."""
    setting: Setting | None = None
    """How it is set. `Advice` says what to do where nothing on the host sets it."""
    default: Any = UNKNOWN
    """What a host has where nobody sets it. Where that is right, nothing need be persisted."""
    persists: Callable[[str, Machine], Any] | None = None
    """How the text that the setting persists becomes a value of the reader's kind; by default as the reader does."""
    wrong: Verdict = "drift"
    """What a wrong value is called: `harmful` where it was set on purpose and helps nobody."""
    confidence: float = 1.0
    """Less where the value is inferred and not read."""

    @property
    def group(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]

    @property
    def settable(self) -> bool:
        """Tell whether something on the host sets it."""
        return self.setting is not None and not isinstance(self.setting, Advice)

    def not_applicable(self, facts: Facts) -> str | None:
        """Return why it makes no sense on a host; None where it does, as far as the facts can tell."""
        return next((reason for reason in (condition(facts) for condition in self.needs) if reason), None)

    def persisted_value(self, text: str, machine: Machine) -> Any:
        """Turn what the setting persists into a value that the judge takes; raises ValueError."""
        if self.persists is not None:
            return self.persists(text, machine)
        parse = self.live.parse
        if parse is None:
            raise ValueError(f"{text!r} is not understood")
        return parse(text)
