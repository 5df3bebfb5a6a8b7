# SPDX-License-Identifier: GPL-3.0-or-later
"""Move the kernel's threads off the isolated CPUs, at each boot: those that the kernel lets be moved.

Most of them start on housekeeping CPUs, since isolcpus= and nohz_full= say so. Those of a memory node (kswapd,
kcompactd) start on all CPUs of their node, isolated or not.
"""

import glob
import os
import sys

CPU = "/sys/devices/system/cpu"
PF_NO_SETAFFINITY = 0x04000000
"""The kernel's flag of a thread that belongs to its CPU."""


def cpus(text):
    """Return the CPUs of a list such as 0-3,8."""
    found = set()
    for part in text.strip().split(","):
        first, _dash, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1) if part else ())
    return found


def read(path):
    """Return a file's text; nothing where the process has ended."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def main():
    """Move them, and say which."""
    isolated = cpus(read(f"{CPU}/isolated"))
    housekeeping = cpus(read(f"{CPU}/online")) - isolated
    for path in glob.glob("/proc/[0-9]*/stat") if isolated else ():
        name, _bracket, rest = read(path).partition("(")[2].rpartition(")")
        fields = rest.split()
        # After the name: the parent is the second field, and 2 for the kernel's threads; the flags are the seventh.
        if len(fields) < 7 or fields[1] != "2" or int(fields[6]) & PF_NO_SETAFFINITY:
            continue
        thread = int(path.split("/")[2])
        try:
            if os.sched_getaffinity(thread) & isolated:
                os.sched_setaffinity(thread, housekeeping)
                print(name)
        except OSError as exc:
            print(f"{name}: {exc.strerror}", file=sys.stderr)


if __name__ == "__main__":
    main()
