# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a kernel of its own is tuned, booted, and looked at: by its kernel's own files, and by the audit then.

`make test-hosts`. The tests go through one life of one guest, in the order in which they stand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import testinfra
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import service
from host_guests.detune import DETUNED, detune_all, partition
from host_guests.guest import BOOT_SECONDS, CLOCK_MAC, ISOLATED, TRADING_MAC, Guest, running_guest

pytestmark = pytest.mark.timeout(4 * BOOT_SECONDS)

HERE = Path(__file__).parent
COLLECTIONS = Path(sys.prefix) / "collections"
HUGE_PAGES, GIGANTIC_PAGES = {"0": 16, "1": 48}, {"0": 0, "1": 1}
ENGINE = "engine-0-0"
# The engine's stand-in, with the words by which the audit knows an engine: a process that its unit has started.
UNIT = """[Service]
ExecStart=/usr/bin/python3 -c "import time; time.sleep(1e6)" ironbook.cli engine run
[Install]
WantedBy=multi-user.target
"""
BARS = {"tuned_without_boot_seconds": 120, "unchanged_seconds": 45, "audit_seconds": 3}
# What a guest with nothing of ours in it took to boot where the bars were met. An emulated processor is
# as fast as what emulates it: a machine that boots the same guest in twice the time may take twice the time.
BARE_BOOT_SECONDS = 33
# What no tuning of a guest gives it.
LACKS = {
    "clock.tsc": "the emulated processor's time stamps do not promise to be constant",
    "clock.error": "the guest reaches no clock",
}
# Asked on the host, the kernel's older door shows 0 for a value that the driver lacks; what ethtool printed is n/a.
BY_OTHER_DOOR = {"adapter.rx_adaptive": ("ok", "not_applicable")}
WRONG = ("drift", "harmful", "not_persisted", "pending_reboot")
figures: dict[str, Any] = {"bars": BARS}


def play(guest: Guest, directory: Path, role: str, **variables: Any) -> tuple[int, int, str]:
    """Run a role on the guest; return how many tasks failed, how many changed something, and the output."""
    inventory = {
        "ansible_host": "127.0.0.1", "ansible_port": guest.port, "ansible_user": "root",
        "ansible_ssh_extra_args": " ".join(guest.ssh_options), "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_pipelining": True,
    }  # fmt: skip
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"guest": inventory}}}))
    tasks = [{"hosts": "all", "gather_facts": False, "roles": [f"ironbook.trading.{role}"]}]
    (directory / "play.json").write_text(json.dumps(tasks))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(directory / "hosts.json")]
    interfaces = [interface(guest), interface(guest, CLOCK_MAC)]
    wishes = {
        "ironbook_state_directory": str(directory),
        "host_tuning_isolated_cpus": ISOLATED,
        "host_tuning_huge_pages": HUGE_PAGES,
        "host_tuning_gigantic_pages": GIGANTIC_PAGES,
        "host_tuning_interfaces": interfaces,
        "host_tuning_engine_units": [ENGINE],
        "host_tuning_reboot_seconds": 2 * BOOT_SECONDS,
        "host_audit_isolated_cpus": ISOLATED,
        "host_audit_huge_pages": sum(HUGE_PAGES.values()),
        "host_audit_gigantic_pages": sum(GIGANTIC_PAGES.values()),
        "host_audit_interfaces": interfaces,
        "host_audit_waivers": [
            {"id": name, "host": "guest", "owner": "tests", "reason": reason, "expires": "2999-12-31"}
            for name, reason in LACKS.items()
        ],
    }
    done = subprocess.run(
        [*command, "-e", json.dumps({**wishes, **variables}), str(directory / "play.json")],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_HOME": str(directory / "ansible")},
        cwd=directory, capture_output=True, text=True, check=False, timeout=3 * BOOT_SECONDS,
    )  # fmt: skip
    (directory / f"{role}.log").write_text(done.stdout + done.stderr)
    recap = re.search(r"(?m)^guest\s.*changed=(\d+)\s+unreachable=0\s+failed=(\d+)", done.stdout)
    assert recap and (done.returncode == 0) == (recap[2] == "0"), done.stdout[-6000:] + done.stderr[-2000:]
    return int(recap[2]), int(recap[1]), done.stdout


def tune(guest: Guest, directory: Path, **variables: Any) -> tuple[int, str]:
    """Run the role host_tuning; return how many tasks changed something, and the output."""
    failed, changed, output = play(guest, directory, "host_tuning", **variables)
    assert not failed, output[-6000:]
    return changed, output


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("guest")
    if report := os.environ.get("HOSTS_REPORT"):
        Path(report).write_text(json.dumps(figures))


