# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check has a host on which it is ok, and one, different in a single thing, on which it alone is drift.

The hosts are synthetic (tests/fixtures/host_trees.py): what is proved here is the audit's logic.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import audit as auditing
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import facts as host_facts
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TITLES, TUNABLES
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.check import Machine, Tunable
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.ethtool import CapturedEthtool
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host
from fixtures import host_trees
from fixtures.host_trees import Link, Tree

ISOLATED = frozenset(range(4, 36))
CPU = "/sys/devices/system/cpu"
DEVICE = "/sys/devices/pci0000:26/0000:27:00.0"
NET = f"{DEVICE}/net/eth0"
SYSCTL = "/proc/sys"
THP = "/sys/kernel/mm/transparent_hugepage"


def command_line(old: str, new: str) -> Tree:
    """The tuned host's command line with one thing changed."""
    text = host_trees.tuned_metal()["/proc/cmdline"]
    assert isinstance(text, str) and old in text
    return {"/proc/cmdline": text.replace(old, new)}


DETUNED: dict[str, Tree] = {
    "cpu.smt": {f"{CPU}/smt/active": "1\n"},
    "cpu.offline": {f"{CPU}/offline": "36-71\n"},
    "cpu.isolated": {f"{CPU}/isolated": "4-34\n"},
    "cpu.isolation_flags": command_line("isolcpus=managed_irq,domain,", "isolcpus="),
    "cpu.nohz_full": {f"{CPU}/nohz_full": "(null)\n"},
    "cpu.rcu_nocbs": command_line("rcu_nocbs=4-35", "rcu_nocbs=4-20"),
    "cpu.idle_latency": {f"{CPU}/cpu7/cpuidle/state3/disable": "0\n"},
    "cpu.governor": {f"{CPU}/cpu9/cpufreq/scaling_governor": "powersave\n"},
    "cpu.frequency_floor": {f"{CPU}/intel_pstate/min_perf_pct": "34\n"},
    "cpu.energy_bias": {f"{CPU}/cpu30/power/energy_perf_bias": "6\n"},
    "cpu.corrected_errors": {"/sys/devices/system/machinecheck/machinecheck3/ignore_ce": "0\n"},
    "cpu.mitigations": command_line("skew_tick=1", "skew_tick=1 mitigations=off"),
    "irq.default_affinity": {"/proc/irq/default_smp_affinity": "f,ffffffff\n"},
    "irq.interface": {"/proc/irq/67/effective_affinity_list": "12\n"},
    "irq.ena_management": {"/proc/irq/65/effective_affinity_list": "35\n"},
    "irq.irqbalance": {"/etc/default/irqbalance": "IRQBALANCE_BANNED_CPULIST=4-20\n"},
    "irq.workqueues": {"/sys/devices/virtual/workqueue/cpumask": "f,ffffffff\n"},
    "irq.writeback": {"/sys/devices/virtual/workqueue/writeback/cpumask": "f,ffffffff\n"},
    "irq.services": {"/proc/1/status": "Cpus_allowed_list:\t0-35\n"},
    "network.driver": {f"{DEVICE}/driver": Link("../../../bus/pci/drivers/ixgbevf")},
    "network.ena_version": {"/sys/module/ena/version": "2.1.0g\n"},
    "network.rx_coalescing": {"/_cmd/ethtool_-c_eth0.txt": host_trees.COALESCE.format(adaptive="off", rx=20, tx=0)},
    "network.rx_adaptive": {"/_cmd/ethtool_-c_eth0.txt": host_trees.COALESCE.format(adaptive="on", rx=0, tx=0)},
    "network.tx_coalescing": {"/_cmd/ethtool_-c_eth0.txt": host_trees.COALESCE.format(adaptive="off", rx=0, tx=64)},
    "network.rx_ring": {"/_cmd/ethtool_-g_eth0.txt": host_trees.RINGS.format(rx=16384, tx=1024)},
    "network.tx_ring": {"/_cmd/ethtool_-g_eth0.txt": host_trees.RINGS.format(rx=1024, tx=2048)},
    "network.queues": {"/_cmd/ethtool_-l_eth0.txt": host_trees.CHANNELS.format(combined=32)},
    "network.gro": {"/_cmd/ethtool_-k_eth0.txt": host_trees.features(gro="on")},
    "network.lro": {"/_cmd/ethtool_-k_eth0.txt": host_trees.features(lro="on")},
    "network.gso": {"/_cmd/ethtool_-k_eth0.txt": host_trees.features(gso="on")},
    "network.rx_checksum": {"/_cmd/ethtool_-k_eth0.txt": host_trees.features(rx_checksum="off")},
    "network.tx_checksum": {"/_cmd/ethtool_-k_eth0.txt": host_trees.features(tx_checksum="off")},
    "network.mtu": {f"{NET}/mtu": "1400\n"},
    "network.rps": {f"{NET}/queues/rx-1/rps_cpus": "f,ffffffff\n"},
    "network.rfs": {f"{SYSCTL}/net/core/rps_sock_flow_entries": "32768\n"},
    "network.threaded_napi": {f"{NET}/threaded": "1\n"},
    "network.deferred_irqs": {f"{NET}/napi_defer_hard_irqs": "2\n"},
    "network.gro_timeout": {f"{NET}/gro_flush_timeout": "200000\n"},
    "network.busy_read": {f"{SYSCTL}/net/core/busy_read": "0\n"},
    "network.busy_poll": {f"{SYSCTL}/net/core/busy_poll": "0\n"},
    "network.qdisc": {f"{SYSCTL}/net/core/default_qdisc": "fq_codel\n"},
    "network.bpf_jit": {f"{SYSCTL}/net/core/bpf_jit_enable": "0\n"},
    "network.conntrack": {f"{SYSCTL}/net/netfilter/nf_conntrack_count": "412\n"},
    "network.backlog_drops": {"/proc/net/softnet_stat": "0000a1b2 0000001f 00000000\n"},
    "network.idle_restart": {f"{SYSCTL}/net/ipv4/tcp_slow_start_after_idle": "1\n"},
    "network.timestamps": {f"{SYSCTL}/net/ipv4/tcp_timestamps": "0\n"},
    "network.sack": {f"{SYSCTL}/net/ipv4/tcp_sack": "0\n"},
    "memory.thp": {f"{THP}/enabled": "always [madvise] never\n"},
    "memory.thp_defrag": {f"{THP}/defrag": "[always] defer defer+madvise madvise never\n"},
    "memory.khugepaged": {f"{THP}/khugepaged/defrag": "1\n"},
    "memory.ksm": {"/sys/kernel/mm/ksm/run": "1\n"},
    "memory.swap": {"/proc/swaps": host_trees.SWAPS + "/swapfile\tfile\t2097148\t0\t-2\n"},
    "memory.swappiness": {f"{SYSCTL}/vm/swappiness": "60\n"},
    "memory.compaction": {f"{SYSCTL}/vm/compaction_proactiveness": "20\n"},
    "memory.locked_pages": {f"{SYSCTL}/vm/compact_unevictable_allowed": "1\n"},
    "memory.zone_reclaim": {f"{SYSCTL}/vm/zone_reclaim_mode": "1\n"},
    "memory.numa_balancing": {f"{SYSCTL}/kernel/numa_balancing": "1\n"},
    "memory.reserve": {f"{SYSCTL}/vm/min_free_kbytes": "67584\n"},
    "memory.writeback": {f"{SYSCTL}/vm/dirty_background_ratio": "10\n"},
    "memory.statistics": {f"{SYSCTL}/vm/stat_interval": "1\n"},
    "memory.huge_pages": {"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages": "300\n"},
    "clock.source": {"/sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"},
    "clock.tsc": {"/proc/cpuinfo": "model name\t: x\nflags\t\t: fpu tsc constant_tsc\n"},
    "clock.timer_migration": {f"{SYSCTL}/kernel/timer_migration": "1\n"},
    "clock.skew_tick": command_line(" skew_tick=1", ""),
    "kernel.nmi_watchdog": {f"{SYSCTL}/kernel/nmi_watchdog": "1\n"},
    "kernel.soft_watchdog": {f"{SYSCTL}/kernel/soft_watchdog": "1\n"},
    "kernel.hung_task": {f"{SYSCTL}/kernel/hung_task_timeout_secs": "120\n"},
    "kernel.rt_throttling": {f"{SYSCTL}/kernel/sched_rt_runtime_us": "950000\n"},
}
"""Every check has a host on which it is ok, and one, different in a single thing, on which it alone is drift.

The hosts are synthetic (tests/fixtures/host_trees.py): what is proved here is the audit\'s logic.
"""


