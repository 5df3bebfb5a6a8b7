# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose second threads go away by `nosmt`: what is wished for before the boot is had after it, and stays so.

The boot is modelled here after the kernel's documentation: CPUs go offline, lists of CPUs lose them, and what
sysctl.d, tmpfiles.d and the boot loader keep is set. Nothing of it is taken from the tuning.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import audit as auditing
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import service, tuning, values
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.apply import tune
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TUNABLES
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.check import Machine
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import gather
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.runner import CapturedRunner
from fixtures import host_formats as formats
from fixtures import host_trees as trees
from fixtures.host_types import TYPES

from .test_tuned_types import GROUPS, RIGHT, bare

METAL = TYPES["c5n.metal"]
CPU = "sys/devices/system/cpu"
FIRST = frozenset(range(METAL.cores))
# Named with both threads of each core, by number of cores, and with interrupts on second threads, too.
WISHES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"isolated_cpus": "32-35,68-71"}, "32-35"),
    ({"isolated_cores": 4}, "14-17"),  # the last four of the adapter's node
    ({"isolated_cpus": "32-35,68-71", "interrupt_cpus": "1-2,37-38", "engine_cpus": "33,69", "queues": 3}, "32-35"),
)


def put(root: Path, path: str, text: str) -> None:
    (root / path).write_text(f"{text}\n")


def boot(root: Path) -> None:
    """Boot it with what GRUB passes: nosmt among it."""
    passed = (root / "boot/grub/grub.cfg").read_text().split("/vmlinuz ")[1].split("\n")[0]
    assert "nosmt" in passed.split()
    put(root, "proc/cmdline", f"BOOT_IMAGE=/vmlinuz {passed}")
    put(root, f"{CPU}/online", f"0-{METAL.cores - 1}")
    put(root, f"{CPU}/offline", f"{METAL.cores}-{2 * METAL.cores - 1}")
    put(root, f"{CPU}/present", f"0-{2 * METAL.cores - 1}")
    put(root, f"{CPU}/smt/active", "0")
    put(root, f"{CPU}/smt/control", "off")
    for cpu in range(METAL.cores):
        put(root, f"{CPU}/cpu{cpu}/topology/thread_siblings_list", str(cpu))
        shutil.rmtree(root / f"{CPU}/cpu{cpu + METAL.cores}")
    for node in range(METAL.nodes):
        put(root, f"sys/devices/system/node/node{node}/cpulist", METAL.node_cores(node))
    parameters = dict(word.partition("=")[::2] for word in passed.split())
    put(root, f"{CPU}/isolated", parameters["isolcpus"].replace("managed_irq,domain,", ""))
    put(root, f"{CPU}/nohz_full", parameters["nohz_full"])
    for path in root.glob("proc/irq/*/*_affinity_list"):
        path.write_text(values.as_cpu_list(values.cpu_list(path.read_text()) & FIRST) + "\n")
    status = root / "proc/1/status"
    status.write_text(re.sub(r"(Cpus_allowed_list:\s*)(\S+)", within_first, status.read_text()))
    asked = values.cpu_list(parameters["irqaffinity"])
    put(root, "proc/irq/default_smp_affinity", formats.mask(asked, trees.mask_words(METAL)))
    for line in (root / "etc/sysctl.d/90-ironbook.conf").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = (part.strip() for part in line.split("=", 1))
            put(root, f"proc/sys/{key.replace('.', '/')}", value)
    for line in (root / "etc/tmpfiles.d/ironbook.conf").read_text().splitlines():
        if line.startswith("w "):
            fields = line.split(None, 6)
            for path in root.glob(fields[1].lstrip("/")):
                before = path.read_text()
                path.write_text(before if "[" in before else f"{fields[6]}\n")

    come_up(root)


