# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin as Ansible runs it: every problem on a line of its own, before AWS is asked anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # starts Ansible

ROOT = Path(__file__).resolve().parents[4]

PLAYBOOK = """---
- name: Check
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Check
      ironbook.trading.inventory_check:
        minimum_versions: {}
        environment: local
        account_id: "123456789012"
"""


def check(tmp_path: Path, variables: str, endpoint: str, *options: str) -> subprocess.CompletedProcess[str]:
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventories" / "local" / "group_vars", inventory / "group_vars")
    (inventory / "hosts.yml").write_text("all: {hosts: {localhost: }}\n")
    (inventory / "group_vars" / "all" / "zz.yml").write_text(variables)
    (tmp_path / "check.yml").write_text(PLAYBOOK)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
    environment |= {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "IRONBOOK_STATE": str(tmp_path / "state"),
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(tmp_path / "check.yml"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    variables = "aws_streams_shard_cout: 1\naws_database_backup_days: 99\n"
    done = check(tmp_path, variables, "http://192.0.2.1", "-e", "aws_streams_retention_huors=24 colour=red")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert (
        "zz.yml:1: aws_streams_shard_cout is not a variable of any role; did you mean aws_streams_shard_count?" in said
    )
    assert "zz.yml:2: aws_database_backup_days is 99; the most is 35" in said
    assert "AWS_ENDPOINT_URL is http://192.0.2.1, which is not on this machine" in said
    assert "-e: aws_streams_retention_huors is not a variable of any role" in said
    assert "colour" not in said
    assert "4 problems, listed above; nothing was touched" in said


def test_a_dead_emulator_is_one_problem_with_its_remedy(tmp_path: Path) -> None:
    done = check(tmp_path, "aws_database_backup_days: 35\n", "http://127.0.0.1:9")
    assert done.returncode != 0
    assert "http://127.0.0.1:9 does not say whose account this is" in done.stdout + done.stderr
    assert "ironbook local up" in done.stdout + done.stderr
