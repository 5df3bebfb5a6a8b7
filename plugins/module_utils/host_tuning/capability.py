# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance type has, so that a knob it lacks is not called drift; from the EC2 User Guide and the ENA driver.

A type that is not here is unknown, and nothing is inferred for it: its absent knobs are unknown, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Capability:
    """Of one instance type; None where no source says."""

    nitro: int | None = None
    """Generation of the Nitro card."""
    metal: bool = False
    c_states: bool | None = None
    """The operating system chooses the idle states."""
    p_states: bool | None = None
    """It chooses the frequency."""
    threads_option: bool | None = None
    """CPU options can switch the second thread off."""
    flow_steering: bool | None = None
    """The adapter takes ntuple rules."""
    large_llq: bool | None = None
    """The driver chooses large descriptors by default, which halve the send ring."""
    ena_express: bool | None = None
    precision_time: bool | None = None
    """It may join a precision-time placement group, and has a clock of its own (PHC)."""
    queue_option: bool | None = None
    """The API sets the number of queues."""
    iommu: bool | None = None
    whole_host: bool | None = None
    """No other customer's instance is on the same machine."""
    burstable: bool = False
    architecture: str = "x86_64"


NITRO_3 = Capability(
    nitro=3,
    flow_steering=False,
    large_llq=False,
    ena_express=False,
    precision_time=False,
    queue_option=False,
)
NITRO_4 = Capability(nitro=4, flow_steering=False, large_llq=True, ena_express=True)
NITRO_5 = Capability(nitro=5, flow_steering=True, large_llq=True, ena_express=True)


def virtual(card: Capability, *, c_states: bool = True, whole_host: bool = True) -> Capability:
    """Describe a virtual machine: the hypervisor owns the frequency, and there is no IOMMU."""
    return replace(card, c_states=c_states, p_states=False, threads_option=True, iommu=False, whole_host=whole_host)


def metal(card: Capability) -> Capability:
    """Describe the hardware itself, with all of its threads."""
    return replace(card, metal=True, c_states=True, p_states=True, threads_option=False, iommu=True, whole_host=True)


def graviton(known: Capability) -> Capability:
    """Take away what Amazon's own CPUs do not show, and the second threads that they do not have."""
    return replace(known, architecture="aarch64", c_states=False, p_states=False, threads_option=False)


TYPES: dict[str, Capability] = {
    "c5n.9xlarge": virtual(NITRO_3, whole_host=False),
    "c5n.18xlarge": virtual(NITRO_3),
    "c5n.metal": metal(NITRO_3),
    "m5n.metal": metal(NITRO_3),
    "c6in.32xlarge": virtual(replace(NITRO_4, precision_time=False, queue_option=True)),
    "c6in.metal": metal(replace(NITRO_4, precision_time=False, queue_option=False)),
    "c7gn.16xlarge": graviton(virtual(replace(NITRO_5, precision_time=False))),
    "c7gn.metal": graviton(metal(replace(NITRO_5, precision_time=False))),
    "c7i.metal-24xl": metal(replace(NITRO_4, precision_time=True)),
    "c7i.metal-48xl": metal(replace(NITRO_4, precision_time=True)),
}
BURSTABLE = ("t2", "t3", "t3a", "t4g")


def of(instance_type: str | None) -> Capability | None:
    """Return what is known of a type; None where it is none, or not in the table."""
    if instance_type is None:
        return None
    if instance_type.partition(".")[0] in BURSTABLE:
        return Capability(burstable=True, p_states=False, c_states=False, whole_host=False)
    return TYPES.get(instance_type)
