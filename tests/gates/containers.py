# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in which podman works: `python tests/gates/containers.py molecule test -s tuned_host`.

Its containers lie in .cache/containers and nowhere else. Where this machine has both versions of control groups, the
command gets a view of its own without the second one, which podman's runtime refuses beside the first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / ".cache/containers"
UNIFIED = Path("/sys/fs/cgroup/unified")
# Podman asks for more than a machine may give that itself is confined; these are enough for a host's services.
SETTINGS = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
STORAGE = """[storage]
driver = "overlay"
graphroot = "{store}/graph"
runroot = "{store}/run"
"""


def main() -> None:
    """Write the settings and become the command."""
    STORE.mkdir(parents=True, exist_ok=True)
    (STORE / "containers.conf").write_text(SETTINGS)
    (STORE / "storage.conf").write_text(STORAGE.format(store=STORE))
    os.environ["CONTAINERS_CONF"] = str(STORE / "containers.conf")
    os.environ["CONTAINERS_STORAGE_CONF"] = str(STORE / "storage.conf")
    command = sys.argv[1:]
    # One view for the whole command: the mounts of a container are seen in no other.
    hide = f'mountpoint -q {UNIFIED} && umount {UNIFIED}; exec "$@"'
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide, "sh", *command])


if __name__ == "__main__":
    main()
