# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of host this is, so that a knob it cannot have is not called drift, and the plan of its CPUs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any

from . import capability, values
from .host import AbsentError, Host, UnreadableError

CPU_PATH = "/sys/devices/system/cpu"
AMAZON = "Amazon EC2"
"""DMI system vendor of every Nitro instance; the product name beside it is the instance type."""


@dataclass(frozen=True)
class Interface:
    """One network interface that leads out of the machine."""

    name: str
    driver: str


@dataclass(frozen=True)
class Facts:
    """What the audit needs to know of a host before it judges."""

    name: str = "unknown"
    kernel: str = "unknown"
    architecture: str = "unknown"
    cpu_model: str = "unknown"
    cpu_flags: frozenset[str] = frozenset()
    cpus: frozenset[int] = frozenset()
    numa_nodes: int = 1
    memory_kib: int = 0
    virtual: bool | None = None
    """None where neither the CPU nor DMI says."""
    instance_type: str | None = None
    boot_id: str = ""
    """The same for every host that is emulated on one machine."""
    command_line: dict[str, str] = field(default_factory=dict)
    interfaces: tuple[Interface, ...] = ()
    isolated: frozenset[int] = frozenset()
    """The CPUs that the plan gives to the engine alone; empty when nothing is planned."""
    huge_pages: int = 0
    """How many 2 MiB pages the plan sets aside."""
    gigantic_pages: int = 0
    """How many 1 GiB pages the plan sets aside."""
    queues: int = 0
    """How many queues the plan gives the adapter; 0 where it does not say, and there is one for each CPU that keeps
    house."""
    always_polling: bool = False
    """The engine polls the adapter all the time, so that interrupts may be deferred."""
    venue_zone: str | None = None
    """The ID of the zone that the venue is in."""

    @property
    def housekeeping(self) -> frozenset[int]:
        """The CPUs that everything but the engine runs on."""
        return self.cpus - self.isolated

    @property
    def kernel_version(self) -> tuple[int, ...]:
        """The first two or three numbers of the kernel's version; empty where it does not say."""
        try:
            return values.version(self.kernel)
        except ValueError:
            return ()

    @property
    def nitro(self) -> int | None:
        """The generation of the Nitro card; None where the table of types does not know it."""
        known = capability.of(self.instance_type)
        return known.nitro if known else None

    def can(self, name: str) -> bool | None:
        """Tell whether the instance type has something; None where the table of types does not know."""
        return getattr(capability.of(self.instance_type), name, None)

    @property
    def metal(self) -> bool:
        """Tell whether this is known to be no virtual machine."""
        return self.virtual is False

    def as_dict(self) -> dict[str, object]:
        """Return what a report shows."""
        return {
            "name": self.name,
            "kernel": self.kernel,
            "architecture": self.architecture,
            "cpu_model": self.cpu_model,
            "cpus": values.as_cpu_list(self.cpus),
            "numa_nodes": self.numa_nodes,
            "memory_mib": self.memory_kib // 1024,
            "virtual": self.virtual,
            "instance_type": self.instance_type,
            "boot_id": self.boot_id,
            "interfaces": [{"name": interface.name, "driver": interface.driver} for interface in self.interfaces],
            "isolated_cpus": values.as_cpu_list(self.isolated),
            "housekeeping_cpus": values.as_cpu_list(self.housekeeping),
            "huge_pages": self.huge_pages,
            "gigantic_pages": self.gigantic_pages,
            "nitro": self.nitro,
        }


def instance_type_of(host: Host) -> str | None:
    """Return the instance type of a host; None where it is none of EC2's."""
    vendor = _text(host, "/sys/class/dmi/id/sys_vendor").strip()
    product = _text(host, "/sys/class/dmi/id/product_name").strip()
    return product if vendor == AMAZON else None


