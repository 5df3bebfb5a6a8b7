# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit says of hosts that are half captured, not one's own, unknown, or tuned by a guide that errs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import audit as auditing
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import service, settings
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import Facts, Interface
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host, UnreadableError
from fixtures import host_audits, host_trees
from fixtures import host_formats as formats
from fixtures.host_trees import CPU, Tree
from fixtures.host_types import TYPES

COLLECTIONS = Path(sys.prefix) / "collections"
UTILS = "ansible_collections.ironbook.trading.plugins.module_utils.host_tuning"


def audited(directory: Path, tree: Tree, kind: str = "c5n.metal", **plan: Any) -> dict[str, dict[str, Any]]:
    return host_audits.findings(host_trees.write(tree, directory), kind, **plan)


def having(found: dict[str, dict[str, Any]], *wanted: str) -> set[str]:
    return {name for name, row in found.items() if row["verdict"] in wanted}


def without(tree: Tree, *parts: str) -> Tree:
    return {path: content for path, content in tree.items() if not any(part in path for part in parts)}


@pytest.mark.parametrize("kind", TYPES)
def test_a_bare_host_drifts_where_it_can_be_tuned_and_nowhere_is_a_guess(tmp_path: Path, kind: str) -> None:
    found = audited(tmp_path, host_trees.bare(TYPES[kind]), kind)
    assert having(found, "unknown", "harmful", "pending_reboot") == set()
    drift = having(found, "drift")
    always = {"cpu.isolated", "adapter.rx_moderation", "packet.gro", "packet.busy_read", "memory.swappiness"}
    assert always <= drift and len(drift) >= 45
    assert found["power.governor"]["verdict"] == ("drift" if TYPES[kind].shows_frequency else "not_applicable")
    assert found["ec2.threads"]["verdict"] == ("not_applicable" if TYPES[kind].metal or TYPES[kind].arm else "ok")
    assert found["clock.adapter_clock"]["verdict"] == ("drift" if TYPES[kind].has_clock else "not_applicable")


def test_on_metal_a_hidden_governor_needs_an_explanation(tmp_path: Path) -> None:
    found = audited(tmp_path, without(host_trees.tuned_metal(), "cpufreq"))
    assert found["power.governor"]["verdict"] == "unknown"


def test_an_unknown_instance_type_is_said_to_be_one(tmp_path: Path) -> None:
    tree = {**host_trees.tuned(TYPES["c5n.18xlarge"]), "/sys/class/dmi/id/product_name": "x99.18xlarge\n"}
    found = audited(tmp_path, without(tree, "cpuidle"), "c5n.18xlarge")
    for name in ("power.governor", "power.idle_latency"):
        assert found[name]["verdict"] == "unknown"
        assert "does not know x99.18xlarge" in found[name]["because"]
    assert having(found, "drift", "harmful") == set(), "nothing is called wrong for want of knowledge"


def test_without_a_plan_nothing_is_judged_against_one(tmp_path: Path) -> None:
    found = audited(tmp_path, host_trees.tuned_metal(), isolated=frozenset())
    assert {found[name]["verdict"] for name in found if name.startswith("irq.")} == {"not_applicable"}
    assert found["cpu.isolated"]["verdict"] == "not_applicable"


def test_a_pin_counts_until_the_interrupt_next_fires(tmp_path: Path) -> None:
    lagging: Tree = {"/proc/irq/66/effective_affinity_list": "9\n", "/proc/irq/4/effective_affinity_list": "\n"}
    found = audited(tmp_path, {**host_trees.tuned_metal(), **lagging})
    assert (found["irq.interface"]["verdict"], found["irq.other"]["verdict"]) == ("ok", "ok")


def test_a_driver_whose_defaults_nobody_knows_keeps_nothing_by_itself(tmp_path: Path) -> None:
    tree = host_trees.tuned_metal()
    (driver,) = (path for path in tree if path.endswith("/driver"))
    found = audited(tmp_path, {**tree, driver: host_trees.Link("../../../bus/pci/drivers/virtio_net")})
    assert {"packet.tso", "packet.mtu", "adapter.rx_ring"} <= having(found, "not_persisted")


def test_without_a_network_its_knobs_are_not_applicable(tmp_path: Path) -> None:
    tree = {path: text for path, text in host_trees.tuned_metal().items() if path != "/sys/class/net/enp39s0"}
    found = audited(tmp_path, tree)
    names = ("adapter.rx_moderation", "packet.rps", "packet.gro", "irq.interface", "counter.rx_overruns")
    assert {found[name]["verdict"] for name in names} == {"not_applicable"}
    assert found["network.sack"]["verdict"] == "ok"


