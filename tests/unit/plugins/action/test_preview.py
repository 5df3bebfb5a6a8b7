# SPDX-License-Identifier: GPL-3.0-or-later
"""preview, through ansible-playbook: a change that is told in check mode, and refused without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # starts Ansible

ROOT = Path(__file__).parents[4]
TASK = {"name": "Preview", "ironbook.trading.preview": {"kind": "instance", "name": "e", "says": "a new one"}}


def play(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "hosts.ini").write_text("localhost ansible_connection=local\n", encoding="utf-8")
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [TASK]}]))
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.ini", *options, "play.yml"],
        cwd=tmp_path,
        env=os.environ
        | {"ANSIBLE_STDOUT_CALLBACK": "ironbook.trading.brief", "ANSIBLE_NOCOLOR": "1"}
        | {"ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_tells_a_change_in_check_mode_alone(tmp_path: Path) -> None:
    done = play(tmp_path, "--check")
    assert (done.returncode, "  changed: localhost: Preview: e: a new one\n" in done.stdout) == (0, True), done.stdout
    refused = play(tmp_path)
    assert refused.returncode == 2
    assert "localhost: Preview: instance e is only previewed: give --check" in refused.stderr
