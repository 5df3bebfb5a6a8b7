# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with a network of their own for tests: namespaces on one bridge, whose cables can be cut.

Nothing of the machine's own network changes. Needs root; each namespace ends with the process that holds it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from integration.shard import Host
from local_processes import wait_for

CLONE_NEWNET = 0x40000000  # setns(2)
HUB = "10.78.0.1"
LIBC = ctypes.CDLL(None, use_errno=True)


def _set_network(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert LIBC.setns(descriptor, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(descriptor)


class Networks:
    """A hub, where clients and the store sit, and members `10.78.0.10` and up, each with a cable to it."""

    def __init__(self, hub: int, members: Sequence[int]) -> None:
        self._hub = hub
        self._members = members
        self.hub = Host(HUB, self._enter(hub))
        self.members = [Host(f"10.78.0.{10 + number}", self._enter(pid)) for number, pid in enumerate(members)]
        self._ip(hub, "link set lo up")
        self._ip(hub, "link add bridge0 type bridge forward_delay 0")
        self._ip(hub, f"address add {HUB}/24 dev bridge0")
        self._ip(hub, "link set bridge0 up")
        for number, pid in enumerate(members):
            self._ip(hub, f"link add cable{number} type veth peer name eth0 netns {pid}")
            self._ip(hub, f"link set cable{number} master bridge0 up")
            self._ip(pid, "link set lo up")
            self._ip(pid, f"address add {self.members[number].address}/24 dev eth0")
            self._ip(pid, "link set eth0 up")

    @staticmethod
    def _enter(pid: int) -> list[str]:
        return ["nsenter", f"--target={pid}", "--net", "--"]

    def _ip(self, pid: int, words: str) -> None:
        subprocess.run([*self._enter(pid), "ip", *words.split()], check=True)

    @contextmanager
    def inside_hub(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are the hub's, and stay so."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set_network(f"/proc/{self._hub}/ns/net")
            yield
        finally:
            assert LIBC.setns(own, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            os.close(own)

    def pull_the_cable(self, member: int) -> None:
        """Nobody reaches the member, and it reaches nobody; nothing tells either that it is so."""
        self._ip(self._hub, f"link set cable{member} down")

    def plug_it_in(self, member: int) -> None:
        """Mend what `pull_the_cable` did."""
        self._ip(self._hub, f"link set cable{member} up")

    def silence(self, member: int, towards: str) -> None:
        """What the member sends to an address goes nowhere; what comes from there arrives."""
        self._ip(self._members[member], f"route add blackhole {towards}/32")

    def hear(self, member: int, towards: str) -> None:
        """Mend what `silence` did."""
        self._ip(self._members[member], f"route del blackhole {towards}/32")


@contextmanager
def networks(size: int = 3) -> Iterator[Networks]:
    """The networks of so many members, and the hub's."""
    assert os.geteuid() == 0
    here = Path("/proc/self/ns/net").readlink()
    with ExitStack() as stack:
        holders = []
        for _ in range(size + 1):
            holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
            stack.callback(holder.wait)
            stack.callback(holder.kill)
            wait_for(lambda pid=holder.pid: Path(f"/proc/{pid}/ns/net").readlink() != here, "a network")
            holders.append(holder.pid)
        yield Networks(holders[0], holders[1:])