def machine(root: Path, isolated: frozenset[int] = ISOLATED) -> Machine:
    host = Host(str(root))
    return Machine(host, CapturedEthtool(host), host_facts.gather(host, isolated, huge_pages=1024))


def verdicts(root: Path, isolated: frozenset[int] = ISOLATED) -> dict[str, str]:
    return {row["id"]: row["verdict"] for row in auditing.audit(machine(root, isolated))["findings"]}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return host_trees.write(host_trees.tuned_metal(), tmp_path_factory.mktemp("tuned"))


@pytest.fixture
def changed(tuned: Path):
    """Change files of the tuned host; it is as it was when the test ends."""
    before: dict[Path, str | None] = {}

    def put(file: Path, content: str | Link | None) -> None:
        if file.is_symlink() or file.exists():
            file.unlink()
        if isinstance(content, Link):
            file.symlink_to(content.target)
        elif content is not None:
            file.write_text(content)

    def change(tree: Tree) -> Path:
        for path, content in tree.items():
            file = tuned / path.lstrip("/")
            before[file] = Link(os.readlink(file)) if file.is_symlink() else file.read_text()
            put(file, content)
        return tuned

    yield change
    for file, content in before.items():
        put(file, content)


def test_a_tuned_host_is_ok_throughout(tuned: Path) -> None:
    assert {check: verdict for check, verdict in verdicts(tuned).items() if verdict != "ok"} == {}


