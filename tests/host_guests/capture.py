# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a host as a tree that `host_tuning_info` audits elsewhere (`root:`): a tar on standard output.

    ssh HOST sudo python3 - <tests/host_guests/capture.py >HOST.tar.gz

It reads files and asks commands, and changes nothing. What may be a secret stays where it is: of a process only
whether its command line is the engine's, and of /etc the files of the tuning alone. It needs Python's standard library.
"""

import glob
import io
import os
import shutil
import subprocess
import sys
import tarfile

MOST_BYTES = 1 << 20
ENGINE = b"ironbook.cli\0engine\0run\0"
PROC = """cmdline cpuinfo interrupts softirqs meminfo mounts version swaps modules stat
net/netstat net/snmp net/softnet_stat
irq/default_smp_affinity irq/[0-9]*/smp_affinity irq/[0-9]*/smp_affinity_list irq/[0-9]*/effective_affinity
irq/[0-9]*/effective_affinity_list irq/[0-9]*/affinity_hint irq/[0-9]*/node [0-9]*/status [0-9]*/stat [0-9]*/comm
sys/kernel/* sys/kernel/random/boot_id sys/vm/* sys/net/core/* sys/net/ipv4/* sys/net/ipv4/neigh/default/*
sys/net/netfilter/nf_conntrack_count"""
CPU = """online offline possible present isolated nohz_full smt/* vulnerabilities/* cpuidle/* intel_pstate/*
cpufreq/boost
cpu[0-9]*/online cpu[0-9]*/topology/*_list cpu[0-9]*/topology/*_id cpu[0-9]*/cpuidle/state*/* cpu[0-9]*/cpufreq/*
cpu[0-9]*/cache/index*/level cpu[0-9]*/cache/index*/type cpu[0-9]*/cache/index*/shared_cpu_list
cpu[0-9]*/power/pm_qos_resume_latency_us cpu[0-9]*/power/energy_perf_bias intel_uncore_frequency/*/*"""
SYS = """devices/system/node/online devices/system/node/node[0-9]*/cpulist devices/system/node/node[0-9]*/distance
devices/system/node/node[0-9]*/meminfo devices/system/node/node[0-9]*/hugepages/*/* kernel/mm/hugepages/*/*
kernel/mm/transparent_hugepage/* kernel/mm/transparent_hugepage/khugepaged/* kernel/mm/ksm/*
devices/system/clocksource/clocksource0/* devices/system/machinecheck/machinecheck[0-9]*/ignore_ce
devices/virtual/workqueue/cpumask devices/virtual/workqueue/*/cpumask
class/dmi/id/sys_vendor class/dmi/id/product_name
class/net/*/* class/net/*/queues/*/* class/net/*/device/vendor class/net/*/device/device class/net/*/device/driver
class/net/*/device/numa_node class/net/*/device/local_cpulist class/net/*/device/msi_irqs/*
class/net/*/device/large_llq_header
class/net/*/device/../vendor class/net/*/device/../device class/net/*/device/../driver class/net/*/device/../numa_node
class/net/*/device/../msi_irqs/* class/ptp/*/clock_name class/hwmon/*/name
block/*/queue/scheduler block/*/queue/add_random block/*/device/driver
module/ena/version module/ena/parameters/* module/pcie_aspm/parameters/* module/intel_idle/parameters/*
module/processor/parameters/* kernel/tracing/current_tracer kernel/debug/sched/fair_server/*/runtime
fs/selinux/avc/cache_threshold fs/cgroup/cgroup.controllers fs/cgroup/*/cpuset.cpus* fs/cgroup/*/*/cpuset.cpus*"""
FILES = """boot/config-* boot/grub/grub.cfg boot/grub/grubenv boot/grub2/grubenv boot/loader/entries/*.conf
etc/os-release etc/default/grub etc/default/grub.d/*.cfg etc/default/irqbalance etc/sysconfig/irqbalance etc/sysctl.conf
*/sysctl.d/*.conf */*/sysctl.d/*.conf */tmpfiles.d/*.conf */*/tmpfiles.d/*.conf
etc/security/limits.conf etc/security/limits.d/*.conf etc/ironbook/host_tuning.json
etc/systemd/system.conf etc/systemd/system.conf.d/*.conf usr/lib/systemd/system.conf.d/*.conf
etc/systemd/system/* etc/systemd/system/*.wants/* etc/systemd/system/*.requires/*
etc/systemd/system/*.d/90-ironbook.conf
usr/lib/systemd/system/*.timer usr/lib/systemd/system/*.service
etc/chrony.conf etc/chrony/chrony.conf etc/chrony.d/*.conf etc/chrony/conf.d/*.conf etc/chrony/sources.d/*.sources
run/chrony.d/*.sources run/chrony-dhcp/*.sources"""
NAMES_ONLY = ("/usr/lib/systemd/system/", "/dev/")
"""Whether they are there is all that counts."""
SECRET = "/proc/sys/net/ipv4/tcp_fastopen_key"
COMMANDS = """systemctl list-units --all --plain --no-legend --full
chronyc -n tracking
chronyc -n sources
lscpu
lscpu -e
lsblk
numactl -H
tuned-adm active"""
OF_INTERFACES = """ethtool -i {0}
ethtool -l {0}
ethtool -g {0}
ethtool -c {0}
ethtool -k {0}
ethtool -S {0}
ethtool -T {0}
ethtool -x {0}
ethtool -n {0}
ethtool --get-tunable {0} rx-copybreak
tc qdisc show dev {0}"""


class Tree:
    """The tar, each path in it once, with the links on its way as links inside the tree."""

    def __init__(self, tar):
        """Begin with nothing."""
        self.tar = tar
        self.known = set()

    def link(self, path, target):
        """Add a link."""
        if path not in self.known:
            self.known.add(path)
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            self.tar.addfile(entry)

    def text(self, path, content):
        """Add a file."""
        if path not in self.known:
            self.known.add(path)
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            self.tar.addfile(entry, io.BytesIO(content))

    def resolved(self, path):
        """Add every link on the way of a path, and return where it leads."""
        at = "/"
        for name in path.strip("/").split("/"):
            below = os.path.normpath(os.path.join(at, name))
            while os.path.islink(below):
                target = os.path.normpath(os.path.join(at, os.readlink(below)))
                self.link(below, os.path.relpath(target, at))
                at, below = os.path.dirname(target), target
                real = os.path.realpath(at)
                if real != at:  # a link on the way of a link
                    self.resolved(at)
                    at, below = real, os.path.join(real, os.path.basename(target))
            at = below
        return at

    def add(self, path):
        """Add a file, if it can be read."""
        real = self.resolved(path)
        if not os.path.isfile(real) or real in self.known or real == SECRET:
            return
        try:
            with open(real, "rb") as file:
                self.text(real, b"" if real.startswith(NAMES_ONLY) else file.read(MOST_BYTES))
        except OSError:
            pass  # the kernel refuses, or it has ended meanwhile

    def command(self, line):
        """Add what a command prints, where the host has it and it answers."""
        words = line.split()
        if shutil.which(words[0]) is None:
            return
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            done = subprocess.run(words, capture_output=True, timeout=10, check=False, env=environment)
        except subprocess.TimeoutExpired:
            return
        if done.returncode == 0:
            self.text(f"/_cmd/{'_'.join(words)}.txt", done.stdout)

    def engine(self, process):
        """Add that a process is the engine's, and its limits."""
        try:
            with open(f"{process}/cmdline", "rb") as file:
                is_engine = ENGINE in file.read(MOST_BYTES)
        except OSError:
            return  # it has ended meanwhile
        if is_engine:
            self.text(f"{process}/cmdline", ENGINE)
            self.add(f"{process}/limits")


def main():
    """Write the tar."""
    os.environ["PATH"] = os.pathsep.join(("/usr/sbin", "/usr/bin", "/sbin", "/bin"))
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|gz") as tar:
        tree = Tree(tar)
        for root, patterns in (("/proc", PROC), ("/sys/devices/system/cpu", CPU), ("/sys", SYS), ("", FILES)):
            for pattern in patterns.split():
                for path in sorted(glob.glob(f"{root}/{pattern}")):
                    tree.add(path)
        for process in glob.glob("/proc/[0-9]*"):
            tree.engine(process)
        for line in COMMANDS.splitlines():
            tree.command(line)
        for name in sorted(os.listdir("/sys/class/net")):
            if os.path.exists(f"/sys/class/net/{name}/device"):
                for line in OF_INTERFACES.format(name).splitlines():
                    tree.command(line)


if __name__ == "__main__":
    main()
