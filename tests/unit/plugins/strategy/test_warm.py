# SPDX-License-Identifier: GPL-3.0-or-later
"""warm_linear and warm_free, through ansible-playbook: whose children the modules of a play are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from integration.role_play import run_play

pytestmark = pytest.mark.slow  # starts Ansible

PARENT = """
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={})
module.exit_json(changed=False, parent=os.getppid())
"""
TASKS = [
    {"name": "One", "parent": {}, "register": "one"},
    {"name": "Two", "parent": {}, "register": "two"},
    {"name": "Tell", "ansible.builtin.debug": {"msg": "{{ [one.parent, two.parent] | unique | length }} parents"}},
]


def play(tmp_path: Path, strategy: str, **variables: bool) -> subprocess.CompletedProcess[str]:
    """A module twice on two hosts, and of how many processes it was the child."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "parent.py").write_text(PARENT, encoding="utf-8")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"first": local, "second": local}}}))
    (tmp_path / "play.json").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "strategy": strategy, "tasks": TASKS}])
    )
    return run_play(tmp_path, **variables)


@pytest.mark.parametrize("strategy", ["warm_linear", "warm_free"])
@pytest.mark.parametrize(("wanted", "parents"), [(True, 1), (False, 2), (None, 2)])
def test_the_inventory_says_whether_modules_share_an_interpreter(
    tmp_path: Path, strategy: str, wanted: bool | None, parents: int
) -> None:
    variables = {} if wanted is None else {"ironbook_warm_interpreter": wanted}
    done = play(tmp_path, f"ironbook.trading.{strategy}", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{parents} parents") == 2, done.stdout


def test_without_mitogen_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "ansible_mitogen"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('No module named mitogen')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = play(tmp_path, "ironbook.trading.warm_linear", ironbook_warm_interpreter=True)
    assert done.returncode != 0
    assert "has no mitogen (No module named mitogen): install what requirements/site.txt names" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