@pytest.fixture(scope="module")
def guest(directory: Path) -> Iterator[Guest]:
    with running_guest(directory) as running:
        figures["first_boot_seconds"] = round(running.booted_seconds)
        running.run(f"cat >/etc/systemd/system/{ENGINE}.service && systemctl enable -q {ENGINE}", text=UNIT)
        yield running


@pytest.fixture(scope="module")
def tuned(guest: Guest, directory: Path) -> Guest:
    """Tuned without a boot first, which is timed, and then booted."""
    began = time.monotonic()
    changed, output = tune(guest, directory)
    assert f"guest: isolated: {ISOLATED}" in output, "the plan is printed"
    figures["tuned_without_boot_seconds"] = round(time.monotonic() - began, 1)
    assert changed > 0
    began = time.monotonic()
    _changed, output = tune(guest, directory, host_tuning_reboot=True)
    figures["second_run_and_boot_seconds"] = round(time.monotonic() - began, 1)
    assert "Boot the host" in output
    guest.wait()
    return guest


@cache
def interface(guest: Guest, mac: str = TRADING_MAC) -> str:
    return guest.run(f"basename $(dirname $(grep -l {mac} /sys/class/net/*/address))").strip()


def interrupts(guest: Guest) -> dict[str, str]:
    """Where the trading adapter's interrupts are asked to arrive, by their names; those without a handler left out."""
    device = f"/sys/class/net/{interface(guest)}/device/.."
    each = 'a=$(cat /sys/kernel/irq/$n/actions); test -z "$a" || echo $a $(cat /proc/irq/$n/smp_affinity_list)'
    found = guest.run(f"for n in $(ls {device}/msi_irqs); do {each}; done; true")
    return dict(line.split() for line in found.splitlines())


@pytest.mark.feature("HFT-09", by="G")
@pytest.mark.feature("USR-10", by="G")
def test_the_kernel_has_what_was_planned_after_a_boot(tuned: Guest) -> None:
    """Its own files say so, read by testinfra."""
    host = testinfra.get_host(
        f"ssh://root@127.0.0.1:{tuned.port}", ssh_identity_file=str(tuned.key),
        ssh_extra_args=" ".join(tuned.ssh_options),
    )  # fmt: skip

    def read(path: str) -> str:
        return str(host.check_output("cat %s", path))

    assert read("/sys/devices/system/cpu/isolated") == ISOLATED
    assert read("/sys/devices/system/cpu/nohz_full") == ISOLATED
    line = read("/proc/cmdline")
    assert f"rcu_nocbs={ISOLATED}" in line
    assert "console=ttyS0" in line, "merged with what others have set"
    assert host.check_output("pgrep -c '^rcuo[gp]'") != "0"
    pages = "/sys/devices/system/node/node{}/hugepages/hugepages-{}kB/nr_hugepages"
    assert {node: int(read(pages.format(node, 2048))) for node in HUGE_PAGES} == HUGE_PAGES
    assert {node: int(read(pages.format(node, 1048576))) for node in GIGANTIC_PAGES} == GIGANTIC_PAGES
    assert "[never]" in read("/sys/kernel/mm/transparent_hugepage/enabled")
    assert host.sysctl("vm.swappiness") == 0
    assert host.service(f"ironbook-reapply@{interface(tuned)}").is_running
    found = interrupts(tuned)
    queues = {name: cpus for name, cpus in found.items() if re.search(r"(in|out)put", name)}
    assert len(queues) >= 2, found
    assert all(set(cpus) <= set("01,-") for cpus in found.values()), found
    assert all(len(cpus) == 1 for cpus in queues.values()), "each queue has one CPU"


def test_the_service_has_its_limits_and_its_cpus(tuned: Guest) -> None:
    pid = tuned.run(f"systemctl show --property MainPID --value {ENGINE}").strip()
    text = tuned.run(f"cat /proc/{pid}/limits; grep -h Cpus_allowed_list /proc/{pid}/status /proc/1/status")
    assert re.search(r"Max locked memory +unlimited +unlimited", text)
    assert re.search(r"Max realtime priority +99 +99", text)
    assert re.search(r"Max open files +1048576 +1048576", text)
    engine, first_process = re.findall(r"Cpus_allowed_list:\s*(\S+)", text)
    assert engine in ("2", "3")
    assert first_process == "0-1"


