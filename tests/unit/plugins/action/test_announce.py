# SPDX-License-Identifier: GPL-3.0-or-later
"""announce, through ansible-playbook: its lines are seen where those of debug are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # starts Ansible

PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.debug": {"msg": "said by debug"}},
            {"ironbook.trading.announce": {"lines": ["first", "second 2"]}},
        ],
    }
]


def test_lines_are_shown_where_unchanged_tasks_are_not(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("localhost ansible_connection=local\n", encoding="utf-8")
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps(PLAY), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(playbook)],
        env={**os.environ, "ANSIBLE_DISPLAY_OK_HOSTS": "false", "ANSIBLE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\n  first\n  second 2\n" in done.stdout
    assert "said by debug" not in done.stdout
    assert "changed=0" in done.stdout
