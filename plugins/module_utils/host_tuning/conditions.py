# SPDX-License-Identifier: GPL-3.0-or-later
"""When a tunable makes no sense on a host, and what it means when its path is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .facts import Facts

Verdict = Literal["harmful", "drift", "pending_reboot", "not_persisted", "unknown", "waived", "ok", "not_applicable"]
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


def virtual(facts: Facts) -> str | None:
    """Need a virtual machine."""
    return None if facts.virtual else "no virtual machine: there is no hypervisor"


def x86(facts: Facts) -> str | None:
    """Need an x86 CPU."""
    return None if facts.architecture in ("x86_64", "unknown") else f"an {facts.architecture} CPU"


def intel(facts: Facts) -> str | None:
    """Need a CPU of Intel's."""
    return x86(facts) or (None if "Intel" in facts.cpu_model or facts.cpu_model == "unknown" else "no Intel CPU")


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


def plans_gigantic_pages(facts: Facts) -> str | None:
    """Need a plan that sets pages of 1 GiB aside."""
    return None if facts.gigantic_pages else "the plan sets no pages of 1 GiB aside"


def kernel_at_least(*version: int) -> Condition:
    """Need a kernel of some version; one that does not say its own is taken for new enough."""

    def condition(facts: Facts) -> str | None:
        known = facts.kernel_version
        if not known or known >= version:
            return None
        return f"kernel {facts.kernel} has no such knob, {'.'.join(map(str, version))} has"

    return condition


def can(capability: str, what: str) -> Condition:
    """Need an instance type that has something, by the table of types; one that the table does not know is tried."""

    def condition(facts: Facts) -> str | None:
        return f"a {facts.instance_type} has no {what}" if facts.can(capability) is False else None

    return condition


def surely_can(capability: str, what: str) -> Condition:
    """Need an instance type of which the table says that it has something."""

    def condition(facts: Facts) -> str | None:
        if facts.can(capability):
            return None
        return f"{facts.instance_type or 'this host'} is not known to have {what}"

    return condition


@dataclass(frozen=True)
class Absence:
    """What an absent path means, on a virtual machine and elsewhere: never that all is well."""

    because: str = "the path is missing, and every kernel of this kind should have it"
    virtual: Verdict = "unknown"
    otherwise: Verdict = "unknown"
    capability: str = ""
    """Of the instance type: where the table says whether it has it, that counts."""

    def verdict(self, facts: Facts) -> Verdict:
        """Judge the absence."""
        known = facts.can(self.capability) if self.capability else None
        if known is not None:
            return "unknown" if known else "not_applicable"
        if self.capability and facts.instance_type:
            return "unknown"  # a type that the table does not know
        return self.virtual if facts.virtual else self.otherwise

    def reason(self, facts: Facts) -> str:
        """Say why it may be absent."""
        if self.capability and facts.instance_type and facts.can(self.capability) is None:
            return f"the table of instance types does not know {facts.instance_type}"
        return self.because


UNEXPLAINED = Absence()


def not_in_kernel(because: str) -> Absence:
    """Say that the kernel was built without it, or is too old or too new: there is nothing to set."""
    return Absence(because, "not_applicable", "not_applicable")


def hidden_by_hypervisor(because: str, capability: str = "") -> Absence:
    """Say that a virtual machine is not shown it; on metal its absence needs an explanation."""
    return Absence(because, "not_applicable", "unknown", capability)
