# SPDX-License-Identifier: GPL-3.0-or-later
"""How a tunable is set: what sets it at the next boot, what this boot was told, and which actions set it now and then.

A catalogue entry carries one of these kinds. They are data and small functions that read the host through
:class:`Machine`; none opens a file or starts a process by itself, and none changes anything: they return actions, which
apply.py carries out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from . import interrupts, persistence, values
from .actions import BootArgument, Ethtool, Interrupt, Line, UnitState, Write, shape_of, spelled
from .persistence import Persisted
from .setting import (
    GIGANTIC_KIB,
    GRUB_FILE,
    REAPPLY_FILE,
    SYSCTL_FILE,
    TMPFILES_FILE,
    CannotSetError,
    Setting,
    ShortError,
    Spell,
    in_file,
    in_shell,
    reapply,
)

if TYPE_CHECKING:
    from .actions import Action
    from .check import Machine
    from .facts import Facts


@dataclass(frozen=True)
class Sysctl(Setting):
    """A file below /proc/sys, by the key that sysctl.d knows."""

    key: str
    spell: Spell = spelled

    @property
    def path(self) -> str:
        """Where it is live."""
        return f"/proc/sys/{self.key.replace('.', '/')}"

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask sysctl.d, by the precedence of systemd-sysctl."""
        return persistence.sysctl(machine.host, self.key)

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Write the file below /proc/sys."""
        if not machine.host.exists(self.path):
            raise CannotSetError(f"{self.path}: this kernel has no such key")
        return [Write(self.path, in_file(self, value, machine.facts), shape_of(self.path, value))]

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Add a line to our file of sysctl.d."""
        return [Line(SYSCTL_FILE, f"{self.key} = {in_file(self, value, machine.facts)}")]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the command, and the line that keeps it."""
        text = in_file(self, value, facts)
        return f"sysctl -w {self.key}={text}; and the line `{self.key} = {text}` in {SYSCTL_FILE}"


@dataclass(frozen=True)
class Sysfs(Setting):
    """A file below /sys or /proc, or with a pattern every file that matches.

    ``{interface}`` is each judged one, and ``{isolated}`` each of the plan's isolated CPUs.
    """

    path: str
    spell: Spell = spelled

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask tmpfiles.d; what belongs to an interface is set again by our own unit."""
        if "{interface}" in self.path:
            return persistence.reapplied(
                machine, lambda entry, name: entry.get("write") == self.path.format(interface=name)
            )
        found = [persistence.tmpfiles(machine.host, pattern) for pattern in self._patterns(machine)]
        kept = [each for each in found if each is not None]
        return kept[0] if kept and len(kept) == len(found) else None

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Write every file that matches."""
        text = in_file(self, value, machine.facts)
        found: list[Action] = []
        for pattern in self._patterns(machine):
            paths = machine.host.matching(pattern) if "*" in pattern else [pattern]
            found += [Write(path, text, shape_of(path, value)) for path in paths if machine.host.exists(path)]
        if not found:
            raise CannotSetError(f"{self.path}: this host has no such file")
        return found

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Add a line to our file of tmpfiles.d, or an entry for each interface to what is set again."""
        text = in_file(self, value, machine.facts)
        if "{interface}" not in self.path:
            escaped = text.replace("%", "%%")
            return [Line(TMPFILES_FILE, f"w {pattern} - - - - {escaped}") for pattern in self._patterns(machine)]
        return [
            reapply(interface.name, write=self.path.format(interface=interface.name), value=text)
            for interface in machine.facts.interfaces
        ]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the command, and what keeps it."""
        kept = REAPPLY_FILE if "{interface}" in self.path else TMPFILES_FILE
        return f"echo '{in_file(self, value, facts)}' | tee {in_shell(self.path, facts)}; kept by {kept}"

    def _patterns(self, machine: Machine) -> list[str]:
        if "{isolated}" in self.path:
            return [self.path.format(isolated=cpu) for cpu in sorted(machine.facts.isolated)]
        if "{interface}" not in self.path:
            return [self.path]
        return [self.path.format(interface=interface.name) for interface in machine.facts.interfaces]


@dataclass(frozen=True)
class Offered(Sysfs):
    """A word that another file must list before the kernel takes it: one that it lacks now, a boot may bring."""

    by: str = ""

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Write it where it is offered."""
        text = in_file(self, value, machine.facts)
        return super().now(machine, value) if text in machine.host.read(self.by).split() else []