def test_of_a_tree_without_etc_nobody_says_what_the_next_boot_does(tmp_path: Path) -> None:
    found = audited(tmp_path, without(host_trees.tuned_metal(), "/etc/", "/boot/"))
    assert having(found, "not_persisted", "drift", "pending_reboot") == set()
    guessed = found["memory.swappiness"]
    assert guessed["verdict"] == "ok" and guessed["confidence"] == 0.5 and "there is no /etc" in guessed["because"]
    assert found["network.conntrack"]["confidence"] == 1


def test_a_tree_without_the_commands_output_is_unknown_there_and_judged_elsewhere(tmp_path: Path) -> None:
    found = audited(tmp_path, without(host_trees.tuned_metal(), "/_cmd/", "/_api/"))
    unknown = having(found, "unknown")
    assert {"adapter.rx_moderation", "clock.error", "service.tuned", "ec2.tenancy", "counter.resets"} <= unknown
    assert all(found[name]["because"] for name in unknown)
    assert having(found, "drift", "harmful", "not_persisted") == set()
    assert found["memory.swappiness"]["verdict"] == "ok"


def test_half_a_proc_is_never_a_false_alarm(tmp_path: Path) -> None:
    found = audited(tmp_path, without(host_trees.tuned_metal(), *(f"/proc/{digit}" for digit in "123789"), "/proc/irq"))
    assert having(found, "drift", "harmful") == set()
    assert {"irq.interface", "irq.services", "irq.kernel_threads"} <= having(found, "unknown")


def test_a_tree_may_lie_in_a_directory_of_any_name(tmp_path: Path) -> None:
    """A pattern of the catalogue is none of the directory's."""
    place = tmp_path / "c5n.metal [1] *"
    place.mkdir()
    found = audited(place, host_trees.tuned_metal())
    assert having(found, "unknown", "drift", "not_persisted") == set()
    assert len(having(found, "ok")) >= 150


def test_what_is_no_file_in_a_tree_is_not_waited_for(tmp_path: Path) -> None:
    root = host_trees.write(host_trees.tuned_metal(), tmp_path)
    swappiness = root / "proc/sys/vm/swappiness"
    swappiness.unlink()
    os.mkfifo(swappiness)
    # From a thread, which may be left behind: whoever opens a pipe that nobody writes waits for ever.
    asked = ThreadPoolExecutor().submit(host_audits.findings, root)
    found = asked.result(timeout=60)["memory.swappiness"]
    assert (found["verdict"], found["because"]) == ("unknown", "/proc/sys/vm/swappiness: no regular file")


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (f"{CPU}/online", "0-99999999999\n", f"{CPU}/online: no CPU list"),
        (f"{CPU}/online", None, "does not say which the host has: is half of it missing?"),
        ("/sys/devices/system/node/online", "?", "node/online: no CPU list"),
    ],
)
def test_a_damaged_tree_is_refused_by_the_name_of_its_file(
    tmp_path: Path, path: str, text: str | None, words: str
) -> None:
    root = host_trees.write({**host_trees.tuned_metal(), path: text}, tmp_path)
    with pytest.raises(service.AuditError) as refused:
        service.run(str(root), "4-35", 0, None)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_damaged_file_is_unknown_and_takes_no_memory(tmp_path: Path) -> None:
    damaged: Tree = {"/proc/irq/66/smp_affinity_list": "0-4294967295\n", "/proc/meminfo": "MemTotal: much\n"}
    found = audited(tmp_path, {**host_trees.tuned_metal(), **damaged})
    assert found["irq.interface"]["verdict"] == "unknown"
    assert found["memory.swappiness"]["verdict"] == "ok"


def test_the_fix_names_what_the_host_has_and_a_hostile_name_stays_a_word(tmp_path: Path) -> None:
    found = audited(tmp_path, host_trees.bare(TYPES["c5n.metal"]))
    assert found["adapter.rx_moderation"]["fix"].startswith("ethtool -C enp39s0 rx-usecs 0; kept by ")
    assert "tee /sys/class/net/enp39s0/queues/" in found["packet.rfs_queues"]["fix"]
    facts = Facts(interfaces=(Interface("x; reboot", "ena"),), isolated=frozenset({4, 5}))
    assert settings.Sysfs("/a/cpu{isolated}/b").fix(1, facts).startswith("echo '1' | tee /a/cpu{4,5}/b; kept by ")
    assert settings.EthtoolValue("G", "rx").fix(8, facts).startswith("ethtool -G 'x; reboot' rx 8; kept by ")