def test_every_check_has_its_two_cases_and_none_is_left_over() -> None:
    assert {check.id for check in TUNABLES} == set(DETUNED)
    assert len(TUNABLES) == len(DETUNED) >= 40


@pytest.mark.parametrize("check", sorted(DETUNED))
def test_one_thing_detuned_is_named_and_nothing_else(changed, check: str) -> None:
    found = verdicts(changed(DETUNED[check]))
    assert [name for name, verdict in found.items() if verdict == "drift"] == [check]


@pytest.mark.parametrize("check", TUNABLES, ids=lambda check: check.id)
def test_a_missing_path_is_never_ok(check: Tunable, tuned: Path, tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    known = replace(machine(tuned).facts, command_line={}, cpu_flags=frozenset())
    finding = auditing.judge(check, Machine(host, CapturedEthtool(host), known))
    if check.id == "network.driver":  # it is read with the facts, and cannot be missing later
        return
    assert finding["verdict"] in ("unknown", "not_applicable"), finding
    assert finding["because"]


@pytest.mark.parametrize("check", TUNABLES, ids=lambda check: check.id)
def test_a_file_that_refuses_or_lies_is_never_ok(check: Tunable, tuned: Path) -> None:
    class Refusing(Host):
        answer = ""

        def read(self, path: str) -> str:
            super().read(path)  # absent stays absent
            return self.answer

    known = replace(
        machine(tuned).facts,
        command_line={"isolcpus": ",", "rcu_nocbs": "?", "skew_tick": "?", "mitigations": "off"},
        cpu_flags=frozenset({"fpu"}),
    )
    if check.id in ("network.driver", "irq.irqbalance"):  # a link; and a process that is not irqbalance's
        return
    for answer in ("", "?", "garbage [x] [y]\n"):
        host = Refusing(str(tuned))
        host.answer = answer
        finding = auditing.judge(check, Machine(host, CapturedEthtool(host), known))
        if check.id == "cpu.offline" and answer == "":  # an empty list is this file's way to say none
            continue
        assert finding["verdict"] != "ok", (answer, finding)


def test_a_bare_virtual_machine_drifts_only_where_it_can_be_tuned(tmp_path: Path) -> None:
    root = host_trees.write(host_trees.bare_virtual(), tmp_path)
    found = verdicts(root)
    hidden = {"cpu.governor", "cpu.frequency_floor", "cpu.energy_bias", "cpu.corrected_errors"}
    assert {found[check] for check in hidden} == {"not_applicable"}
    assert found["memory.numa_balancing"] == "not_applicable"
    assert found["network.ena_version"] == "not_applicable"
    assert {check for check, verdict in found.items() if verdict == "drift"} == {
        "cpu.smt",
        "cpu.isolated",
        "cpu.isolation_flags",
        "cpu.nohz_full",
        "cpu.rcu_nocbs",
        "cpu.idle_latency",
        "irq.services",
        "network.rx_coalescing",
        "network.rx_adaptive",
        "network.tx_coalescing",
        "network.gro",
        "network.gso",
        "network.busy_read",
        "network.busy_poll",
        "network.qdisc",
        "memory.thp",
        "memory.khugepaged",
        "memory.swappiness",
        "clock.source",
        "clock.skew_tick",
    }
    assert "unknown" not in found.values()


def test_on_metal_a_hidden_governor_needs_an_explanation(tuned: Path, tmp_path: Path) -> None:
    tree = {path: content for path, content in host_trees.tuned_metal().items() if "cpufreq" not in path}
    assert verdicts(host_trees.write(tree, tmp_path))["cpu.governor"] == "unknown"


def test_without_a_plan_nothing_is_judged_against_one(tuned: Path) -> None:
    found = verdicts(tuned, isolated=frozenset())
    assert {found[check] for check in found if check.startswith("irq.")} == {"not_applicable"}
    assert found["cpu.isolated"] == "not_applicable"


def test_without_a_network_its_knobs_are_not_applicable(tmp_path: Path) -> None:
    tree = {path: content for path, content in host_trees.tuned_metal().items() if path != "/sys/class/net/eth0"}
    found = verdicts(host_trees.write(tree, tmp_path))
    assert {found[check] for check in ("network.rx_coalescing", "network.rps", "network.gro", "irq.interface")} == {
        "not_applicable"
    }
    assert found["network.sack"] == "ok"


@pytest.mark.parametrize(
    ("isolated", "words"), [({0, 4}, "CPU 0 cannot be isolated"), ({35, 36, 37}, "no CPU 36-37, only 0-35")]
)
def test_a_plan_that_does_not_fit_is_refused_in_one_line(tuned: Path, isolated: set[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        machine(tuned, frozenset(isolated))


def test_a_link_out_of_a_captured_tree_is_not_followed(tuned: Path, changed) -> None:
    root = changed({"/sys/kernel/mm/ksm/run": Link("/proc/sys/kernel/ostype")})
    found = {row["id"]: row for row in auditing.audit(machine(root))["findings"]}
    assert found["memory.ksm"]["verdict"] == "not_applicable" and found["memory.ksm"]["planes"]["live"] is None


def test_every_entry_says_what_a_reader_needs() -> None:
    for check in TUNABLES:
        assert check.group in TITLES, check.id
        assert check.why.endswith(".") and check.why.count(". ") == 0, f"{check.id}: one sentence"
        assert check.source and check.title and not check.title.endswith(".")
    assert {check.group for check in TUNABLES} == set(TITLES)
