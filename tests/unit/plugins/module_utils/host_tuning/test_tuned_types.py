# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole catalogue set on a bare host of each instance type, and then audited: what can be set is right.

The hosts are synthetic, and were written without a look at the catalogue. What the audit then finds wrong it would find
on a host that was tuned a minute ago.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import audit as auditing
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import tuning
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.apply import revert, tune
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TITLES, TUNABLES
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.check import Machine
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.door import RefusedError
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.ethtool import CapturedEthtool
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import gather
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.runner import CapturedRunner
from fixtures import host_trees
from fixtures.host_types import TYPES
from fixtures.tuned_host import Adapter, Commands, Kernel, tree

GROUPS = frozenset(TITLES)
RIGHT = ("ok", "not_applicable", "pending_reboot")
REFUSALS = {5: "Input/output error", 13: "Permission denied", 22: "Invalid argument"}


class TypesKernel(Kernel):
    """A kernel that refuses what the tree's own model says, and moves interrupts when it is told to."""

    def __init__(self, root: Path, files: host_trees.Tree) -> None:
        super().__init__(root)
        self.files = files

    def write_value(self, path: str, text: str) -> None:
        error = host_trees.write_refused(self.files, path, text)
        if error is not None:
            raise RefusedError(f"{path}: {REFUSALS.get(error, error)}", managed=error == 5)
        super().write_value(path, text)
        if path.endswith("/smp_affinity_list"):
            (Path(self.root) / path.lstrip("/")).with_name("effective_affinity_list").write_text(text + "\n")


class TypesAdapter(Adapter):
    """The adapter of a type's tree; queues that go away take their interrupts with them."""

    def __init__(self, kernel: Kernel, interface: str) -> None:
        super().__init__()
        self.root = Path(kernel.root)
        self.interface = interface
        self.known = dict(CapturedEthtool(kernel).values(interface))

    def values(self, interface: str) -> dict[str, int]:
        return dict(self.known) if interface == self.interface else {}

    def counters(self, interface: str) -> dict[str, int]:
        return {}

    def set(self, option: str, name: str, word: str) -> None:
        long_names = {
            "gso": "generic-segmentation-offload",
            "tso": "tcp-segmentation-offload",
            "ntuple": "ntuple-filters",
        }
        if option == "K" and name in long_names:
            self.known[long_names[name]] = int(word == "on")
            return
        super().set(option, name, word)
        if option != "L":
            return
        interrupts = self.root / "proc/interrupts"
        kept = []
        for line in interrupts.read_text().splitlines(keepends=True):
            queue = re.search(r"^\s*(\d+):.*-Tx-Rx-(\d+)$", line.rstrip())
            if queue and int(queue[2]) >= int(word):
                (self.root / f"sys/class/net/{self.interface}/device/msi_irqs/{queue[1]}").unlink(missing_ok=True)
            else:
                kept.append(line)
        interrupts.write_text("".join(kept))


def bare(kind: str, root: Path) -> Machine:
    """Return a bare host of a type, with two cores for the engine and some pages."""
    files = host_trees.bare(TYPES[kind])
    host_trees.write(files, root)
    (root / "boot/grub").mkdir(parents=True)
    (root / "boot/grub/grub.cfg").write_text("menuentry Debian {\n  linux /vmlinuz root=UUID=1 ro quiet\n}\n")
    kernel = TypesKernel(root, files)
    adapter = TypesAdapter(kernel, TYPES[kind].interface)
    request = tuning.Request(root=str(root), wishes={"isolated_cores": 4, "huge_pages": 64, "queues": 2})
    plan = tuning.plan(tuning.topology_of(kernel, request.interfaces), tuning.wishes_of(request.wishes))
    facts = gather(kernel, plan.isolated, huge_pages=64)
    commands = Commands(kernel, adapter)
    commands.units.clear()
    return Machine(kernel, adapter, facts, runner=commands, plan=plan)


def made_grub(machine: Machine) -> int:
    """Return how often update-grub was started."""
    assert isinstance(machine.runner, Commands)
    return machine.runner.started.count(("update-grub",))


@pytest.mark.parametrize("kind", ["c5n.9xlarge", "c5n.metal", "c6in.32xlarge", "c7gn.metal"])
def test_what_is_set_is_right_now_or_after_the_boot(kind: str, tmp_path: Path) -> None:
    """No tunable that can be set, and that the host has, is wrong afterwards; and a second run changes nothing."""
    machine = bare(kind, tmp_path)
    before = tree(tmp_path)
    outcome = tune(machine, TUNABLES, GROUPS)
    assert outcome.refused == {}
    assert len(outcome.changes) >= 40
    asked = replace(machine, runner=CapturedRunner(machine.host))
    judged = {row["id"]: row for row in auditing.audit(asked)["findings"]}
    wrong = {
        each.id: (judged[each.id]["verdict"], judged[each.id]["planes"], judged[each.id]["because"])
        for each in TUNABLES
        if each.settable and each.id not in outcome.skipped and judged[each.id]["verdict"] not in RIGHT
    }
    assert wrong == {}
    assert tune(machine, TUNABLES, GROUPS).changes == []
    assert made_grub(machine) == 1, "one run makes the boot loader's files once, and one that changes nothing never"
    revert(machine, None)
    assert made_grub(machine) == 2
    after = tree(tmp_path)
    # What goes away with a queue does not come back in the model, and its first process keeps its CPUs. Masks come back
    # without the zeros that a kernel prints before them, and grub.cfg in update-grub's own spelling.
    gone = re.compile(r"msi_irqs|proc/interrupts|effective_affinity_list|proc/1/status|cpumask$|grub\.cfg$")
    assert {name for name in before | after if before.get(name) != after.get(name) and not gone.search(name)} == set()