@pytest.mark.feature("HFT-09", by="G")
def test_a_second_run_changes_nothing(tuned: Guest, directory: Path) -> None:
    began = time.monotonic()
    changed, output = tune(tuned, directory)
    figures["unchanged_seconds"] = round(time.monotonic() - began, 1)
    assert changed == 0, output


def planned(guest: Guest) -> dict[str, Any]:
    """What the audit is told of the plan."""
    pages = {"huge_pages": sum(HUGE_PAGES.values()), "gigantic_pages": sum(GIGANTIC_PAGES.values())}
    return {"isolated": ISOLATED, "interface": interface(guest), **pages}


@pytest.fixture(scope="module")
def looked_at(tuned: Guest) -> dict[str, Any]:
    """What the audit says of the guest, and what it says with one tunable after the other set wrong."""
    tuned.copy(Path(service.__file__).parent, "/opt/audit/host_tuning")
    found = detune_all(tuned, planned(tuned))
    figures["audit_seconds"] = found["seconds"]
    figures["verdicts"] = found["audit"]["counts"]
    figures["detuned"] = sorted(found["changed"])
    return found


def findings(audit: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["id"]: finding for finding in audit["findings"]}


def test_a_freshly_tuned_guest_has_no_drift(looked_at: dict[str, Any]) -> None:
    wrong = {
        name: (row["verdict"], row["planes"], row["because"])
        for name, row in findings(looked_at["audit"]).items()
        if row["verdict"] in WRONG and name not in LACKS
    }
    assert wrong == {}


@pytest.mark.feature("HFT-04", by="G")
def test_a_guest_without_ena_is_told_so(tuned: Guest, looked_at: dict[str, Any]) -> None:
    """The audit reads what ethtool prints here, and says that this is no Elastic Network Adapter instead of passing."""
    name, found = interface(tuned), findings(looked_at["audit"])
    assert "driver: virtio_net" in tuned.run(f"ethtool -i {name}")
    assert (found["adapter.driver"]["verdict"], found["adapter.driver"]["because"]) == (
        "not_applicable", "not an EC2 instance"
    )  # fmt: skip
    for each in ("adapter.ena_version", "adapter.llq"):
        assert found[each]["verdict"] == "not_applicable", found[each]
        assert "Elastic Network Adapter" in found[each]["because"]
    printed = {option: re.findall(rf"(?m)^{word}:\s*(\d+)", tuned.run(f"ethtool -{option} {name}"))
               for option, word in (("l", "Combined"), ("g", "RX"), ("c", "rx-usecs"))}  # fmt: skip
    read = {
        option: re.findall(r"\d+", str(found[each]["planes"]["live"]))
        for option, each in (("l", "adapter.queues"), ("g", "adapter.rx_ring"), ("c", "adapter.rx_moderation"))
    }
    assert read == {option: values[-1:] for option, values in printed.items()}


@pytest.mark.feature("HFT-16", by="G")
@pytest.mark.parametrize("name", DETUNED)
def test_one_tunable_set_wrong_is_named_and_no_other(looked_at: dict[str, Any], name: str) -> None:
    assert looked_at["changed"][name] == {name: ["ok", "drift"]}


def test_the_guest_is_as_it_was_after_all_that(looked_at: dict[str, Any]) -> None:
    assert looked_at["left"] == {}


@pytest.mark.feature("HFT-16", by="G")
def test_an_audit_of_hosts_fails_where_one_tunable_is_wrong(tuned: Guest, directory: Path) -> None:
    """By its role and over ssh: it passes, fails with the line of the one that is wrong, and passes again."""
    path = "/proc/sys/net/core/busy_poll"
    right = tuned.read(path)
    for value, failures in ((right, 0), ("0", 1), (right, 0)):
        tuned.run(f"echo {value} >{path}")
        failed, _changed, output = play(tuned, directory, "host_audit", host_audit_fail_at="low")
        assert failed == failures, output[-4000:]
        said = re.findall(r"\b(?:cpu|irq|memory|network|packet|clock|kernel|service|power|adapter)\.[a-z_]+", output)
        assert set(said) == ({"packet.busy_poll"} if failures else set()), output[-4000:]


