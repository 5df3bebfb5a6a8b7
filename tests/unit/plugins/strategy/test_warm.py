# SPDX-License-Identifier: GPL-3.0-or-later
"""warm_linear and warm_free, through ansible-playbook: whose children the modules of a play are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils import warm
from integration.role_play import run_play

pytestmark = pytest.mark.slow  # starts Ansible

PARENT = """
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={})
module.exit_json(changed=False, parent=os.getppid())
"""
SESSIONS = """
import json
import botocore.session
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"own": {"type": "path"}})
loader, other = (botocore.session.get_session().get_component("data_loader") for _each in range(2))
own = botocore.session.get_session()
own.set_config_variable("data_path", module.params["own"])
regions = botocore.session.get_session().get_available_regions("ec2")
module.exit_json(changed=False, shared=loader is other, told=module.params["own"] in
                 own.get_component("data_loader").search_paths, reads_ec2="us-east-1" in regions)
"""
TASKS = [
    {"name": "One", "parent": {}, "register": "one"},
    {"name": "Two", "parent": {}, "register": "two"},
    {"name": "Tell", "ansible.builtin.debug": {"msg": "{{ [one.parent, two.parent] | unique | length }} parents"}},
]


def play(
    tmp_path: Path, strategy: str, tasks: Sequence[dict[str, object]] = TASKS, **variables: bool
) -> subprocess.CompletedProcess[str]:
    """The tasks on two hosts: a module twice, and of how many processes it was the child."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "parent.py").write_text(PARENT, encoding="utf-8")
    (tmp_path / "library" / "sessions.py").write_text(SESSIONS, encoding="utf-8")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"first": local, "second": local}}}))
    (tmp_path / "play.json").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "strategy": strategy, "tasks": tasks}])
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


@pytest.mark.parametrize("shared", [True, False])
def test_sessions_of_boto3_share_what_they_read(tmp_path: Path, shared: bool) -> None:
    """But one that is told of descriptions of its own reads those, and without the variable nothing is shared."""
    tasks = [
        {"name": "Make sessions", "sessions": {"own": str(tmp_path)}, "register": "one"},
        {"name": "Tell", "ansible.builtin.debug": {"msg": "{{ [one.shared, one.told, one.reads_ec2] | join(' ') }}"}},
    ]
    done = play(tmp_path, "ironbook.trading.warm_linear", tasks, ironbook_warm_interpreter=shared)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{shared} True True") == 2, done.stdout


def test_collections_are_listed_once() -> None:
    asked = []

    def list_collection_dirs(*which: str) -> list[str]:
        asked.append(which)
        return [*which, "a", "b"]

    listing = SimpleNamespace(list_collection_dirs=list_collection_dirs)
    warm._list_once(listing)
    assert [list(listing.list_collection_dirs()) for _each in range(2)] == [["a", "b"]] * 2
    assert list(listing.list_collection_dirs("other")) == ["other", "a", "b"]
    assert asked == [(), ("other",)]


def test_without_mitogen_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "ansible_mitogen"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('No module named mitogen')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = play(tmp_path, "ironbook.trading.warm_linear", ironbook_warm_interpreter=True)
    assert done.returncode != 0
    assert "has no mitogen (No module named mitogen): install what requirements/site.txt names" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