class Ordinary(Host):
    """A host that is read without root."""

    def read(self, path: str) -> str:
        if any(fnmatch(path, pattern) for pattern in host_trees.ROOT_ONLY):
            raise UnreadableError(f"{path}: Permission denied")
        return super().read(path)


def test_without_root_what_may_not_be_read_is_unknown_and_the_rest_is_as_with_it(tmp_path: Path) -> None:
    host_trees.write(host_trees.tuned(TYPES["c7i.metal-24xl"]), tmp_path)
    kind = "c7i.metal-24xl"
    rows = auditing.audit(host_audits.machine(tmp_path, kind, Ordinary(str(tmp_path))))["findings"]
    with_root = host_audits.verdicts(tmp_path, kind)
    differing = {row["id"]: row for row in rows if row["verdict"] != with_root[row["id"]]}
    assert set(differing) == {"cpu.fair_server", "kernel.tracer"}
    for row in differing.values():
        assert row["verdict"] == "unknown" and "Permission denied" in row["because"]


MEASURE = """
import json, re, sys, time
sys.path.insert(0, sys.argv[1])
from {utils} import service
began = time.process_time()
audit = service.run(sys.argv[2], "4-35", 1024, None, gigantic_pages=2)
seconds = time.process_time() - began
# Not getrusage: that remembers the process which started this one, and this one is new since then.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps([len(audit["findings"]), seconds, peak]))
"""


