# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the syntax of every playbook: `ansible-playbook --syntax-check`, all of them in one process.

The playbooks are named as a person would name them, so that what they import is found through the collection's path,
not beside the file. A root directory other than the checkout can be given, for the negative control.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(root: Path = ROOT) -> int:
    """Check all playbooks under `root`; a root other than the checkout is checked by file name."""
    playbooks = sorted((root / "playbooks").rglob("*.yml"))
    if not playbooks:
        print(f"no playbook under {root / 'playbooks'}", file=sys.stderr)
        return 1
    command = [
        "ansible-playbook",
        "--syntax-check",
        "-i",
        str(ROOT / "tests" / "gates" / "inventory.yml"),
        *map(str, playbooks),
    ]
    environment = os.environ | {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
    code = subprocess.run(command, env=environment, cwd=root, check=False).returncode
    print(f"{len(playbooks)} playbooks: {'a syntax error' if code else 'no syntax error'}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
