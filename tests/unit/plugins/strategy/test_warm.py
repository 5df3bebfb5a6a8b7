# SPDX-License-Identifier: GPL-3.0-or-later
"""warm_linear and warm_free, through ansible-playbook: whose children the modules of a play are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PARENT = """
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={})
module.exit_json(changed=False, parent=os.getppid(), command=open("/proc/self/cmdline").read())
"""
TOLD = "{{ [one.parent, two.parent] | unique | length }} parents"


def play(tmp_path: Path, strategy: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A module twice, and of how many processes it was the child."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "parent.py").write_text(PARENT, encoding="utf-8")
    tasks = [
        {"name": "One", "parent": {}, "register": "one"},
        {"name": "Two", "parent": {}, "register": "two"},
        {"name": "Tell", "ansible.builtin.debug": {"msg": TOLD}},
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "strategy": strategy, "tasks": tasks}]), encoding="utf-8"
    )
    inventory = tmp_path / "hosts.ini"
    local = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    inventory.write_text(f"first {local}\nsecond {local}\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), *options, str(playbook)],
        cwd=tmp_path,
        env=os.environ
        | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "home")}
        | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections")}
        | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("strategy", ["warm_linear", "warm_free"])
@pytest.mark.parametrize(("wanted", "parents"), [("true", 1), ("false", 2), (None, 2)])
def test_the_inventory_says_whether_modules_share_an_interpreter(
    tmp_path: Path, strategy: str, wanted: str | None, parents: int
) -> None:
    options = [] if wanted is None else ["-e", f"ironbook_warm_interpreter={wanted}"]
    done = play(tmp_path, f"ironbook.trading.{strategy}", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{parents} parents") == 2, done.stdout


def test_without_mitogen_it_says_what_to_do(tmp_path: Path) -> None:
    hidden = tmp_path / "ansible_mitogen"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('No module named mitogen')\n", encoding="utf-8")
    strategy = "ironbook.trading.warm_linear"
    done = play(tmp_path, strategy, "-e", "ironbook_warm_interpreter=true", PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert "has no mitogen (No module named mitogen): install what requirements/site.txt names" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