def test_72_cpus_and_32_queues_take_less_than_3_seconds_and_64_mib(tmp_path: Path) -> None:
    tree = host_trees.bare(TYPES["c5n.metal"])
    assert tree[f"{CPU}/online"] == "0-71\n" and "Tx-Rx-31" in str(tree["/proc/interrupts"])
    host_trees.write(tree, tmp_path)
    command = [sys.executable, "-c", MEASURE.format(utils=UTILS), str(COLLECTIONS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    count, seconds, kib = json.loads(done.stdout)
    assert count >= 110
    assert seconds < 3 and kib < 64 * 1024, f"{seconds:.2f} s of CPU, {kib // 1024} MiB"


GUIDE: dict[str, tuple[str, Tree, dict[str, str]]] = {
    "1 threads are counted and not believed": (
        "c5n.metal",
        {f"{CPU}/smt/active": "1\n", f"{CPU}/smt/control": "on\n"},
        {"cpu.smt": "drift"},
    ),
    "2 the bracketed word counts": ("c5n.metal", {}, {"memory.thp": "ok", "memory.thp_defrag": "ok"}),
    "3 of a disk's scheduler too": ("c5n.metal", {}, {"kernel.disk_scheduler": "ok"}),
    "4 an interrupt on the engine's core is found": (
        "c5n.metal",
        {"/proc/irq/66/effective_affinity_list": "9\n", "/proc/irq/66/smp_affinity_list": "0-35\n"},
        {"irq.interface": "drift"},
    ),
    "5 a key that no kernel has is not passed in silence": (
        "c5n.metal",
        {"/etc/sysctl.d/99-hft.conf": "kernel.sched_min_granularity_ns=10000000\nvm.mlockall=1\n"},
        {"conflict.gone_keys": "harmful"},
    ),
    "6 a ratio and a size of dirty memory undo each other": (
        "c5n.metal",
        {"/etc/sysctl.d/99-hft.conf": "vm.dirty_ratio = 80\nvm.dirty_bytes = 4194304\n"},
        {"conflict.dirty_pair": "harmful"},
    ),
    "8 a ring that the adapter does not take is not asked for": (
        "c5n.metal",
        {
            host_trees.REAPPLY: json.dumps(
                {"entries": [{"interface": "enp39s0", "ethtool": ["G", "tx"], "value": "4096"}]}
            )
        },
        {"adapter.tx_ring": "not_persisted", "adapter.rx_ring": "ok"},
    ),
    "9 an interface is known by its device and not by the name eth0": (
        "c5n.9xlarge",
        {},
        {"adapter.rx_moderation": "ok", "packet.rps": "ok", "packet.gro": "ok"},
    ),
    "10 a script that nobody runs keeps nothing": (
        "c7i.metal-24xl",
        {host_trees.REAPPLY: "{}", "/etc/NetworkManager/dispatcher.d/99-irq": "#!/bin/sh\n"},
        {"irq.interface": "not_persisted", "adapter.rx_moderation": "not_persisted"},
    ),
    "11 a profile of a tuner that is not there keeps nothing": (
        "c5n.metal",
        {host_trees.TMPFILES: "", "/etc/tuned/active_profile": "latency-performance\n"},
        {"power.governor": "not_persisted", "memory.thp": "not_persisted"},
    ),
    "12 where boot entries count, the defaults of GRUB do not": (
        "c7i.metal-24xl",
        {
            "/etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="isolcpus=managed_irq,domain,4-47 nohz_full=4-47"\n',
            host_trees.ENTRY: "title Amazon Linux\nversion 6.12\noptions root=/dev/nvme0n1p1 ro\n",
        },
        {"cpu.isolated": "not_persisted", "cpu.nohz_full": "not_persisted"},
    ),
    "13 isolation without its flags is half of it": (
        "c5n.metal",
        {
            "/proc/cmdline": "root=/dev/nvme0n1p1 ro isolcpus=4-35 nohz_full=4-35 rcu_nocbs=4-35\n",
            host_trees.GRUB: "",
            "/proc/irq/default_smp_affinity": "000000ff,ffffffff,ffffffff\n",
            "/proc/90/status": formats.process("kswapd0", "0-35", 2),
        },
        {"cpu.isolation_flags": "drift", "irq.default_affinity": "drift", "irq.kernel_threads": "drift"},
    ),
    "14 a made-up stratum harms, and a clock that is there is asked": (
        "c7i.metal-24xl",
        {
            "/etc/chrony/chrony.conf": "server 169.254.169.123 prefer minpoll 4 maxpoll 4\nlocal stratum 10\n",
            "/etc/chrony/conf.d/ironbook.conf": "# none\n",
        },
        {"clock.configuration": "harmful", "clock.adapter_clock": "drift"},
    ),
    "15 what everybody may is not tuning": (
        "c5n.metal",
        {"/etc/security/limits.d/99-hft.conf": "* soft memlock unlimited\n* - rtprio 99\n* - nice -20\n"},
        {"service.limits_for_everybody": "harmful"},
    ),
    "16 what only the API knows is judged beside the host": (
        "c5n.18xlarge",
        {},
        {"ec2.placement_strategy": "ok", "ec2.threads": "ok", "ec2.metadata_tokens": "ok"},
    ),
}
"""Of the 17 defects of the best public reference (research: tuning, section 1) those that are states of a host."""


@pytest.mark.parametrize("defect", GUIDE)
def test_what_the_best_public_guide_judges_wrongly_is_judged_right(tmp_path: Path, defect: str) -> None:
    kind, changes, expected = GUIDE[defect]
    found = audited(tmp_path, {**host_trees.tuned(TYPES[kind]), **changes}, kind)
    assert {name: found[name]["verdict"] for name in expected} == expected


def test_defect_7_the_plan_counts_and_not_a_list_in_the_program(tmp_path: Path) -> None:
    tree = {path: text.replace("4-35", "8-35") if isinstance(text, str) else text
            for path, text in host_trees.tuned(TYPES["c5n.18xlarge"]).items()}  # fmt: skip
    found = audited(tmp_path, tree, "c5n.18xlarge", isolated=frozenset(range(8, 36)))
    names = ("cpu.isolated", "cpu.nohz_full", "cpu.rcu_nocbs", "irq.workqueues", "irq.default_affinity")
    assert {name: found[name]["verdict"] for name in names} == dict.fromkeys(names, "ok")


def test_defect_16_every_finding_can_be_used_by_a_program(tmp_path: Path) -> None:
    found = audited(tmp_path, host_trees.bare(TYPES["c5n.18xlarge"]), "c5n.18xlarge")
    assert {row["severity"] for row in found.values()} == {"critical", "high", "medium", "low"}
    for row in found.values():
        assert json.loads(json.dumps(row)) == row
        assert set(row["planes"]) == {"desired", "persisted", "boot", "live", "effect"}
        assert bool(row["fix"]) == (row["verdict"] != "not_applicable"), row["id"]


def test_defect_17_the_instance_type_is_known_without_the_metadata_service(tmp_path: Path) -> None:
    host_trees.write(host_trees.bare(TYPES["c5n.9xlarge"]), tmp_path)
    facts = host_audits.machine(tmp_path, "c5n.9xlarge").facts
    assert (facts.instance_type, facts.nitro, facts.can("p_states")) == ("c5n.9xlarge", 3, False)
