# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests need from Debian, beyond what pip installs.

As root on Debian, `make test` installs what is missing, and says so first. Anyone else is told what to install: a lane
whose package is missing then counts as not run. Runs under the system's Python before .venv exists, so it imports the
standard library only.

`debian.py guests` installs what `make test-hosts` needs, which `make test` does not.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.dont_write_bytecode = True  # nothing beside the sources
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "requirements"))

import preflight  # noqa: E402  (found through the line above)

# Command that a lane runs -> Debian package. Libraries are probed below.
PACKAGES = {
    "gcc": "gcc",
    "git": "git",
    "make": "make",
    "clang": "clang",
    "fuzzer": "libclang-rt-dev",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "arm64-libc": "libc6-dev-arm64-cross",
    "qemu-aarch64-static": "qemu-user-static",
    "tshark": "tshark",
    "shellcheck": "shellcheck",
    "ps": "procps",
    "ss": "iproute2",
    "systemd-analyze": "systemd",
    "etcd": "etcd-server",
    "ethtool": "ethtool",
    "unshare": "util-linux",
    "podman": "podman",
    "crun": "crun",
    "mmdebstrap": "mmdebstrap",
    "charon-systemd": "charon-systemd",
    "swanctl": "strongswan-swanctl",
    "kernel-libipsec": "libcharon-extra-plugins",
    "strongswan-openssl": "libstrongswan-standard-plugins",
    "bird": "bird2",
    "ping": "iputils-ping",
}
# Libraries of strongSwan, by the names that PACKAGES has for them.
PLUGINS = {"kernel-libipsec": "kernel-libipsec", "strongswan-openssl": "openssl"}
# What the guests of `make test-hosts` need.
GUESTS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "sfdisk": "fdisk",
    "mkfs.ext4": "e2fsprogs",
    "losetup": "mount",
    "blkid": "util-linux",
    "ip": "iproute2",
    "ssh": "openssh-client",
}


def has(tool: str) -> bool:
    """Whether a tool of PACKAGES or GUESTS is on this machine."""
    if tool == "fuzzer":
        name = f"libclang_rt.fuzzer-{platform.machine()}.a"
        return any(Path("/usr/lib").glob(f"llvm-*/lib/clang/*/lib/linux/{name}"))
    if tool == "arm64-libc":
        return Path("/usr/aarch64-linux-gnu/lib/libc.a").exists()
    if tool in PLUGINS:
        return Path(f"/usr/lib/ipsec/plugins/libstrongswan-{PLUGINS[tool]}.so").exists()
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def may_install() -> bool:
    """Whether this is root on Debian: then no lane may be left out."""
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


@contextmanager
def nothing_started(policy: Path = Path("/usr/sbin/policy-rc.d")) -> Iterator[None]:
    """Keep packages that bring a service (etcd-server) from starting it: we want the program, not a server at 2379.

    Debian's own way (invoke-rc.d(8)): a policy that says no, where nobody has one already.
    """
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def apt_install(packages: list[str]) -> None:
    """Install packages without asking; the lists are refreshed only when the first try fails."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "-qq", *packages]
    if subprocess.run(install, env=environment, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
        subprocess.run(install, env=environment, check=True, stdout=subprocess.DEVNULL)


def main(words: Sequence[str]) -> int:
    """Install what is missing, as root on Debian; else say nothing, the lanes do, but for the guests."""
    wanted = GUESTS if "guests" in words else PACKAGES
    missing = [package for tool, package in wanted.items() if not has(tool)]
    missing = list(dict.fromkeys([*preflight.missing_packages(), *missing]))
    if missing and wanted is GUESTS and not may_install():
        print(f"missing on this machine: as root, apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    if missing and may_install():
        print(f"installing Debian packages: {' '.join(missing)}", flush=True)
        try:
            with nothing_started():
                apt_install(missing)
        except subprocess.CalledProcessError:
            print(
                f"could not be installed; try: apt-get update && apt-get install {' '.join(missing)}", file=sys.stderr
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
