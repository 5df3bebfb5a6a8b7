# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the collection to DIRECTORY/ansible_collections/ironbook/trading, for tools that cannot work in the checkout.

ansible-test demands such a path and resolves links; antsibull-docs copies whatever it finds, and would trip over the
sockets of a running site. The copy holds every file that git would keep, whether committed or not yet. Beside it lie
links to the collections that it needs, as pip installed them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("amazon", "ansible", "community")


def copy_collection(directory: Path) -> Path:
    """Replace the copy in `directory`, and make it a git repository. Returns the root of the collection there.

    Without a repository of its own, ansible-test would ask the one above, which ignores the copy.
    """
    copy = directory / "ansible_collections" / "ironbook" / "trading"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    shutil.rmtree(copy, ignore_errors=True)
    for name in sorted(set(names) - {""}):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for namespace in NEEDED:
        link = copy.parents[1] / namespace
        link.unlink(missing_ok=True)
        link.symlink_to(Path(sysconfig.get_path("purelib")) / "ansible_collections" / namespace)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    return copy


if __name__ == "__main__":
    copy_collection(Path(sys.argv[1]))