def gather(
    host: Host,
    isolated: frozenset[int] = frozenset(),
    huge_pages: int = 0,
    interfaces: list[str] | None = None,
    **plan: Any,
) -> Facts:
    """Read the facts of a host.

    Args:
        host: the host.
        isolated: the plan's isolated CPUs. Second threads that `nosmt` has taken offline may be among them.
        huge_pages: the plan's 2 MiB pages.
        interfaces: the interfaces to judge; None are those with a device behind them that are not down.
        plan: what else the plan says, by the name of its field of the facts.

    Raises:
        ValueError: the plan does not fit the host; one line that names the CPU or the interface.

    """
    cpuinfo = _fields(_text(host, "/proc/cpuinfo"))
    cpus = listed(host, f"{CPU_PATH}/online")
    instance_type = instance_type_of(host)
    flags = frozenset(cpuinfo.get("flags", cpuinfo.get("Features", "")).split())
    nodes = listed(host, "/sys/devices/system/node/online")
    isolated = _checked_plan(isolated, cpus, second_threads_off(host, cpus))
    return Facts(
        name=_text(host, "/proc/sys/kernel/hostname").strip() or "unknown",
        kernel=_text(host, "/proc/sys/kernel/osrelease").strip() or "unknown",
        architecture="x86_64" if "flags" in cpuinfo else "aarch64" if "Features" in cpuinfo else "unknown",
        cpu_model=cpuinfo.get("model name", "unknown"),
        cpu_flags=flags,
        cpus=cpus,
        numa_nodes=max(1, len(nodes)),
        memory_kib=_memory_kib(_fields(_text(host, "/proc/meminfo")).get("MemTotal", "")),
        virtual=_virtual(flags, "flags" in cpuinfo, instance_type),
        instance_type=instance_type,
        boot_id=_text(host, "/proc/sys/kernel/random/boot_id").strip(),
        command_line=_command_line(_text(host, "/proc/cmdline")),
        interfaces=_interfaces(host, interfaces),
        isolated=isolated,
        huge_pages=huge_pages,
        **plan,
    )


def listed(host: Host, path: str) -> frozenset[int]:
    """Return the numbers of a list of the kernel's; none where the file is missing.

    Raises:
        ValueError: it is no list; one line that names the file.

    """
    try:
        return values.cpu_list(_text(host, path))
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from None


def _memory_kib(text: str) -> int:
    """Read the number of `MemTotal`; 0 where it is none, which leaves what rests on it unknown."""
    words = text.split()
    return int(words[0]) if words and words[0].isdecimal() else 0


def second_threads_off(host: Host, online: frozenset[int]) -> frozenset[int]:
    """Return the CPUs that a host has, and that are offline since multithreading is off.

    An offline CPU does not show whose sibling it is: they are taken for siblings where they are no more than the
    others.

    Raises:
        ValueError: a file of the kernel is not in the known form.

    """
    if _text(host, f"{CPU_PATH}/smt/control").strip() not in ("off", "forceoff"):
        return frozenset()
    offline = listed(host, f"{CPU_PATH}/offline")
    if present := listed(host, f"{CPU_PATH}/present"):
        offline &= present
    return offline if len(offline) <= len(online) else frozenset()


def _checked_plan(isolated: frozenset[int], cpus: frozenset[int], switched_off: frozenset[int]) -> frozenset[int]:
    """Return the isolated CPUs but for second threads that are off, since nothing runs there."""
    if 0 in isolated:
        raise ValueError(
            "isolated CPUs: CPU 0 cannot be isolated, the kernel's own work needs it: start at a higher one"
        )
    if isolated and not cpus:
        raise ValueError(f"isolated CPUs: {CPU_PATH}/online does not say which the host has: is half of it missing?")
    missing = isolated - cpus - switched_off
    if missing:
        raise ValueError(
            f"isolated CPUs: this host has no CPU {values.as_cpu_list(missing)}, only {values.as_cpu_list(cpus)}"
        )
    if isolated and isolated <= switched_off:
        raise ValueError(
            f"isolated CPUs: {values.as_cpu_list(isolated)} are second threads, which are off: name the first ones"
        )
    return isolated - switched_off


def _virtual(flags: frozenset[str], x86: bool, instance_type: str | None) -> bool | None:
    """Tell by the CPU on x86; elsewhere only the name of the instance type does."""
    if x86:
        return "hypervisor" in flags
    return None if instance_type is None else ".metal" not in instance_type


def _interfaces(host: Host, wanted: list[str] | None) -> tuple[Interface, ...]:
    physical = [name for name in host.names("/sys/class/net") if host.exists(f"/sys/class/net/{name}/device")]
    for name in wanted or ():
        if not host.exists(f"/sys/class/net/{name}"):
            raise ValueError(
                f"interfaces: this host has no interface {name}, only "
                f"{', '.join(host.names('/sys/class/net')) or 'none'}"
            )
    chosen = wanted or [name for name in physical if _text(host, f"/sys/class/net/{name}/operstate").strip() != "down"]
    return tuple(Interface(name, _driver(host, name)) for name in chosen)


def _driver(host: Host, name: str) -> str:
    try:
        return host.link_name(f"/sys/class/net/{name}/device/driver")
    except AbsentError:
        return "none"


def _command_line(text: str) -> dict[str, str]:
    """Split the kernel's command line into names and values; what follows ``--`` is init's."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    if "--" in words:
        words = words[: words.index("--")]
    return {name: value for name, _equals, value in (word.partition("=") for word in words)}


def _fields(text: str) -> dict[str, str]:
    """Read ``name : value`` lines; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found


def _text(host: Host, path: str) -> str:
    """Read a file that only describes the host; one that is missing leaves the fact unknown."""
    try:
        return host.read(path)
    except (AbsentError, UnreadableError):
        return ""
