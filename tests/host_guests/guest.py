# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest with a kernel of its own, in QEMU: four emulated CPUs on two NUMA nodes, adapters with several queues, GRUB.

No KVM is counted on, so the processor is emulated: a boot takes most of a minute, and minutes beside other work. What
the guest writes goes to a layer over the image and is gone with it. Needs root, for the tap that makes an adapter of
several queues.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_processes import ROOT, free_port

IMAGE = ROOT / ".cache" / "host_guest"
TRADING_MAC, CLOCK_MAC = "52:54:00:00:00:02", "52:54:00:00:00:03"
BOOT_SECONDS = 600
ISOLATED = "2-3"
"""The two CPUs of the second NUMA node, beside which the trading adapter sits."""


class Guest:
    """A running guest; commands run as root, by ssh."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, key: Path, console: Path) -> None:
        self.process = process
        self.port = port
        self.key = key
        self.console = console
        self.booted_seconds = self.wait()

    @property
    def ssh_options(self) -> list[str]:
        """What ssh needs to reach it: a key of its own, and no memory of other guests at this port."""
        known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        known += ["-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15"]
        return ["-i", str(self.key), "-o", "IdentitiesOnly=yes", *known]

    def ssh(self, command: str) -> list[str]:
        """Return the words that run a command of the shell on it."""
        return ["ssh", *self.ssh_options, "-p", str(self.port), "root@127.0.0.1", command]

    def pipe(self, command: str, given: bytes = b"", seconds: float = 120) -> bytes:
        """Run a command of the shell; return what it printed."""
        done = subprocess.run(self.ssh(command), input=given, capture_output=True, check=False, timeout=seconds)
        assert done.returncode == 0, f"{command}: {done.returncode}: {(done.stderr + done.stdout).decode()}"
        return done.stdout

    def run(self, command: str, seconds: float = 120, text: str = "") -> str:
        """Run a command of the shell; return what it printed, as text."""
        return self.pipe(command, text.encode(), seconds).decode()

    def read(self, path: str) -> str:
        """Return the content of a file, without the end of its line."""
        return self.run(f"cat {path}").rstrip("\n")

    def copy(self, source: Path, target: str) -> None:
        """Copy a directory into it."""
        packed = subprocess.run(["tar", "-C", str(source), "-chf", "-", "."], capture_output=True, check=True).stdout
        self.pipe(f"mkdir -p {target} && tar -C {target} -xf -", packed)

    def wait(self, seconds: float = BOOT_SECONDS) -> float:
        """Wait until it lets root in and has started what it starts; return how long that took."""
        began = time.monotonic()
        command = self.ssh("systemctl is-system-running --wait; systemctl --failed --plain --no-legend")
        while time.monotonic() - began < seconds:
            assert self.process.poll() is None, f"QEMU has ended: {self.console.read_text(errors='replace')[-2000:]}"
            try:
                asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds / 4)
            except subprocess.TimeoutExpired:
                continue
            assert "degraded" not in asked.stdout, asked.stdout
            if "running" in asked.stdout:
                return time.monotonic() - began
            time.sleep(1)
        raise AssertionError(f"no guest after {seconds} s: {self.console.read_text(errors='replace')[-2000:]}")


def _machine(disk: Path, console: Path, port: int, tap: str) -> list[str]:
    """The command line: the trading adapter and an e1000e, which has a clock, sit beside node 1, behind its own bus."""
    devices = [
        "virtio-blk-pci,drive=disk,bus=pcie.0,num-queues=4",
        "virtio-net-pci,netdev=management,mac=52:54:00:00:00:01,bus=pcie.0,romfile=",
        "pxb-pcie,id=node1,bus_nr=0x40,numa_node=1,bus=pcie.0",
        "pcie-root-port,id=port1,bus=node1,chassis=1,slot=1",
        "pcie-root-port,id=port2,bus=node1,chassis=2,slot=2",
        f"virtio-net-pci,netdev=trading,mac={TRADING_MAC},mq=on,vectors=10,rx_queue_size=1024,bus=port1,romfile=",
        f"e1000e,netdev=clock,mac={CLOCK_MAC},bus=port2,romfile=",
    ]
    return [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", "4,sockets=2,cores=2,threads=1", "-m", "6144",
        # Three GiB a node: of less the kernel finds no place for a page of 1 GiB at boot.
        "-object", "memory-backend-ram,id=memory0,size=3072M", "-numa", "node,nodeid=0,cpus=0-1,memdev=memory0",
        "-object", "memory-backend-ram,id=memory1,size=3072M", "-numa", "node,nodeid=1,cpus=2-3,memdev=memory1",
        "-display", "none", "-monitor", "none", "-serial", f"file:{console}",
        "-drive", f"file={disk},format=qcow2,if=none,id=disk,cache=unsafe",
        "-netdev", f"user,id=management,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-netdev", f"tap,id=trading,ifname={tap},script=no,downscript=no,queues=4",
        "-netdev", "user,id=clock",
        *(word for device in devices for word in ("-device", device)),
    ]  # fmt: skip


@contextmanager
def running_guest(directory: Path) -> Iterator[Guest]:
    """Build the image where it is not there, boot it, and end it."""
    IMAGE.parent.mkdir(exist_ok=True)
    subprocess.run([str(Path(__file__).with_name("build_image.sh")), str(IMAGE)], check=True)
    disk, console, port = directory / "layer.qcow2", directory / "console.log", free_port()
    tap = f"ibg{port}"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(IMAGE / "disk"), "-F", "raw", str(disk)], check=True
    )
    # A run that was killed leaves its interface. Nobody has it: the port of that number is free.
    subprocess.run(["ip", "link", "delete", tap], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["ip", "tuntap", "add", "dev", tap, "mode", "tap", "multi_queue"], check=True)
    try:
        subprocess.run(["ip", "link", "set", tap, "up"], check=True)
        process = subprocess.Popen(_machine(disk, console, port, tap))
        try:
            yield Guest(process, port, IMAGE / "key", console)
        finally:
            process.terminate()
            process.wait(30)
    finally:
        subprocess.run(["ip", "link", "delete", tap], check=True)