def test_what_was_captured_is_audited_elsewhere_with_the_same_verdicts(
    tuned: Guest, looked_at: dict[str, Any], tmp_path: Path
) -> None:
    archive = tmp_path / "guest.tar.gz"
    archive.write_bytes(tuned.pipe("python3 -", (HERE / "capture.py").read_bytes()))
    assert archive.stat().st_size < 300_000
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "tree", filter="data")
    there = service.run(
        str(tmp_path / "tree"), ISOLATED, sum(HUGE_PAGES.values()), [interface(tuned)],
        gigantic_pages=sum(GIGANTIC_PAGES.values()),
    )  # fmt: skip
    here = findings(looked_at["audit"])
    different = {name: (here[name]["verdict"], row["verdict"]) for name, row in findings(there).items()
                 if row["verdict"] != here[name]["verdict"] and not row["counter"]}  # fmt: skip
    assert different == BY_OTHER_DOOR


RESETS = {
    "link": "ip link set {0} down; ip link set {0} up",
    "queues": "ethtool -L {0} combined 4; ethtool -L {0} combined 1; ethtool -L {0} combined 2",
}


@pytest.mark.parametrize("reset", RESETS)
def test_interrupts_come_back_to_their_cpus_after_a_reset(tuned: Guest, reset: str) -> None:
    name, before = interface(tuned), interrupts(tuned)
    move = "test -z $(cat /sys/kernel/irq/$n/actions) || echo 3 >/proc/irq/$n/smp_affinity_list"
    tuned.run(f"for n in $(ls /sys/class/net/{name}/device/../msi_irqs); do {move}; done; true")
    assert "3" in interrupts(tuned).values(), "they can be moved, so that nothing else than the reset brings them back"
    tuned.run(RESETS[reset].format(name))
    began = time.monotonic()
    while interrupts(tuned) != before:
        assert time.monotonic() - began < 60, (before, interrupts(tuned))
        time.sleep(0.5)
    figures[f"pins_back_after_{reset}_seconds"] = round(time.monotonic() - began, 1)


CHANGES = {
    "moderation": (CLOCK_MAC, "ethtool -C {} rx-usecs 20", "ethtool -c {}"),
    "ring": (CLOCK_MAC, "ethtool -G {} rx 512", "ethtool -g {}"),
    "queues": (TRADING_MAC, "ethtool -L {} combined 1", "ethtool -l {}"),
    "feature": (TRADING_MAC, "ethtool -K {} gro on", "ethtool -k {}"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_value_of_ethtool_that_somebody_changes_is_set_again(tuned: Guest, what: str) -> None:
    """Of moderation the kernel says nothing to who waits for the link's events: the socket of ethtool's brings it."""
    mac, change, show = CHANGES[what]
    name = interface(tuned, mac)
    before = tuned.run(show.format(name))
    process = f"$(systemctl show --property MainPID --value ironbook-reapply@{name})"
    changed = tuned.run(f"kill -STOP {process}; {change.format(name)}; {show.format(name)}; kill -CONT {process}")
    assert changed != before, "it can be changed, so that nothing else than the unit brings it back"
    began = time.monotonic()
    while tuned.run(show.format(name)) != before:
        assert time.monotonic() - began < 60, (before, changed)
        time.sleep(0.5)
    figures[f"{what}_back_seconds"] = round(time.monotonic() - began, 1)


def test_a_partition_of_cpus_is_valid_until_it_is_not(tuned: Guest) -> None:
    """The last one of a tuned guest: pins do not outlive a partition."""
    (valid, right), (invalid, wrong) = partition(tuned, planned(tuned))
    assert (valid, right) == ("isolated", "ok")
    assert invalid.startswith("isolated invalid") and wrong == "drift"


def test_a_reverted_guest_is_what_it_was(tuned: Guest, directory: Path) -> None:
    tune(tuned, directory, host_tuning_state="reverted", host_tuning_reboot=True)
    assert tuned.run("ls -d /etc/sysctl.d/*ironbook* /etc/tmpfiles.d/*ironbook* /etc/default/grub.d/*ironbook* "
                     "/etc/ironbook/* /etc/udev/rules.d/*ironbook* 2>/dev/null || true") == ""  # fmt: skip
    tuned.wait()
    assert tuned.read("/sys/devices/system/cpu/isolated") == ""
    assert not set(re.findall(r"isolcpus|nohz_full|hugepages", tuned.read("/proc/cmdline")))
    assert tuned.run("cat /sys/devices/system/node/node*/hugepages/*/nr_hugepages").split() == ["0"] * 4


def test_it_took_no_longer_than_it_may(tuned: Guest) -> None:
    """Of a quiet machine only; the last one, so that a busy one proves the rest."""
    slower = figures["times_slower"] = max(1, round(figures["first_boot_seconds"] / BARE_BOOT_SECONDS, 2))
    assert {name: figures[name] for name, bar in BARS.items() if figures[name] > bar * slower} == {}
