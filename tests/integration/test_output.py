# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of several playbooks prints with this checkout's ansible.cfg, and that what begins each is done once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from local_processes import ROOT, local_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

LATER = ["migrate", "tune", "deploy", "audit", "trade", "settle", "verify"]


def test_a_preview_of_several_playbooks_checks_once_and_prints_a_line_each() -> None:
    with local_site() as site:
        environment = site.environment() | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        environment |= dict(line.split("=", 1) for line in site.local("env").stdout.split())
        # Both begin with preflight, and the second with discover too.
        books = ["ironbook.trading.discover", "ironbook.trading.migrate"]
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "inventories/local", "--check", *books],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    totals = [line for line in lines if line.startswith("changed=")]  # Ansible sums up after each
    assert [line for line in lines if line not in totals] == [
        "Refuse what cannot work, before anything is touched",
        "Find the hosts that were asked for, no more and no fewer",
        *(f"  {play}: no engine host exists yet, so there is nothing to preview" for play in LATER),
        "Bring the database's schema to the current version: there is no such host",
    ]
    assert len(totals) == len(books), totals
    assert all(line.startswith("changed=0 failed=0 unreachable=0 on 1 host in ") for line in totals), totals
