# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts with a network of their own each, and a cable between them that takes its time.

The cable is a process of ours that holds a TUN interface of each host and carries every packet from one to the other,
some time after it came: what `tc netem delay` does, where the kernel has no netem. Nothing of the machine's own network
changes. Needs root.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from integration.networks import CLONE_NEWNET, LIBC
from local_processes import wait_for

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
ADDRESSES = ("10.79.0.1", "10.79.0.2")
# What is timed here is the cable, and not when the other tests of this machine let go of a CPU.
AT_ONCE = ("chrt", "--fifo", "10")


class Cable:
    """Two hosts, `enter` is the beginning of a command line that runs on each."""

    def __init__(self, holders: tuple[int, int]) -> None:
        self.holders = holders
        self.enter = [["nsenter", f"--target={pid}", "--net", "--", *AT_ONCE] for pid in holders]

    def ip(self, host: int, words: str) -> None:
        """Run ip on a host."""
        subprocess.run([*self.enter[host], "ip", *words.split()], check=True)

    @contextmanager
    def carrying(self, delay_ms: float) -> Iterator[None]:
        """Have the cable carry, each way so late, for as long as the context lasts."""
        command = [*AT_ONCE, sys.executable, __file__, str(delay_ms), *map(str, self.holders)]
        paths = {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | paths) as relay:
            try:
                assert relay.stdout is not None and relay.stdout.readline() == b"ready\n"
                for host, (own, other) in enumerate((ADDRESSES, ADDRESSES[::-1])):
                    self.ip(host, f"address add {own} peer {other} dev tun0")
                    self.ip(host, "link set tun0 up")
                yield
            finally:
                relay.kill()


@contextmanager
def delayed_cable() -> Iterator[Cable]:
    """Two hosts; there is nothing between them until the cable carries."""
    assert os.geteuid() == 0
    here = Path("/proc/self/ns/net").readlink()
    with ExitStack() as stack:
        pids = []
        for _host in range(2):
            holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
            stack.callback(holder.wait)
            stack.callback(holder.kill)
            wait_for(lambda pid=holder.pid: Path(f"/proc/{pid}/ns/net").readlink() != here, "a network")
            pids.append(holder.pid)
        cable = Cable((pids[0], pids[1]))
        for host in range(2):
            cable.ip(host, "link set lo up")
        yield cable


def open_end(holder: int) -> int:
    """The cable's end at a host: a TUN interface, which goes with the process that has it open."""
    network = os.open(f"/proc/{holder}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert LIBC.setns(network, CLONE_NEWNET) == 0
    os.close(network)
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH14x", b"tun0", IFF_TUN | IFF_NO_PI))
    return end


def carry(delay_ms: float, ends: tuple[int, int]) -> None:
    """Carry packets until the process ends. It spins for the last tenth of a millisecond, and does not oversleep."""
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    due: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        left = due[0][0] - time.monotonic() if due else None
        ready = select.select(ends, [], [], None if left is None else max(0.0, left - 0.0001))[0]
        for end in ready:
            number += 1
            heapq.heappush(due, (time.monotonic() + delay_ms / 1000, number, other[end], os.read(end, 65536)))
        while due and due[0][0] <= time.monotonic():
            _when, _number, end, packet = heapq.heappop(due)
            with suppress(OSError):  # while that end is not up yet
                os.write(end, packet)


if __name__ == "__main__":
    held = tuple(open_end(int(pid)) for pid in sys.argv[2:4])
    print("ready", flush=True)
    carry(float(sys.argv[1]), (held[0], held[1]))
