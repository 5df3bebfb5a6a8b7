# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning on a model of a host: what it sets, that it is exact, idempotent, undone, and refused before or taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import settings
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.apply import revert, tune
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.check import (
    Between,
    Computed,
    Machine,
    Tunable,
    exactly,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import Interface
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import AbsentError
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.session import Change, Outcome, TuningError
from fixtures.tuned_host import Kernel, again, host, tree
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

ALL = frozenset({"cpu", "irq", "network", "memory", "services"})
SWAPPINESS = "/proc/sys/vm/swappiness"
THP = "/sys/kernel/mm/transparent_hugepage/enabled"


def nothing(_machine: Machine) -> dict[str, Any]:
    """Tell nothing of the live value: then the best one is set."""
    raise AbsentError("nowhere")


def tunable(name: str, setting: settings.Setting, value: Any) -> Tunable:
    """Return an entry as the catalogue has them."""
    return Tunable(name, name, Computed("nowhere", nothing), exactly(value), "low", "", "", setting=setting)


HOUSEKEEPING = frozenset({0, 1})
ISOLATED = frozenset({2, 3})
CATALOGUE = {
    each.id: each
    for each in (
        tunable("memory.swappiness", settings.Sysctl("vm.swappiness"), 0),
        tunable("network.buffers", settings.Sysctl("net.ipv4.tcp_rmem"), "4096 1000 2000"),
        tunable("memory.thp", settings.Sysfs(THP), "never"),
        tunable("irq.workqueues", settings.Sysfs("/sys/devices/virtual/workqueue/cpumask"), HOUSEKEEPING),
        tunable("network.rps", settings.Sysfs("/sys/class/net/{interface}/queues/rx-*/rps_cpus"), frozenset()),
        tunable("cpu.idle", settings.IdleStates(10), 1),
        tunable("cpu.nohz_full", settings.KernelParameter("nohz_full"), ISOLATED),
        tunable("cpu.skew", settings.KernelParameter("skew_tick"), 1),
        tunable("memory.huge", settings.HugePages(2048), 16),
        tunable("memory.gigantic", settings.HugePages(1048576), 2),
        tunable("network.rx", settings.EthtoolValue("C", "rx-usecs"), 0),
        tunable("network.adaptive", settings.EthtoolValue("C", "adaptive-rx"), False),
        tunable("network.gro", settings.EthtoolValue("K", "gro"), False),
        tunable("network.rxhash", settings.EthtoolValue("K", "rxhash"), True),
        tunable("irq.queues", settings.Affinity("interface"), HOUSEKEEPING),
        tunable("irq.management", settings.Affinity("ena_management"), HOUSEKEEPING),
        tunable("irq.others", settings.Affinity("all_other"), HOUSEKEEPING),
        tunable(
            "irq.services",
            settings.SystemdKey("/etc/systemd/system.conf.d/90-ironbook.conf", "Manager", "CPUAffinity"),
            HOUSEKEEPING,
        ),
        tunable("services.irqbalance", settings.Unit("irqbalance.service", "masked"), "masked"),
        tunable("services.absent", settings.Unit("absent.service", "masked"), "masked"),
        tunable("services.limits", settings.FileLine("/etc/security/limits.d/90-ironbook.conf", "engine", " "), "- x"),
        tunable("memory.advice", settings.Advice("ask somebody"), 1),
    )
}


def chosen(*names: str) -> list[Tunable]:
    """Return some entries, or all of them."""
    return [CATALOGUE[name] for name in names] or list(CATALOGUE.values())


def run(machine: Machine, *names: str, groups: frozenset[str] = ALL, **how: Any) -> Outcome:
    """Tune."""
    return tune(machine, chosen(*names), groups, **how)


def live(machine: Machine, path: str) -> str:
    """Read a value."""
    return machine.host.read(path).strip()


def kernel_of(machine: Machine) -> Kernel:
    """Return the model, to have it refuse things."""
    assert isinstance(machine.host, Kernel)
    return machine.host


def test_everything_is_set_now_and_for_the_next_boot(tmp_path: Path) -> None:
    """Each kind of setting, as the kernel, the adapter, systemd and the boot loader then have it."""
    machine = host(tmp_path)
    outcome = run(machine)
    assert live(machine, SWAPPINESS) == "0"
    assert live(machine, "/proc/sys/net/ipv4/tcp_rmem") == "4096\t1000\t2000"
    assert live(machine, THP) == "always madvise [never]"
    assert live(machine, "/sys/devices/virtual/workqueue/cpumask") == "3"
    assert live(machine, "/sys/class/net/eth0/queues/rx-1/rps_cpus") == "0"
    assert live(machine, "/sys/devices/system/cpu/cpu1/cpuidle/state2/disable") == "1"
    assert live(machine, "/sys/devices/system/cpu/cpu0/cpuidle/state1/disable") == "0"
    assert live(machine, "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages") == "16"
    assert [live(machine, f"/proc/irq/{irq}/smp_affinity_list") for irq in (30, 31, 32, 40)] == ["0-1", "0", "1", "0-1"]
    known = machine.ethtool.values("eth0")
    assert (known["rx-usecs"], known["adaptive-rx"], known["generic-receive-offload"]) == (0, 0, 0)
    grub = (tmp_path / "boot/grub/grub.cfg").read_text().split()
    assert {"nohz_full=2-3", "skew_tick=1", "console=ttyS0", "quiet"} <= set(grub)
    assert grub.index("hugepagesz=1G") + 1 == grub.index("hugepages=2")
    assert outcome.reboot_for == ["hugepagesz=1G hugepages", "hugepagesz=2M hugepages", "nohz_full", "skew_tick"]
    assert set(outcome.skipped) == {"services.absent", "network.rxhash"}
    assert outcome.refused == {}
    for each in chosen():
        if each.id not in outcome.skipped and each.id not in ("memory.advice", "irq.others"):
            assert each.setting is not None
            assert each.setting.persisted(machine) is not None, each.id


def test_files_say_whose_each_line_is(tmp_path: Path) -> None:
    """A person who meets one knows where it comes from."""
    run(host(tmp_path))
    assert (tmp_path / "etc/sysctl.d/90-ironbook.conf").read_text().splitlines()[1:] == [
        "# memory.swappiness",
        "vm.swappiness = 0",
        "# network.buffers",
        "net.ipv4.tcp_rmem = 4096 1000 2000",
    ]
    assert (
        "[Manager]\n# irq.services\nCPUAffinity=0-1\n"
        in (tmp_path / "etc/systemd/system.conf.d/90-ironbook.conf").read_text()
    ), "what the key belongs to"
    entries = json.loads((tmp_path / "etc/ironbook/host_tuning.json").read_text())["entries"]
    ethtool = ["K", "gro", "generic-receive-offload"]
    assert {"interface": "eth0", "ethtool": ethtool, "value": "off", "tunables": ["network.gro"]} in entries
    assert {"interface": "eth0", "affinity": "interface", "value": "0-1", "tunables": ["irq.queues"]} in entries


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """Not a byte, and no command is started."""
    machine = host(tmp_path)
    run(machine)
    before = tree(tmp_path)
    machine.runner.started.clear()
    outcome = run(machine)
    assert outcome.changes == []
    assert machine.runner.started == []
    assert tree(tmp_path) == before


def test_a_reverted_host_is_what_it_was(tmp_path: Path) -> None:
    """Byte for byte, directories that were made and the state file among them."""
    machine = host(tmp_path)
    before, adapter, units = tree(tmp_path), dict(machine.ethtool.known), {"irqbalance.service": ["enabled", "active"]}
    run(machine)
    assert tree(tmp_path) != before
    outcome = revert(machine, None)
    assert tree(tmp_path).pop("boot/grub/grub.cfg", None) is not None
    assert _without_boot(tree(tmp_path)) == _without_boot(before)
    assert "nohz_full" not in (tmp_path / "boot/grub/grub.cfg").read_text()
    assert machine.ethtool.known == adapter
    assert machine.runner.units == units
    assert outcome.changes
    assert revert(machine, None).changes == []


def _without_boot(files: dict[str, bytes | str]) -> dict[str, bytes | str]:
    """Leave out what update-grub writes anew, in its own spelling."""
    return {name: content for name, content in files.items() if name != "boot/grub/grub.cfg"}


def test_one_group_is_reverted_and_the_others_stay(tmp_path: Path) -> None:
    """The same as if the group had never been tuned."""
    machine = host(tmp_path / "both")
    run(machine)
    revert(machine, frozenset({"memory"}))
    other = host(tmp_path / "one")
    run(other, groups=ALL - {"memory"})
    assert _without_boot(tree(tmp_path / "both")).keys() == _without_boot(tree(tmp_path / "one")).keys()
    assert (tmp_path / "both/etc/sysctl.d/90-ironbook.conf").read_text() == (
        tmp_path / "one/etc/sysctl.d/90-ironbook.conf"
    ).read_text()
    assert live(machine, SWAPPINESS) == "60"
    assert live(machine, "/sys/devices/virtual/workqueue/cpumask") == "3"


def test_groups_one_after_the_other_are_all_at_once(tmp_path: Path) -> None:
    """A role calls the module once for each of its parts."""
    machine = host(tmp_path / "parts")
    for group in sorted(ALL):
        run(machine, groups=frozenset({group}))
    run(host(tmp_path / "once"))
    parts, once = tree(tmp_path / "parts"), tree(tmp_path / "once")
    state = "var/lib/ironbook/host_tuning.json"
    for files in (parts, once):
        files[state] = json.dumps(json.loads(files[state])["values"].keys() and "")
    assert parts == once


def test_what_is_wanted_no_more_is_undone(tmp_path: Path) -> None:
    """An entry that leaves the catalogue takes its value and its line with it."""
    machine = host(tmp_path)
    run(machine)
    outcome = tune(machine, [t for t in chosen() if t.id not in ("memory.swappiness", "cpu.skew")], ALL)
    assert live(machine, SWAPPINESS) == "60"
    assert "swappiness" not in (tmp_path / "etc/sysctl.d/90-ironbook.conf").read_text()
    assert "skew_tick" not in (tmp_path / "boot/grub/grub.cfg").read_text()
    assert {change.target for change in outcome.changes} >= {SWAPPINESS, settings.GRUB_FILE}


def test_the_first_value_is_kept_over_many_runs(tmp_path: Path) -> None:
    """Not the one that the run before had set."""
    machine = host(tmp_path)
    run(machine, "memory.swappiness")
    tune(machine, [tunable("memory.swappiness", settings.Sysctl("vm.swappiness"), 5)], ALL)
    assert live(machine, SWAPPINESS) == "5"
    revert(machine, None)
    assert live(machine, SWAPPINESS) == "60"


def test_a_value_that_is_as_right_stays(tmp_path: Path) -> None:
    """A tolerance is no drift, so nothing is moved within it; it is kept for the next boot all the same."""
    machine = host(tmp_path)

    def read(_machine: Machine) -> dict[str, Any]:
        return {SWAPPINESS: 60}

    wide = Tunable(
        "memory.swappiness", "", Computed(SWAPPINESS, read), Between(0, low=0, high=80), "low", "", "",
        setting=settings.Sysctl("vm.swappiness"),
    )  # fmt: skip
    tune(machine, [wide], ALL)
    assert live(machine, SWAPPINESS) == "60"
    assert "vm.swappiness = 60" in (tmp_path / "etc/sysctl.d/90-ironbook.conf").read_text()


# ---------------------------------------------------------------------------------------------------- refusals


def test_an_interrupt_that_the_kernel_places_is_named_and_left(tmp_path: Path) -> None:
    """EIO of a managed interrupt is no failure: NVMe has them on every instance."""
    machine = host(tmp_path)
    kernel_of(machine).refuses["/proc/irq/40/smp_affinity_list"] = "EIO"
    outcome = run(machine, "irq.others", "irq.queues")
    assert "the kernel places this interrupt by itself" in outcome.skipped["interrupt nvme0q1"]
    assert live(machine, "/proc/irq/31/smp_affinity_list") == "0"
    assert run(machine, "irq.others", "irq.queues").changes == []


@pytest.mark.parametrize("refusal", ["EROFS", "keeps"])
def test_a_refused_value_takes_the_whole_run_back(tmp_path: Path, refusal: str) -> None:
    """One that takes the write and does nothing is found by reading back; the host is as it was."""
    machine = host(tmp_path)
    before, adapter = tree(tmp_path), dict(machine.ethtool.known)
    kernel_of(machine).refuses[THP] = refusal
    with pytest.raises(TuningError) as caught:
        run(machine)
    assert THP in str(caught.value)
    assert "The host is as it was" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _without_boot(tree(tmp_path)) == _without_boot(before)
    assert machine.ethtool.known == adapter
    assert machine.runner.units["irqbalance.service"] == ["enabled", "active"]


def test_a_run_that_keeps_going_does_the_rest_and_says_what_is_left(tmp_path: Path) -> None:
    """As in a container, whose kernel is another's."""
    machine = host(tmp_path)
    kernel_of(machine).refuses[THP] = "EROFS"
    outcome = run(machine, keep_going=True)
    assert outcome.refused == {THP: f"{THP}: Read-only file system"}
    assert live(machine, SWAPPINESS) == "0"
    assert THP in (tmp_path / "etc/tmpfiles.d/ironbook.conf").read_text()
    assert run(machine, keep_going=True).changes == []
    assert f'"{THP}"' not in (tmp_path / "var/lib/ironbook/host_tuning.json").read_text(), "nothing to undo there"
    kernel_of(machine).refuses.clear()
    assert [change.target for change in run(machine, keep_going=True).changes] == [THP]


@pytest.mark.parametrize("path", [settings.SYSCTL_FILE, settings.GRUB_FILE, "/etc/ironbook/host_tuning.json"])
def test_a_file_that_cannot_be_written_takes_the_whole_run_back(tmp_path: Path, path: str) -> None:
    """Values were changed by then, and other files written."""
    machine = host(tmp_path)
    before, adapter = tree(tmp_path), dict(machine.ethtool.known)
    kernel_of(machine).refuses[path] = "EROFS"
    with pytest.raises(TuningError, match=r"Read-only file system\. The host is as it was"):
        run(machine)
    assert _without_boot(tree(tmp_path)) == _without_boot(before)
    assert machine.ethtool.known == adapter


def test_a_command_that_fails_takes_the_whole_run_back(tmp_path: Path) -> None:
    """And where it fails once more, the line says what is still changed."""
    machine = host(tmp_path)
    before = tree(tmp_path)
    machine.runner.fails.add("update-grub")
    with pytest.raises(TuningError) as caught:
        run(machine)
    assert "update-grub: exit 1" in str(caught.value)
    assert "Still changed: update-grub" in str(caught.value)
    left = tree(tmp_path)
    state = left.pop("var/lib/ironbook/host_tuning.json", None)
    assert state is not None, "the next revert has to know"
    left.pop("var/lib/ironbook", None)
    assert _without_boot(left) == _without_boot(before)
    machine.runner.fails.clear()
    revert(machine, None)
    assert _without_boot(tree(tmp_path)) == _without_boot(before)


def test_a_boot_loader_that_does_nothing_is_found_out(tmp_path: Path) -> None:
    """Its exit code is 0, and grub.cfg is what it was."""
    machine = host(tmp_path)
    machine.runner.idle.add("update-grub")
    with pytest.raises(TuningError, match="nohz_full=2-3: after update-grub the next boot does not pass it"):
        run(machine, "cpu.nohz_full")


def test_an_ethtool_that_does_nothing_is_found_out(tmp_path: Path) -> None:
    """As it is for a feature that is fixed: exit code 0 and no change."""
    machine = host(tmp_path)
    machine.ethtool.fixed.add("rx-usecs")
    with pytest.raises(TuningError, match="ethtool -C eth0 rx-usecs: set to 0, reads back 20"):
        run(machine, "network.rx", "network.gro")
    assert machine.ethtool.known["generic-receive-offload"] == 1


@pytest.mark.parametrize(
    ("files", "name", "why"),
    [
        (
            {"/etc/sysctl.d/99-mine.conf": "vm.swappiness = 30\n"},
            "memory.swappiness",
            "vm.swappiness: /etc/sysctl.d/99-mine.conf sets it to 30, ours would be 0: take it out there",
        ),
        (
            {"/etc/tmpfiles.d/a.conf": f"w {THP} - - - - madvise\n"},
            "memory.thp",
            "/etc/tmpfiles.d/a.conf sets it to madvise, ours would be never",
        ),
        (
            {"/etc/default/grub.d/40-cloud.cfg": 'GRUB_CMDLINE_LINUX="nohz_full=1 $GRUB_CMDLINE_LINUX"\n'},
            "cpu.nohz_full",
            "kernel parameter nohz_full: /etc/default/grub.d/40-cloud.cfg sets it to 1, ours would be 2-3",
        ),
        (
            {"/etc/systemd/system.conf.d/95-x.conf": "[Manager]\nCPUAffinity=3\n"},
            "irq.services",
            "CPUAffinity: /etc/systemd/system.conf.d/95-x.conf sets it to 0-1,3, ours would be 0-1",
        ),
        ({settings.SYSCTL_FILE: "vm.swappiness = 1\n"}, "memory.swappiness", "it is there and not Ironbook's"),
        ({settings.REAPPLY_FILE: "{}"}, "network.rx", "it is there and not Ironbook's"),
        (
            {"/var/lib/ironbook/host_tuning.json": "{"},
            "memory.swappiness",
            "it is damaged, and says what to undo",
        ),
    ],
)
def test_what_stands_against_it_is_refused_before_anything_is_changed(
    tmp_path: Path, files: dict[str, str], name: str, why: str
) -> None:
    """The same in check mode: the file and what to do are named."""
    machine = host(tmp_path, files=files)
    before = tree(tmp_path)
    for check in (True, False):
        with pytest.raises(TuningError) as caught:
            run(machine, name, "network.buffers", check=check)
        assert why in str(caught.value)
        assert tree(tmp_path) == before
    assert kernel_of(machine).writes == []


def test_two_entries_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """It is the catalogue that is wrong."""
    other = tunable("network.swappiness", settings.Sysctl("vm.swappiness"), 7)
    with pytest.raises(TuningError, match=r"network\.swappiness wants 7, memory\.swappiness wants 0"):
        tune(host(tmp_path), [CATALOGUE["memory.swappiness"], other], ALL)


def test_pages_that_the_boot_did_not_give_are_refused_by_their_count(tmp_path: Path) -> None:
    """The command line is right and the count is not: nothing but the count tells."""
    asked = {"/proc/cmdline": "ro hugepagesz=1G hugepages=2\n"}
    with pytest.raises(TuningError, match="this boot was asked for 2 of 1 GiB and gave 0"):
        run(host(tmp_path / "short", files=asked), "memory.gigantic")
    given = {"/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages": "2\n"}
    outcome = run(host(tmp_path / "given", files={**asked, **given}), "memory.gigantic")
    assert outcome.reboot_for == []


def test_boot_entries_are_changed_by_grubby(tmp_path: Path) -> None:
    """As on Amazon Linux and RHEL; what others pass stays, and a reverted host passes what it passed."""
    entry = "boot/loader/entries/m-6.1.0.conf"
    machine = host(tmp_path, files={f"/{entry}": "title A\noptions root=UUID=1 ro console=ttyS0\n"})
    before = (tmp_path / entry).read_text()
    outcome = run(machine, "cpu.nohz_full", "memory.gigantic")
    assert (tmp_path / entry).read_text().split()[3:] == [
        "root=UUID=1", "ro", "console=ttyS0", "nohz_full=2-3", "hugepagesz=1G", "hugepages=2",
    ]  # fmt: skip
    assert outcome.reboot_for == ["hugepagesz=1G hugepages", "nohz_full"]
    assert run(machine, "cpu.nohz_full", "memory.gigantic").changes == []
    revert(machine, None)
    assert (tmp_path / entry).read_text().split() == before.split()


def test_what_one_of_two_interfaces_lacks_is_kept_for_the_other(tmp_path: Path) -> None:
    """A driver that offers no such value has none that a boot could forget."""
    machine = host(tmp_path)
    two = (*machine.facts.interfaces, Interface("eth1", "e1000e"))
    machine = replace(machine, facts=replace(machine.facts, interfaces=two))
    run(machine, "network.rx")
    kept = settings.EthtoolValue("C", "rx-usecs").persisted(machine)
    assert kept == ("0", settings.REAPPLY_FILE)
    assert settings.EthtoolValue("C", "tx-usecs").persisted(machine) is None, "nobody has it set again"


def test_a_watchdog_is_back_although_somebody_has_read_that_none_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `sysctl -a` does: the kernel then takes the soft one's value and heeds it only with that of all of them."""
    soft, every = "/proc/sys/kernel/soft_watchdog", "/proc/sys/kernel/watchdog"
    machine = host(tmp_path, files={soft: "1\n", every: "1\n"})
    entry = tunable("services.soft_watchdog", settings.Sysctl("kernel.soft_watchdog"), 0)
    tune(machine, [entry], ALL)
    assert live(machine, soft) == "0"
    wished = {"soft": "0"}
    take = Kernel.write_value

    def heed(kernel: Kernel, path: str, text: str) -> None:
        wished["soft"] = text if path == soft else wished["soft"]
        take(kernel, path, text if path == every else kernel.read(path).strip())
        if path == every and text == "1":
            take(kernel, soft, wished["soft"])

    take(kernel_of(machine), every, "0")
    monkeypatch.setattr(Kernel, "write_value", heed)
    revert(machine, None)
    assert (live(machine, soft), live(machine, every)) == ("1", "1")


def test_interrupts_follow_the_number_of_queues(tmp_path: Path) -> None:
    """Fewer queues are fewer interrupts, in check mode too: the ones that go away are not promised."""
    machine = host(tmp_path)
    one = tunable("network.queues", settings.EthtoolValue("L", "combined"), 1)
    foreseen = tune(machine, [one, CATALOGUE["irq.queues"]], ALL, check=True)
    assert [change.target for change in foreseen.changes if not change.file] == [
        "ethtool -L eth0 combined",
        "interrupt eth0-Tx-Rx-0",
    ]


# ------------------------------------------------------------------------------------------------- check mode


def flat(outcome: Outcome) -> set[Change]:
    """Return the changes without their order."""
    return set(outcome.changes)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    absent=st.sets(st.sampled_from(sorted(
        ["/proc/sys/vm/swappiness", THP, "/boot/grub/grub.cfg", "/etc/default/grub", "/proc/interrupts",
         "/sys/devices/virtual/workqueue/cpumask", "/usr/lib/systemd/system/irqbalance.service",
         "/sys/class/net/eth0/queues/rx-1/rps_cpus", "/proc/irq/32/smp_affinity_list",
         "/sys/devices/system/cpu/cpu0/cpuidle/state2/latency", "/etc/sysctl.d/50-other.conf"]))),
    tuned=st.sets(st.sampled_from(sorted(CATALOGUE))),
    names=st.sets(st.sampled_from(sorted(CATALOGUE)), min_size=1),
    groups=st.sets(st.sampled_from(sorted(ALL)), min_size=1),
)  # fmt: skip
def test_check_mode_says_exactly_what_then_happens(
    tmp_path_factory: pytest.TempPathFactory, absent: set[str], tuned: set[str], names: set[str], groups: set[str]
) -> None:
    """On any half of a host, tuned in part before: check mode changes nothing, and foretells each change.

    Then it does not tell any, and a revert of everything leads back to the host of the beginning.
    """
    root = tmp_path_factory.mktemp("host")
    machine = host(root)
    for path in absent:
        (root / path.lstrip("/")).unlink()
    first, adapter = tree(root), dict(machine.ethtool.known)
    if tuned:
        run(machine, *tuned)
    before = tree(root)
    foretold = run(machine, *names, groups=frozenset(groups), check=True)
    assert tree(root) == before
    done = run(machine, *names, groups=frozenset(groups))
    assert flat(foretold) == flat(done)
    assert foretold.skipped == done.skipped
    assert foretold.reboot_for == done.reboot_for
    assert run(machine, *names, groups=frozenset(groups)).changes == []
    will_undo = revert(machine, None, check=True)
    assert flat(will_undo) == flat(revert(machine, None))
    assert _without_boot(tree(root)) == _without_boot(first)
    assert machine.ethtool.known == adapter


def test_a_broken_off_run_can_be_undone(tmp_path: Path) -> None:
    """What was changed is on the disk before it is changed."""
    machine = host(tmp_path)
    before = tree(tmp_path)
    kernel = kernel_of(machine)
    written = kernel.write_value

    def dies(path: str, text: str) -> None:
        if len(kernel.writes) == 3:
            raise KeyboardInterrupt
        written(path, text)

    kernel.write_value = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(machine)
    assert len(kernel.writes) == 3
    later = again(tmp_path)
    revert(later, None)
    assert _without_boot(tree(tmp_path)) == _without_boot(before)
