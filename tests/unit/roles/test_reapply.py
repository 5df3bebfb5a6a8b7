# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reset of the adapter forgets is set again: on a model of a host, and by events in a network of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.apply import tune
from fixtures.tuned_host import Machine, host
from unit.plugins.module_utils.host_tuning.test_apply import CATALOGUE

PROGRAM = Path(__file__).parents[3] / "roles/host_tuning/files/reapply.py"
ENTRIES = "etc/ironbook/host_tuning.json"
ETHTOOL = """#!/bin/sh
echo "$*" >>"{log}"
case "$1" in
-c) printf 'Coalesce parameters for %s:\\nAdaptive RX: on  TX: n/a\\nrx-usecs:\\t0\\ntx-usecs:\\tn/a\\n' "$2" ;;
-k) printf 'Features for %s:\\ngeneric-receive-offload: on\\n' "$2" ;;
-l) printf 'Pre-set maximums:\\nCombined:\\t4\\nCurrent hardware settings:\\nCombined:\\t2\\n' ;;
esac
exit 1
"""


def environment(root: Path) -> dict[str, str]:
    """Return the environment with an ethtool that notes what it is asked, and ends with an error as a real one may."""
    place = root / "bin/ethtool"
    place.parent.mkdir(exist_ok=True)
    place.write_text(ETHTOOL.format(log=root / "ethtool.log"))
    place.chmod(0o755)
    return {**os.environ, "PATH": f"{place.parent}:{os.environ['PATH']}"}


def tuned(root: Path, *chosen: str) -> Machine:
    """Return a host that the module has tuned, with the names of its interrupts where the kernel has them."""
    machine = host(root)
    for number, name in (
        (30, "ena-mgmnt@pci:0000:00:05.0"),
        (31, "eth0-Tx-Rx-0"),
        (32, "eth0-Tx-Rx-1"),
        (40, "nvme0q1"),
    ):
        place = root / f"sys/kernel/irq/{number}/actions"
        place.parent.mkdir(parents=True)
        place.write_text(name + "\n")
    tune(machine, [CATALOGUE[name] for name in chosen], frozenset({"irq", "network"}))
    return machine


def run(root: Path) -> str:
    """Run the program once; return what it says that it has set."""
    command = [sys.executable, str(PROGRAM), "eth0", "--root", str(root)]
    return subprocess.run(command, env=environment(root), capture_output=True, text=True, check=True).stdout


def pins(root: Path) -> list[str]:
    return [(root / f"proc/irq/{number}/smp_affinity_list").read_text().strip() for number in (30, 31, 32, 40)]


def test_after_a_reset_it_sets_what_the_module_has_set(tmp_path: Path) -> None:
    """The same pins and files; the module and the program agree on which queue goes where."""
    tuned(tmp_path, "irq.queues", "irq.management", "network.rps")
    expected = pins(tmp_path)
    assert expected[:3] == ["0-1", "0", "1"]
    rps = tmp_path / "sys/class/net/eth0/queues/rx-1/rps_cpus"
    for number in (30, 31, 32):
        (tmp_path / f"proc/irq/{number}/smp_affinity_list").write_text("0-3\n")
    rps.write_text("f\n")
    said = run(tmp_path)
    assert pins(tmp_path) == expected
    assert rps.read_text() == "0\n"
    assert len(said.splitlines()) == 4
    assert run(tmp_path) == "", "what is so already is not written again"


def test_an_interrupt_without_a_number_has_the_same_cpu_from_both(tmp_path: Path) -> None:
    """Such as that of a link's state: by the module, which counts over all adapters, and by the program of one."""
    text = host(tmp_path / "plain").host.read("/proc/interrupts").replace("eth0-Tx-Rx-1", "eth0")
    machine = host(tmp_path, files={"/proc/interrupts": text})
    tune(machine, [CATALOGUE["irq.queues"]], frozenset({"irq"}))
    for number, name in ((31, "eth0-Tx-Rx-0"), (32, "eth0")):
        place = tmp_path / f"sys/kernel/irq/{number}/actions"
        place.parent.mkdir(parents=True)
        place.write_text(name + "\n")
    assert pins(tmp_path)[1:3] == ["0", "0"]
    assert run(tmp_path) == ""


def test_ethtool_is_asked_first_and_told_only_what_is_not_so(tmp_path: Path) -> None:
    """Its exit code is 1 here whatever happens, as for a value that is so already."""
    tuned(tmp_path, "network.rx", "network.adaptive", "network.gro")
    run(tmp_path)
    told = [line for line in (tmp_path / "ethtool.log").read_text().splitlines() if line[1].isupper()]
    assert sorted(told) == ["-C eth0 adaptive-rx off", "-K eth0 gro off"]


def test_what_the_driver_does_not_have_is_not_set_again_and_again(tmp_path: Path) -> None:
    """The kernel's older door shows 0 for it, so that it is listed; ethtool says n/a, or nothing."""
    entries = [
        {"interface": "eth0", "ethtool": ["C", "tx-usecs", "tx-usecs"], "value": "0"},
        {"interface": "eth0", "ethtool": ["C", "rx-usecs", "rx-usecs"], "value": "0"},
        {"interface": "eth0", "ethtool": ["G", "rx", "rx"], "value": "1024"},
    ]
    tuned(tmp_path)
    (tmp_path / "etc/ironbook").mkdir()
    (tmp_path / ENTRIES).write_text(json.dumps({"entries": entries}))
    assert run(tmp_path) == ""
    asked = (tmp_path / "ethtool.log").read_text().splitlines()
    assert sorted(asked) == ["-c eth0", "-g eth0"], "and one answer is enough for all of its values"


