# SPDX-License-Identifier: GPL-3.0-or-later
"""A role run by ansible-playbook in a directory: its `hosts.json` is the inventory, its `play.json` the play."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COLLECTIONS = Path(sys.prefix) / "collections"


def run_play(
    directory: Path, *flags: str, collections: str = str(COLLECTIONS), seconds: float = 300, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run the play with these extra variables; Ansible keeps what it keeps in the directory, too."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return subprocess.run(
        [program, "-i", "hosts.json", "-e", json.dumps(variables), *flags, "play.json"],
        cwd=directory,
        env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_HOME": str(directory / "ansible")},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
