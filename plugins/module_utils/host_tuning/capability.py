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
VIRTUAL = {"p_states": False, "threads_option": True, "iommu": False}
METAL = {"metal": True, "c_states": True, "p_states": True, "threads_option": False, "iommu": True, "whole_host": True}
ARM = {"architecture": "aarch64", "c_states": False, "p_states": False, "threads_option": False}

TYPES: dict[str, Capability] = {
    "c5n.9xlarge": replace(NITRO_3, c_states=True, whole_host=False, **VIRTUAL),
    "c5n.18xlarge": replace(NITRO_3, c_states=True, whole_host=True, **VIRTUAL),
    "c5n.metal": replace(NITRO_3, **METAL),
    "m5n.metal": replace(NITRO_3, **METAL),
    "c6in.32xlarge": replace(
        NITRO_4, c_states=True, precision_time=False, queue_option=True, whole_host=True, **VIRTUAL
    ),
    "c6in.metal": replace(NITRO_4, precision_time=False, queue_option=False, **METAL),
    "c7gn.16xlarge": replace(NITRO_5, precision_time=False, whole_host=True, **{**VIRTUAL, **ARM}),
    "c7gn.metal": replace(NITRO_5, precision_time=False, **{**METAL, **ARM}),
    "c7i.metal-24xl": replace(NITRO_4, precision_time=True, **METAL),
    "c7i.metal-48xl": replace(NITRO_4, precision_time=True, **METAL),
}
BURSTABLE = ("t2", "t3", "t3a", "t4g")


def of(instance_type: str | None) -> Capability | None:
    """Return what is known of a type; None where it is none, or not in the table."""
    if instance_type is None:
        return None
    if instance_type.partition(".")[0] in BURSTABLE:
        return Capability(burstable=True, p_states=False, c_states=False, whole_host=False)
    return TYPES.get(instance_type)
