# SPDX-License-Identifier: GPL-3.0-or-later
"""Set again what an interface loses whenever its driver resets: interrupts' CPUs, ethtool's values, its files in /sys.

The kernel forgets them when the link comes up, the number of queues changes or the driver resets. Each of these is an
event of the kernel's netlink: this program waits for those of one interface, and then sets what
/etc/ironbook/host_tuning.json lists for it and is not so. It needs Python's standard library and the command ethtool.

    reapply.py eth0           set once
    reapply.py --watch eth0   set, and again after each event
"""

import argparse
import contextlib
import fcntl
import glob
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time

ENTRIES = "/etc/ironbook/host_tuning.json"
LOCK = "/run/ironbook-host-tuning/lock"
"""The same as in plugins/module_utils/host_tuning/door.py: a run of the module has it until its list is written."""
SETTLE_SECONDS = 0.2
"""A reset is several events, of which the last one counts."""
RTMGRP_LINK = 1
RTM_NEWLINK = 16
NETLINK_GENERIC = 16
GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NLM_F_REQUEST = 1
QUEUE = re.compile(r"(?:-|\.)(\d+)$")


class Host:
    """Files below a root, which is / but in tests."""

    def __init__(self, root):
        """Take the root."""
        self.root = root.rstrip("/")

    def matching(self, pattern):
        """Return the paths that match."""
        return sorted(path[len(self.root) :] for path in glob.glob(self.root + pattern))

    def read(self, path):
        """Return a file's text, or nothing."""
        try:
            with open(self.root + path, encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            return ""

    def write(self, path, text):
        """Write a value that is not there yet; say what the kernel does not take."""
        if same(self.read(path), text):
            return
        try:
            with open(self.root + path, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            print(f"{path}: {text}", flush=True)
        except OSError as exc:
            print(f"{path}: {text}: {exc.strerror}", file=sys.stderr, flush=True)


def same(there, wanted):
    """Tell whether two spellings of a value or of a mask are the same."""
    return there == wanted or re.sub(r"^[0,]*(?=.)", "", there) == re.sub(r"^[0,]*(?=.)", "", wanted)


def cpus(text):
    """Return the CPUs of a list in its order, which is that of the queues."""
    found = []
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def interrupts(host, interface):
    """Return the numbers and names of the interrupts of an interface's device, by number."""
    device = f"/sys/class/net/{interface}/device"
    # A virtio device is a child of the PCI device that has the interrupts.
    listed = host.matching(f"{device}/msi_irqs/*") or host.matching(f"{device}/../msi_irqs/*")
    numbers = sorted(int(os.path.basename(path)) for path in listed)
    named = [(number, host.read(f"/sys/kernel/irq/{number}/actions")) for number in numbers]
    return [(number, name) for number, name in named if name]


def pin(host, interface, kind, text):
    """Pin the management interrupt to all of the CPUs, or each queue to one of them."""
    found = interrupts(host, interface)
    queues = [each for each in found if "ena-mgmnt@" not in each[1]]
    if kind == "ena_management":
        for number, _name in (each for each in found if each not in queues):
            host.write(f"/proc/irq/{number}/smp_affinity_list", text)
        return
    places = cpus(text)
    for number, name in queues:
        queue = QUEUE.search(name)
        host.write(f"/proc/irq/{number}/smp_affinity_list", str(places[(int(queue[1]) if queue else 0) % len(places)]))


def set_by_ethtool(said, interface, entry):
    """Set a value that is not there yet; the command's exit code tells nothing. What it said is kept until then."""
    (option, name, shown), wanted = entry["ethtool"], entry["value"]
    try:
        if option not in said:
            said[option] = ethtool(f"-{option.lower()}", interface)
        # Of rings and queues the settings stand below the maxima. What the driver does not have is n/a, or not shown.
        there = re.findall(rf"(?mi)^\s*{re.escape(shown)}:\s*(\S+)", said[option])
        if there and there[-1] not in (wanted, "n/a"):
            ethtool(f"-{option}", interface, name, wanted)
            said.clear()
            print(f"ethtool -{option} {interface} {name} {wanted}", flush=True)
    except OSError as exc:
        print(f"ethtool: {exc.strerror}", file=sys.stderr, flush=True)


def ethtool(*arguments):
    """Run it, and return what it prints."""
    return subprocess.run(["ethtool", *arguments], capture_output=True, text=True, check=False).stdout


@contextlib.contextmanager
def between_runs(host):
    """Wait until no run of the module is at work, and let none begin: what is listed may be on its way out."""
    if host.root:
        lock = os.open(host.root, os.O_RDONLY)
    else:
        os.makedirs(os.path.dirname(LOCK), 0o700, exist_ok=True)
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def reapply(host, interface):
    """Set everything that is listed for an interface, between two runs of the module; return whether anything is."""
    with between_runs(host):
        return set_again(host, interface)


def set_again(host, interface):
    """Set everything that is listed for an interface; return whether anything is listed."""
    try:
        entries = json.loads(host.read(ENTRIES) or "{}").get("entries", [])
    except ValueError as exc:
        sys.exit(f"{ENTRIES}: {exc}")
    mine = [entry for entry in entries if entry.get("interface") == interface]
    said = {}
    # The device begins anew after a change of its queues or rings, so these come first and the interrupts last.
    for entry in sorted(mine, key=lambda entry: (entry.get("ethtool", "Z")[0] not in "LG", "affinity" in entry)):
        if "ethtool" in entry:
            set_by_ethtool(said, interface, entry)
        elif "write" in entry:
            for path in host.matching(entry["write"]):
                host.write(path, entry["value"])
        elif "affinity" in entry:
            pin(host, interface, entry["affinity"], entry["value"])
    return bool(mine)


def attributes(data):
    """Return the attributes of a netlink message by their number."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def link_events():
    """Return a socket on which the kernel says when a link changes."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    events.bind((0, RTMGRP_LINK))
    return events


def ethtool_events():
    """Return a socket on which the kernel says when ethtool has set something; None where it does not (before 5.6)."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
    events.bind((0, 0))
    name = b"ethtool\0"
    attribute = struct.pack("=HH", 4 + len(name), 2) + name  # CTRL_ATTR_FAMILY_NAME
    body = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0) + attribute
    events.send(struct.pack("=IHHII", 16 + len(body), GENL_ID_CTRL, NLM_F_REQUEST, 1, 0) + body)
    answer = attributes(events.recv(65536)[20:])
    for group in attributes(answer.get(7, b"")).values():  # CTRL_ATTR_MCAST_GROUPS
        known = attributes(group)
        if known.get(1, b"").rstrip(b"\0") == b"monitor":
            events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, struct.unpack("=I", known[2])[0])
            return events
    events.close()
    return None


def concerns(data, index):
    """Tell whether an event of the link's socket is one of an interface."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if length < 16:
            return False
        if kind == RTM_NEWLINK and struct.unpack_from("=i", data, 20)[0] == index:
            return True
        data = data[(length + 3) & ~3 :]
    return False


def watch(host, interface):
    """Set, and set again after each event, until the interface is gone."""
    links, told = link_events(), ethtool_events()
    sockets = [each for each in (links, told) if each is not None]
    try:
        index = socket.if_nametoindex(interface)
    except OSError:
        sys.exit(f"{interface}: there is no such interface")
    if not reapply(host, interface):
        return
    print(f"{interface}: waiting for its events", flush=True)
    while True:
        ready, _write, _error = select.select(sockets, [], [])
        due = False
        for each in ready:
            try:
                data = each.recv(65536)
            except OSError:  # more events than fit: some of them were ours for all we know
                due = True
                continue
            due = due or each is told or concerns(data, index)
        if due:
            time.sleep(SETTLE_SECONDS)
            for each in sockets:  # those of the same reset
                with contextlib.suppress(OSError):
                    while each.recv(65536, socket.MSG_DONTWAIT):
                        pass
            reapply(host, interface)


def main():
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("interface")
    parser.add_argument("--watch", action="store_true", help="wait for its events and set again after each")
    parser.add_argument("--root", default="/", help="where the host's files are, in a test")
    arguments = parser.parse_args()
    host = Host(arguments.root)
    if arguments.watch:
        watch(host, arguments.interface)
    else:
        reapply(host, arguments.interface)


if __name__ == "__main__":
    main()