@dataclass(frozen=True)
class KernelParameter(Setting):
    """A word of the kernel's command line."""

    name: str
    spell: Spell = spelled
    needs_reboot: ClassVar[bool] = True

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask the boot loader's own files."""
        return persistence.kernel_parameter(machine.host, self.name)

    def boot(self, machine: Machine) -> str | None:
        """Return the word of this boot."""
        return machine.facts.command_line.get(self.name)

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Append it to what others pass; a different value of theirs is refused by apply.py."""
        text = self.spell(value, machine.facts)
        loader = persistence.boot_loader(machine.host)
        if loader == "none":
            raise CannotSetError(f"kernel parameter {self.name}: neither GRUB nor boot entries are on this host")
        if loader == "entries":
            return [BootArgument(self.name, text)]
        word = f"{self.name}={text}" if text else self.name
        variable = persistence.GRUB_VARIABLE
        return [Line(GRUB_FILE, f'{variable}="${variable} {word}"', after=persistence.MAKE_GRUB)]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return both ways, of which a distribution has one."""
        word = f"{self.name}={self.spell(value, facts)}".rstrip("=")
        return f"kernel parameter {word}: {GRUB_FILE} and update-grub, or grubby --update-kernel=ALL --args={word}"


@dataclass(frozen=True)
class HugePages(Setting):
    """Huge pages of one size in KiB; the wanted value is how many in all, the plan says on which nodes."""

    size_kib: int

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask the boot loader."""
        return persistence.huge_pages(machine.host, self.size_kib)

    def boot(self, machine: Machine) -> str | None:
        """Return what the boot was asked to set aside."""
        return persistence.huge_pages_asked(machine.host, self.size_kib)

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Ask each node; the kernel may give fewer, which the reading back tells.

        Pages of 1 GiB are had at a boot only, in practice; whether it gave them is told by their count.

        Raises:
            CannotSetError: the host has no pages of this size.
            ShortError: this boot was asked for them and gave fewer.

        """
        counts = self._counts(machine, value)
        found: list[Action] = []
        for node, count in counts.items():
            path = f"/sys/devices/system/node/node{node}/hugepages/hugepages-{self.size_kib}kB/nr_hugepages"
            if not machine.host.exists(path) and len(counts) == 1:
                path = f"/sys/kernel/mm/hugepages/hugepages-{self.size_kib}kB/nr_hugepages"
            if not machine.host.exists(path):
                raise CannotSetError(f"{path}: this host has no pages of this size")
            found.append(Write(path, str(count)))
        if self.size_kib < GIGANTIC_KIB:
            return found
        given = [int(machine.host.read(action.target)) for action in found]
        if self.boot(machine) == self._word(machine, value) and sum(given) < sum(counts.values()):
            raise ShortError(
                f"huge pages: this boot was asked for {sum(counts.values())} of {self.size_kib // GIGANTIC_KIB} GiB "
                f"and gave {sum(given)}: there was no such run of free memory on the node"
            )
        return []

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Set them aside before memory is in pieces."""
        size = persistence.size_word(self.size_kib)
        # The count belongs to the size before it, so the two are one word to the boot loader.
        return KernelParameter(f"hugepagesz={size} hugepages").at_boot(machine, self._word(machine, value))

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the command, and that a boot gives them surely."""
        return (
            f"echo COUNT > /sys/devices/system/node/nodeN/hugepages/hugepages-{self.size_kib}kB/nr_hugepages for "
            f"{values.shown(value)} in all, or host_tuning_huge_pages and a boot"
        )

    def _word(self, machine: Machine, value: Any) -> str:
        counts = self._counts(machine, value)
        if len(counts) == 1:
            return str(next(iter(counts.values())))
        return ",".join(f"{node}:{count}" for node, count in counts.items())

    def _counts(self, machine: Machine, value: Any) -> dict[int, int]:
        """Take the plan's nodes, or spread a number evenly over all of them, the first ones first."""
        planned = machine.plan.huge_pages.get(self.size_kib) if machine.plan else None
        if planned:
            return planned
        nodes = machine.facts.numa_nodes
        return {node: int(value) // nodes + (node < int(value) % nodes) for node in range(nodes)}


@dataclass(frozen=True)
class IdleStates(Setting):
    """The idle states that take longer than the wanted number of µs to leave, switched off."""

    limit: int
    """In µs; states up to it stay."""

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask tmpfiles.d for each state."""
        found = [persistence.tmpfiles(machine.host, self._pattern(state)) for state in self._deep(machine)]
        kept = [each for each in found if each is not None]
        return kept[0] if kept and len(kept) == len(found) else None

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Switch each of them off on every CPU."""
        return [
            Write(path, "1") for state in self._deep(machine) for path in machine.host.matching(self._pattern(state))
        ]

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Add a line for each state to our file of tmpfiles.d."""
        return [Line(TMPFILES_FILE, f"w {self._pattern(state)} - - - - 1") for state in self._deep(machine)]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the command."""
        return f"echo 1 | tee the `disable` of each idle state above {self.limit} µs; kept by {TMPFILES_FILE}"

    @staticmethod
    def _pattern(state: str) -> str:
        return f"/sys/devices/system/cpu/cpu*/cpuidle/{state}/disable"

    def _deep(self, machine: Machine) -> list[str]:
        root = "/sys/devices/system/cpu/cpu0/cpuidle"
        states = machine.host.matching(f"{root}/state[0-9]*/latency")
        if not states:
            raise CannotSetError(f"{root}: this host has no idle states to choose from")
        return [path.split("/")[-2] for path in states if int(machine.host.read(path)) > self.limit]


LONG_NAMES = {
    "gro": "generic-receive-offload",
    "gso": "generic-segmentation-offload",
    "tso": "tcp-segmentation-offload",
    "lro": "large-receive-offload",
    "rx": "rx-checksumming",
    "tx": "tx-checksumming",
    "sg": "scatter-gather",
    "ntuple": "ntuple-filters",
}
PREFIXES = {"G": "ring-", "L": "channels-"}


@dataclass(frozen=True)
class EthtoolValue(Setting):
    """A value that ethtool sets: the option is the capital letter of the command, the name what follows it."""

    option: str
    name: str

    @property
    def known_as(self) -> str:
        """The name under which it is read."""
        return LONG_NAMES.get(self.name, self.name) if self.option == "K" else PREFIXES.get(self.option, "") + self.name

    @property
    def _shown(self) -> str:
        """How the command prints it, whatever the case."""
        shown = "Adaptive RX" if self.name == "adaptive-rx" else self.name
        return self.known_as if self.option == "K" else shown

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask what is set again when an interface comes up whose driver offers it."""
        return persistence.reapplied(
            machine,
            lambda entry, _name: entry.get("ethtool", [])[:2] == [self.option, self.name],
            self._offered(machine),
        )

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Set it on each interface whose driver offers it."""
        offered = self._offered(machine)
        if not offered:
            raise CannotSetError(f"ethtool -{self.option} {self.name}: no interface's driver offers it")
        return [Ethtool(name, self.option, self.name, self.known_as, self._word(value)) for name in offered]

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Have it set again whenever the interface comes up."""
        return [
            reapply(action.interface, ethtool=[self.option, self.name, self._shown], value=action.value)
            for action in self.now(machine, value)
            if isinstance(action, Ethtool)
        ]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the command."""
        command = f"ethtool -{self.option} {{interface}} {self.name} {self._word(value)}"
        return f"{in_shell(command, facts, '; ')}; kept by {REAPPLY_FILE}"

    def _offered(self, machine: Machine) -> list[str]:
        return [
            interface.name
            for interface in machine.facts.interfaces
            if self.known_as in machine.ethtool.values(interface.name)
        ]

    @staticmethod
    def _word(value: Any) -> str:
        return ("on" if value else "off") if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Affinity(Setting):
    """Where interrupts arrive: the queues of an interface one a CPU, everything else on any of the wanted CPUs."""

    which: Literal["interface", "ena_management", "all_other"]

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask what is set again when an interface comes up; other interrupts keep what irqaffinity= gave them."""
        if self.which == "all_other":
            return persistence.kernel_parameter(machine.host, "irqaffinity")
        return persistence.reapplied(machine, lambda entry, _name: entry.get("affinity") == self.which)

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Pin each interrupt by its name."""
        names = interrupts.names(machine, self.which)
        if not names:
            raise CannotSetError(f"/proc/interrupts: no interrupt of the kind {self.which}")
        cpus = sorted(value)
        if not cpus:
            raise CannotSetError(f"interrupts of the kind {self.which}: the plan gives them no CPU")
        if self.which == "interface" and machine.plan and machine.plan.interrupts:
            cpus = list(machine.plan.interrupts)
        if self.which == "interface":
            places = [interrupts.queue_of(name) % len(cpus) for name in names]
            return [Interrupt(name, str(cpus[place])) for name, place in zip(names, places)]  # noqa: B905  (3.9)
        return [Interrupt(name, values.as_cpu_list(cpus)) for name in names]

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Have it done again whenever the interface comes up."""
        if self.which == "all_other":
            return []
        cpus = values.as_cpu_list(value)
        if self.which == "interface" and machine.plan and machine.plan.interrupts:
            cpus = ",".join(map(str, machine.plan.interrupts))
        return [reapply(interface.name, affinity=self.which, value=cpus) for interface in machine.facts.interfaces]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the command."""
        return f"echo {values.shown(value)} > /proc/irq/N/smp_affinity_list; kept by {REAPPLY_FILE}"


@dataclass(frozen=True)
class SystemdKey(Setting):
    """A key of systemd's configuration, in a drop-in of ours: ``…/system.conf.d/90-ironbook.conf``."""

    file: str
    section: str
    key: str
    after: tuple[str, ...] = ("systemctl", "daemon-reexec")

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask the main file and every drop-in; the last one wins."""
        return persistence.systemd_key(machine.host, self.file, self.section, self.key)

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Add the key to our drop-in; the command that follows makes it live."""
        return [Line(self.file, f"{self.key}={spelled(value)}", self.section, self.after)]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the line and the command."""
        return f"{self.key}={spelled(value)} below [{self.section}] in {self.file}; {' '.join(self.after)}"


@dataclass(frozen=True)
class Unit(Setting):
    """The state of a unit of systemd; what is masked, stopped or running stays so over a boot."""

    name: str
    wanted: Literal["masked", "stopped", "running"]

    def persisted(self, machine: Machine) -> Persisted | None:
        """Ask the links in /etc/systemd/system."""
        return persistence.unit(machine.host, self.name)

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Bring the unit to its state, where the host has it."""
        if not persistence.has_unit(machine.host, self.name):
            raise CannotSetError(f"{self.name}: this host has no such unit")
        return [UnitState(self.name, self.wanted)]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the command."""
        verb = {"masked": "mask", "stopped": "disable", "running": "enable"}[self.wanted]
        return f"systemctl {verb} --now {self.name}"


@dataclass(frozen=True)
class FileLine(Setting):
    """One line of a configuration file that is ours, a drop-in of a program."""

    path: str
    line_key: str
    separator: str = "="
    after: tuple[str, ...] = ()

    def persisted(self, machine: Machine) -> Persisted | None:
        """Read the file."""
        return persistence.file_line(machine.host, self.path, self.line_key, self.separator)

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Add the line."""
        return [Line(self.path, f"{self.line_key}{self.separator}{spelled(value)}", after=self.after)]

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the line."""
        return f"the line `{self.line_key}{self.separator}{spelled(value)}` in {self.path}"


@dataclass(frozen=True)
class Advice(Setting):
    """It cannot be set on the host; the text is the exact remedy."""

    text: str

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the remedy."""
        return self.text