def come_up(root: Path) -> None:
    """Set again what is kept for an interface that comes up: its queues, one a CPU in the order of the list."""
    entries = json.loads((root / "etc/ironbook/host_tuning.json").read_text())["entries"]
    (kept,) = [entry["value"].split(",") for entry in entries if entry.get("affinity") == "interface"]
    for number, queue in re.findall(r"(?m)^ *(\d+):.*-Tx-Rx-(\d+)$", (root / "proc/interrupts").read_text()):
        for name in ("smp_affinity_list", "effective_affinity_list"):
            put(root, f"proc/irq/{number}/{name}", kept[int(queue) % len(kept)])


def within_first(match: re.Match[str]) -> str:
    return match[1] + values.as_cpu_list(values.cpu_list(match[2]) & FIRST)


def once_more(machine: Machine, wishes: dict[str, Any]) -> Machine:
    """The host as a run of the same wishes sees it, whose adapter has been set again when it came up."""
    plan = tuning.plan(tuning.topology_of(machine.host, None), tuning.wishes_of(wishes))
    facts = gather(machine.host, plan.isolated, huge_pages=64, queues=plan.queues)
    return replace(machine, facts=facts, plan=plan)


@pytest.mark.parametrize(("wishes", "isolated"), WISHES)
def test_the_same_wishes_change_nothing_after_the_second_threads_are_gone(
    wishes: dict[str, Any], isolated: str, tmp_path: Path
) -> None:
    wishes = {"queues": 2, "huge_pages": 64, **wishes}
    machine = once_more(bare("c5n.metal", tmp_path), wishes)
    first = tune(machine, TUNABLES, GROUPS)
    assert {"nosmt", "isolcpus", "irqaffinity"} <= set(first.reboot_for) and first.refused == {}
    assert tune(once_more(machine, wishes), TUNABLES, GROUPS).changes == []
    boot(tmp_path)
    assert f"isolcpus=managed_irq,domain,{isolated} " in (tmp_path / "proc/cmdline").read_text()
    booted = once_more(machine, wishes)
    again = tune(booted, TUNABLES, GROUPS)
    assert (again.changes, again.refused, again.reboot_for) == ([], {}, [])
    asked = replace(booted, runner=CapturedRunner(machine.host))
    wrong = {
        row["id"]: (row["verdict"], row["planes"], row["because"])
        for row, each in zip(auditing.audit(asked)["findings"], TUNABLES, strict=True)
        if each.settable and each.id not in first.skipped and row["verdict"] not in RIGHT
    }
    assert wrong == {}


def test_the_audit_takes_the_names_of_second_threads_that_are_off_and_no_others(tmp_path: Path) -> None:
    """A tree of a tuned host: its CPUs 36 to 71 exist and are off, and of more it knows nothing."""
    trees.write(trees.tuned_metal(), tmp_path)
    audit = service.run(str(tmp_path), "4-35,40-71", trees.PAGES, None)
    assert audit["host"]["isolated_cpus"] == "4-35"
    assert {row["id"]: row["verdict"] for row in audit["findings"]}["cpu.isolated"] == "ok"
    with pytest.raises(service.AuditError, match="this host has no CPU 72, only 0-35"):
        service.run(str(tmp_path), "4-35,40-72", 0, None)
    with pytest.raises(service.AuditError, match="40-71 are second threads, which are off"):
        service.run(str(tmp_path), "40-71", 0, None)
    for request, words in (
        ({"isolated_cpus": "4-35,40-72"}, "this host has no CPU 72"),
        ({"isolated_cpus": "40"}, "isolated CPUs: 40 are second threads, which are off: name the first ones"),
        ({"isolated_cpus": "4-35", "engine_cpus": "40"}, "engine CPUs: 40 are second threads"),
    ):
        with pytest.raises(tuning.TuningError, match=re.escape(words)):
            tuning.run(tuning.Request(root=str(tmp_path), wishes=request, check=True))


def test_cpus_that_somebody_took_offline_are_still_missing(tmp_path: Path) -> None:
    """With multithreading on, an offline CPU is none that a plan may name."""
    trees.write(trees.tuned_metal(), tmp_path)
    put(tmp_path, f"{CPU}/smt/control", "on")
    with pytest.raises(service.AuditError, match="this host has no CPU 40-71"):
        service.run(str(tmp_path), "4-35,40-71", 0, None)
