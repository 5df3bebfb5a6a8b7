# SPDX-License-Identifier: GPL-3.0-or-later
"""brief, through ansible-playbook: what a reader sees of plays that change, check, fail and find nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.callback.brief import reason

ROOT = Path(__file__).parents[4]
LOCAL = {"hosts": "localhost", "gather_facts": False}


def task(name: str, module: str, arguments: dict, **keywords) -> dict:
    return {"name": name, f"ansible.builtin.{module}": arguments, **keywords}


def play(tmp_path: Path, plays: list[dict], *options: str) -> subprocess.CompletedProcess[str]:
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}\n", encoding="utf-8"
    )
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps(plays), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), *options, str(playbook)],
        cwd=tmp_path,
        env=os.environ
        | {"ANSIBLE_STDOUT_CALLBACK": "ironbook.trading.brief", "ANSIBLE_DISPLAY_OK_HOSTS": "false"}
        | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "home")}
        | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )


CHECKS = LOCAL | {"name": "Only looks", "tasks": [task("All is well", "assert", {"that": "true"})]}
SPEAKS = LOCAL | {"name": "Speaks", "tasks": [{"ironbook.trading.announce": {"lines": ["first", "second"]}}]}
FAILS = LOCAL | {
    "name": "Fails",
    "tasks": [task("Be right", "assert", {"that": "false", "fail_msg": "the thing\nis wrong: mend it", "quiet": True})],
}


def writes(path: Path) -> dict:
    loop = {"loop": [1, 2], "loop_control": {"label": "number {{ item }}"}}
    return LOCAL | {
        "name": "Writes",
        "tasks": [
            task("Write one", "copy", {"content": "one\n", "dest": f"{path}/one", "mode": "0600"}),
            task("Write many", "copy", {"content": "x\n", "dest": f"{path}/{{{{ item }}}}", "mode": "0600"}, **loop),
        ],
    }


def test_an_unchanged_run_is_a_line_for_each_play_that_works_and_one_for_the_totals(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("one\n")
    (tmp_path / "one").chmod(0o600)
    unchanged = LOCAL | {"name": "Writes", "tasks": writes(tmp_path)["tasks"][:1]}
    nobody = SPEAKS | {"hosts": "!all"}
    done = play(tmp_path, [CHECKS, unchanged, SPEAKS, nobody, nobody | {"name": "Alone"}])
    assert done.returncode == 0, done.stderr
    *lines, total = done.stdout.splitlines()
    # A play that had its turn and is for nobody now says nothing; one that never had does.
    assert lines == ["Writes", "Speaks", "  first", "  second", "Alone: there is no such host"]
    assert total.startswith("changed=0 failed=0 unreachable=0 on 1 host in ")


def test_a_change_is_one_line_and_stands_above_its_difference(tmp_path: Path) -> None:
    done = play(tmp_path, [writes(tmp_path)], "--diff")
    lines = [line for line in done.stdout.splitlines() if line.startswith(("  ", "+", "localhost"))]
    assert [line for line in lines if not line.startswith("+++")] == [
        "  changed: localhost: Write one",
        "+one",
        "  changed: localhost: Write many (number 1)",
        "+x",
        "  changed: localhost: Write many (number 2)",
        "+x",
        f"{'localhost':<26} : ok=2    changed=2    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   ",
    ]
    assert "changed=2 failed=0" in done.stdout.splitlines()[-1]


def test_a_failure_and_an_unreachable_host_are_one_line_each_on_stderr(tmp_path: Path) -> None:
    ping = task("Ping", "ping", {}, vars={"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9})
    rescued = FAILS | {"tasks": [{"name": "Try", "block": FAILS["tasks"], "rescue": [ping]}]}
    done = play(tmp_path, [rescued, SPEAKS])
    assert done.returncode != 0
    failed, unreachable = done.stderr.splitlines()
    assert failed == "failed: localhost: Be right: the thing is wrong: mend it"
    assert unreachable.startswith("unreachable: localhost: Ping: ")
    assert done.stdout.splitlines()[0] == "Fails" and "first" not in done.stdout
    assert "changed=0 failed=0 unreachable=1" in done.stdout.splitlines()[-1]


def test_with_v_it_is_ansibles_own_output(tmp_path: Path) -> None:
    done = play(tmp_path, [FAILS], "-v")
    assert "PLAY [Fails]" in done.stdout and "TASK [Be right]" in done.stdout and "PLAY RECAP" in done.stdout
    assert "fatal: [localhost]: FAILED! =>" in done.stdout


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"msg": "a\n  b"}, "a b"),
        ({"msg": "non-zero return code", "rc": 2, "stderr": "first\nthe port is taken\n"}, "the port is taken"),
        ({"msg": "MODULE FAILURE", "rc": 1, "module_stderr": "KeyError: 'x'"}, "MODULE FAILURE: KeyError: 'x'"),
        ({"censored": "hidden"}, "hidden"),
        ({}, "it gave no reason"),
    ],
)
def test_the_reason_is_one_line(result: dict, said: str) -> None:
    assert reason(result) == said
