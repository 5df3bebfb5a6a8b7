# SPDX-License-Identifier: GPL-3.0-or-later
"""No play runs unless preflight has passed in the same run, whatever the inventory and the command line say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible import constants, context
from ansible_collections.ironbook.trading.plugins.filter import preflight
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import run

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(name="options")
def one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run of Ansible, as far as the plugins see it: its command line, and a directory of its own."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(context, "CLIARGS", options)
    return options


def test_it_is_remembered_once_all_has_passed(options: dict[str, Any]) -> None:
    assert preflight.until_preflight("localhost") == "localhost"
    run.remember_checks()
    assert preflight.until_preflight("localhost") == "localhost"
    with pytest.raises(SystemExit):
        preflight.after_preflight("engine_primary")
    assert run.remember_passed()
    assert preflight.until_preflight("localhost") == "!all"
    assert preflight.after_preflight("engine_primary") == "engine_primary"


def test_the_last_task_alone_is_not_enough(options: dict[str, Any]) -> None:
    assert not run.remember_passed()
    run.remember_checks()
    options["start_at_task"] = "Remember*"
    assert not run.remember_passed()
    assert not run.has_passed()


def test_another_run_does_not_count(options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.remember_checks()
    assert run.remember_passed()
    (tmp_path / "next").mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "next"))
    assert not run.has_passed()


@pytest.mark.parametrize("name", ["syntax", "listhosts", "listtasks", "listtags"])
def test_a_list_is_no_run(options: dict[str, Any], name: str) -> None:
    options[name] = True
    assert preflight.after_preflight("engine_primary") == "engine_primary"


# As after discover, and with every group that a run of preflight ever made.
GROUPS = {
    "engine_primary": "engine-0-0",
    "engine_hosts": "engine-0-0",
    "controller": "localhost",
    "preflight_passed": "localhost",
    "hosts_discovered": "localhost",
}


def playbook(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    children = {group: {"hosts": {host: {"ansible_connection": "local"}}} for group, host in GROUPS.items()}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"children": children}}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
    environment |= {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts.yml"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow  # starts Ansible
@pytest.mark.parametrize(
    "arguments",
    [
        ("trade", "--limit", "engine_primary"),
        ("deploy", "--limit", "engine-0-0"),
        ("settle", "--skip-tags", "always"),
        ("provision", "--start-at-task", "Call up a provisioner for each part"),
        ("verify", "--start-at-task", "Compare every place that holds the shard's trades"),
    ],
)
def test_a_run_that_leaves_preflight_out_ends_with_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = playbook(tmp_path, f"ironbook.trading.{arguments[0]}", *arguments[1:])
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == f"ERROR: {run.NOT_PASSED}\n"
    assert "changed=" not in done.stdout
    assert not list((tmp_path / "home").glob("tmp/ansible-local-*")), "nothing is left of the run"


@pytest.mark.slow
def test_the_last_task_of_preflight_does_not_pass_alone(tmp_path: Path) -> None:
    done = playbook(tmp_path, "ironbook.trading.preflight", "--start-at-task", "Remember that all is well")
    assert done.returncode == 2
    assert f"Remember that all is well: {run.NOT_PASSED}" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_group_of_the_inventory_does_not_keep_preflight_from_running(tmp_path: Path) -> None:
    done = playbook(tmp_path, "ironbook.trading.trade")
    assert done.returncode == 2
    assert "Refuse wrong versions, wrong variables and a wrong account" in done.stdout + done.stderr
    assert run.NOT_PASSED not in done.stdout + done.stderr
