# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own for tests: another root, hostname, network and processes, on the kernel that runs the test.

Its root is this machine's, under a layer that takes what is written and is gone with it; the checkout is read-only
there, and the distribution `ironbook` is not installed. It is joined by one cable to a second network, where a client
may sit. Needs root; nothing of the machine itself changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_processes import ROOT, wait_for

NAMESPACES = ("--mount", "--net", "--uts", "--ipc", "--pid")
INTERFACE, ADDRESS, CLIENT_ADDRESS = "eth0", "10.77.0.1", "10.77.0.2"
# What installs the distribution into an interpreter is out of sight: empty directories lie over it. The guest's first
# process reads from the test, so that it ends, and the guest with it, even where the test is killed.
BOOT = """
set -eu
layer=$1 checkout=$2 hidden=$3
mount -t tmpfs guest "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root" "$layer/nothing"
mount -t overlay guest -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
cd "$layer/root"
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs run run
mkdir -p ".$checkout" .old
mount --bind "$checkout" ".$checkout"
mount -o remount,bind,ro ".$checkout"
for path in $hidden; do mount --bind "$layer/nothing" ".$path"; done
hostname guest
pivot_root . .old
cd /
umount -l /.old
ip link set lo up
echo ready
exec cat >/dev/null 2>&1
"""

# Writes settings, which are named as the audit names them: a path, or what ethtool would be asked. SIOCETHTOOL is
# 0x8946, ETHTOOL_SGRO 0x2C.
SET = """
import array, fcntl, json, socket, struct, sys
interface, settings = sys.argv[1], json.loads(sys.argv[2])
for path, value in settings.items():
    if path.startswith("/"):
        with open(path.format(interface=interface), "w") as file:
            file.write(value)
        continue
    assert path == "ethtool -k {interface}: generic-receive-offload", path
    words = array.array("I", [0x2C, ("off", "on").index(value)])
    with socket.socket() as door:
        request = struct.pack("16sP", interface.encode(), words.buffer_info()[0]).ljust(40, b"\\0")
        fcntl.ioctl(door, 0x8946, request)
print("null")
"""


class Guest:
    """A running guest: `pid` is its first process, `client_pid` one in the client's network."""

    def __init__(self, pid: int, client_pid: int) -> None:
        self.pid = pid
        self.client_pid = client_pid
        self.root = Path(f"/proc/{pid}/root")

    @property
    def enter(self) -> list[str]:
        """The beginning of a command line that runs in the guest."""
        return ["nsenter", f"--target={self.pid}", *NAMESPACES, "--"]

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in the guest, whose own processes and files are all that it sees."""
        clean = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
        return subprocess.Popen(
            [*self.enter, *command],
            env=clean | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def run(self, *command: str, status: int = 0, **environment: str) -> str:
        """Run a command in the guest; what it printed. Fails where it ends otherwise than with `status`."""
        with self.start(*command, **environment) as process:
            out, said = process.communicate(timeout=300)
        assert process.returncode == status, f"{command}: {process.returncode}\n{out}\n{said}"
        return out if status == 0 else out + said

    def python(self, program: str, *arguments: str, **environment: str) -> Any:
        """Run a program under the interpreter of the tests, in the guest; the JSON that it printed."""
        return json.loads(self.run(sys.executable, "-c", program, *arguments, **environment))

    def client(self, program: str, *arguments: str) -> Any:
        """Run a program at the other end of the cable, with this machine's files; the JSON that it printed."""
        command = ["nsenter", f"--target={self.client_pid}", "--net", "--", sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def first_child(pid: int) -> int:
    """The one child of a process, once it is there."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return int(wait_for(lambda: children.read_text().split(), "the first process of the guest")[0])


@contextmanager
def running_guest(layer: Path) -> Iterator[Guest]:
    """A guest that keeps what it writes in memory; `layer` is an empty directory of the test."""
    assert os.geteuid() == 0
    hidden = [str(path) for path in Path(sysconfig.get_path("platlib")).glob("ironbook*")]
    assert hidden, "the distribution of the tests is expected in their own site-packages"
    unshare = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--propagation", "private"]
    boot = ["sh", "-c", BOOT, "sh", str(layer), str(ROOT), " ".join(hidden)]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen([*unshare, *boot], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as guest,
        subprocess.Popen(["unshare", "--net", "cat"], stdin=pipe) as client,
    ):
        try:
            assert guest.stdout is not None and guest.stderr is not None
            if guest.stdout.readline() != "ready\n":
                raise AssertionError(f"the guest does not start: {guest.stderr.read()}")
            here = Path("/proc/self/ns/net").readlink()
            wait_for(lambda: Path(f"/proc/{client.pid}/ns/net").readlink() != here, "the client's network")
            made = Guest(first_child(guest.pid), client.pid)
            lay_cable(made)
            yield made
        finally:
            client.kill()
            guest.kill()


# ethtool -K client0 tso off, by its ioctl: SIOCETHTOOL, ETHTOOL_STSO.
NO_TSO = """
import array, fcntl, socket, struct
words = array.array("I", [0x1F, 0])
with socket.socket() as door:
    fcntl.ioctl(door, 0x8946, struct.pack("16sP", b"client0", words.buffer_info()[0]).ljust(40, b"\\0"))
print("null")
"""


def lay_cable(guest: Guest) -> None:
    """One interface in the guest, one in the client's network, addresses on both.

    What comes from a side that leaves segmentation to its adapter would go past the guest's NAPI, by which the adapter
    of a real host receives: so the client's side does not.
    """
    in_client = ["nsenter", f"--target={guest.client_pid}", "--net", "--", "ip"]
    # The client's process has no number in the guest: the cable is laid from there.
    cable = f"link add client0 type veth peer name {INTERFACE} netns {guest.pid}"
    for words in (cable, "link set lo up", f"address add {CLIENT_ADDRESS}/30 dev client0", "link set client0 up"):
        subprocess.run([*in_client, *words.split()], check=True)
    guest.client(NO_TSO)
    guest.run("ip", "address", "add", f"{ADDRESS}/30", "dev", INTERFACE)
    guest.run("ip", "link", "set", INTERFACE, "up")
