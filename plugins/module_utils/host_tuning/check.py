# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tunable is made of: where the value is read, what is wanted, and when neither question makes sense.

A catalogue entry is data put together from these small parts; the parts are pure but for the readers, which see the
host only through :class:`Host` and :class:`Ethtool`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from . import values
from .ethtool import Ethtool
from .facts import Facts
from .host import AbsentError, Host, UnreadableError
from .settings import Setting

Severity = Literal["critical", "high", "medium", "low"]
Verdict = Literal["harmful", "drift", "pending_reboot", "not_persisted", "unknown", "waived", "ok", "not_applicable"]
Parse = Callable[[str], Any]


class NotApplicableError(Exception):
    """The host cannot have this knob; the text says why."""


@dataclass(frozen=True)
class Machine:
    """What a reader may look at."""

    host: Host
    ethtool: Ethtool
    facts: Facts


class Reader(Protocol):
    """Reads one tunable, which may have a value for each CPU, queue or interface."""

    @property
    def path(self) -> str:
        """Say where it is read."""

    def read(self, machine: Machine) -> dict[str, Any]:
        """Return the values by what they belong to; raises AbsentError, UnreadableError or NotApplicableError."""


@dataclass(frozen=True)
class File:
    """One file, or with a pattern every file that matches; ``{interface}`` stands for each judged interface."""

    path: str
    parse: Parse = values.word

    def read(self, machine: Machine) -> dict[str, Any]:
        """Read all of them; no match at all is an absent path."""
        patterns = [self.path]
        if "{interface}" in self.path:
            patterns = [self.path.format(interface=interface.name) for interface in judged_interfaces(machine)]
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
        if not found:
            drivers = ", ".join(sorted({interface.driver for interface in machine.facts.interfaces}))
            raise NotApplicableError(f"the driver ({drivers}) does not offer it")
        return found


@dataclass(frozen=True)
class Computed:
    """A value that takes more than one file; the function is given the machine."""

    path: str
    function: Callable[[Machine], dict[str, Any]]

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

    best: Any
    low: Any = None
    high: Any = None
    unit: str = ""

    def text(self, facts: Facts) -> str:
        """Say the best value."""
        return values.shown(self.best) + self.unit

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


Condition = Callable[[Facts], "str | None"]
"""Why a tunable makes no sense on a host; None where it does."""


def isolates(facts: Facts) -> str | None:
    """Need a plan that isolates CPUs."""
    return None if facts.isolated else "the plan isolates no CPU"


def several_nodes(facts: Facts) -> str | None:
    """Need more than one NUMA node."""
    return None if facts.numa_nodes > 1 else "there is one NUMA node"


def metal(facts: Facts) -> str | None:
    """Need the hardware itself."""
    return "a virtual machine: the hypervisor owns it" if facts.virtual else None


def x86(facts: Facts) -> str | None:
    """Need an x86 CPU."""
    return None if facts.architecture in ("x86_64", "unknown") else f"an {facts.architecture} CPU"


def on_ec2(facts: Facts) -> str | None:
    """Need an EC2 instance."""
    return None if facts.instance_type else "not an EC2 instance"


def with_ena(facts: Facts) -> str | None:
    """Need an interface of Amazon's adapter."""
    return (
        None
        if any(interface.driver == "ena" for interface in facts.interfaces)
        else "no interface is an Elastic Network Adapter"
    )


def plans_huge_pages(facts: Facts) -> str | None:
    """Need a plan that sets huge pages aside."""
    return None if facts.huge_pages else "the plan sets no huge pages aside"


@dataclass(frozen=True)
class Absence:
    """What an absent path means, on a virtual machine and elsewhere: never that all is well."""

    because: str = "the path is missing, and every kernel of this kind should have it"
    virtual: Verdict = "unknown"
    otherwise: Verdict = "unknown"

    def verdict(self, facts: Facts) -> Verdict:
        """Judge the absence."""
        return self.virtual if facts.virtual else self.otherwise


def not_in_kernel(because: str) -> Absence:
    """Say that the kernel was built without it, or is too old or too new: there is nothing to set."""
    return Absence(because, "not_applicable", "not_applicable")


def hidden_by_hypervisor(because: str) -> Absence:
    """Say that a virtual machine is not shown it; on metal its absence needs an explanation."""
    return Absence(because, "not_applicable", "unknown")


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
    absence: Absence = Absence()
    counter: bool = False
    """A counter or a table's fill: it moves by itself, so that a change of its verdict is no change of the host's
    tuning."""
    risk: str = ""
    """What it costs, in one sentence; empty where it costs nothing."""
    setting: Setting | None = None
    """How it is set; None where nothing on the host sets it."""

    @property
    def group(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]