def test_queues_come_before_pins(tmp_path: Path) -> None:
    """A change of their number begins the device anew."""
    entries = [
        {"interface": "eth0", "affinity": "interface", "value": "1,0"},
        {"interface": "eth0", "ethtool": ["C", "rx-usecs", "rx-usecs"], "value": "5"},
        {"interface": "eth0", "ethtool": ["L", "combined", "combined"], "value": "1"},
        {"interface": "eth1", "ethtool": ["L", "combined", "combined"], "value": "3"},
    ]
    tuned(tmp_path)
    (tmp_path / "etc/ironbook").mkdir()
    (tmp_path / ENTRIES).write_text(json.dumps({"entries": entries}))
    said = run(tmp_path).splitlines()
    assert said[:2] == ["ethtool -L eth0 combined 1", "ethtool -C eth0 rx-usecs 5"]
    assert pins(tmp_path) == ["0-3", "1", "0", "0-3"]


def test_a_host_without_entries_is_left_alone(tmp_path: Path) -> None:
    """The unit ends then, and nothing is written."""
    host(tmp_path)
    assert run(tmp_path) == ""


def in_a_network(*command: str) -> list[str]:
    """Return the command in a network of its own, where we may make interfaces and nobody is disturbed."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--net", *command]


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


# What is told to the host, and what makes its kernel send an event.
LINK = "ip link set eth0 down && sleep 0.5 && echo 0-3 >{pin} && ip link set eth0 up"
QUEUES = "echo 0-3 >{pin} && /usr/sbin/ethtool -L eth0 rx 1 tx 1 && /usr/sbin/ethtool -L eth0 rx 2 tx 2"


VETH = (
    "ip link add eth0 numrxqueues 2 numtxqueues 2 type veth peer name far && ip link set far up && ip link set eth0 up"
)


@contextmanager
def watched(root: Path, before: str = "true") -> Iterator[Callable[..., None]]:
    """Have the program wait for the events of a real interface; yields what runs a command in its network."""
    script = f"{VETH} && {before} && exec {sys.executable} {PROGRAM} --watch eth0 --root {root}"
    with subprocess.Popen(
        in_a_network("sh", "-c", script), env=environment(root), stdout=subprocess.PIPE, text=True
    ) as watch:

        def inside(*command: str) -> None:
            enter = ["nsenter", f"--target={watch.pid}", "--net", *([] if os.geteuid() == 0 else ["--user"])]
            subprocess.run([*enter, *command], check=True, timeout=60)

        try:
            assert watch.stdout is not None
            assert watch.stdout.readline() == "eth0: waiting for its events\n"
            yield inside
        finally:
            watch.terminate()


@pytest.mark.feature("HFT-09", by="G", part="pins are set again when the link comes up or its queues change")
@pytest.mark.parametrize("reset", [LINK, QUEUES], ids=["link", "queues"])
def test_a_reset_has_its_pins_again(tmp_path: Path, reset: str) -> None:
    """With a real link and the events of its kernel: the pin that was taken away is back, as often as it happens."""
    tuned(tmp_path, "irq.queues")
    pin = tmp_path / "proc/irq/32/smp_affinity_list"
    assert pin.read_text() == "1\n"
    with watched(tmp_path) as inside:
        for _reset in range(2):
            inside("sh", "-ec", reset.format(pin=pin))
            wait_for(lambda: pin.read_text() == "1\n")


# A run of the module with a pause between the adapter's value and the files, in which update-grub would run.
SLOW = """
import sys, time
sys.path[:0] = {path!r}
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import tuning
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.check import Machine
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.ethtool import LiveEthtool
from fixtures.tuned_host import Kernel, again
from unit.plugins.module_utils.host_tuning.test_apply import CATALOGUE, SWAPPINESS
from pathlib import Path
import subprocess
class Slow(Kernel):
    def write_value(self, path, text):
        if path == SWAPPINESS:
            time.sleep({pause})
        super().write_value(path, text)
class Real:
    def run(self, *command):
        return subprocess.run(["/usr/sbin/ethtool", *command[1:]], check=True, capture_output=True, text=True).stdout
root = {root!r}
model = again(Path(root))
machine = Machine(Slow(Path(root)), LiveEthtool(), model.facts, runner=Real())
chosen = [CATALOGUE[name] for name in ("memory.swappiness", "network.gro")]
tuning.run(tuning.Request(root=root, state=sys.argv[1], groups=("memory", "network")), chosen, machine)
"""


def test_a_run_is_not_undone_by_what_the_run_before_had_set_again(tmp_path: Path) -> None:
    """A revert gives the adapter its value back long before the list is gone; meanwhile nobody goes by the list."""
    host(tmp_path)
    program = tmp_path / "module.py"
    program.write_text(SLOW.format(path=sys.path[:3], root=str(tmp_path), pause=1.5))
    run_module, real = f"{sys.executable} {program}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
    before = f"/usr/sbin/ethtool -K eth0 gro on && {run_module} tuned && export {real}"
    with watched(tmp_path, before) as inside:
        gro = "/usr/sbin/ethtool -k eth0 | grep -qx 'generic-receive-offload: {}'"
        inside("sh", "-c", gro.format("off"))
        inside("sh", "-c", f"{run_module} reverted")
        time.sleep(1)  # the program has seen the event by now, and has looked at the list
        inside("sh", "-c", gro.format("on"))
