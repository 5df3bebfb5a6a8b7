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


def play(
    tmp_path: Path, plays: list[dict], *options: str, callback: str = "ironbook.trading.brief"
) -> subprocess.CompletedProcess[str]:
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
        | {"ANSIBLE_STDOUT_CALLBACK": callback, "ANSIBLE_DISPLAY_OK_HOSTS": "false"}
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


WARNER = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"says": {}, "fails": {"type": "bool"}, "changes": {"type": "bool", "default": False}})
module.warn("beware of " + module.params["says"])
if module.params["fails"]:
    module.fail_json(msg="because of " + module.params["says"], changed=module.params["changes"])
module.exit_json(changed=module.params["changes"])
"""


def warners(tmp_path: Path, *tasks: dict) -> list[dict]:
    """A play of tasks whose module `warner` warns and, where it is told to, fails."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "warner.py").write_text(WARNER)
    return [LOCAL | {"name": "Warns", "tasks": list(tasks)}]


def printed(output: str, word: str) -> list[str]:
    """The lines that begin with the word, whatever Ansible added to a warning about where it comes from."""
    return [line for line in output.splitlines() if line.startswith(word)]


def test_what_a_task_warns_of_is_told_whether_it_fails_or_not(tmp_path: Path) -> None:
    """In a loop, too, and there of an item that went well beside one that did not."""
    loop = {"loop": ["good", "bad"]}
    tasks = [
        {"name": "Goes well", "warner": {"says": "one"}},
        {"name": "Items go well", "warner": {"says": "{{ item }} luck"}, **loop},
        {"name": "Items fail", "warner": {"says": "{{ item }}", "fails": "{{ item == 'bad' }}"}, **loop},
    ]
    last = {"name": "Fails", "warner": {"says": "two", "fails": True}}
    tasks[2]["ignore_errors"] = True
    done = play(tmp_path, warners(tmp_path, *tasks, last))
    said = [line.split("beware of ")[1] for line in printed(done.stderr, "[WARNING]") if "beware of" in line]
    assert sorted(said) == ["bad", "bad luck", "good", "good luck", "one", "two"]
    assert printed(done.stderr, "failed") == ["failed: localhost: Fails: because of two"]


def test_each_item_that_fails_says_why(tmp_path: Path) -> None:
    failing = {"warner": {"says": "{{ item }}", "fails": "{{ item != 'b' }}"}, "loop": ["a", "b", "c"]}
    done = play(tmp_path, warners(tmp_path, {"name": "Loop", **failing}))
    assert done.returncode != 0
    assert printed(done.stderr, "failed") == [
        "failed: localhost: Loop (a): because of a",
        "failed: localhost: Loop (c): because of c",
    ]


def test_an_item_that_cannot_be_reached_is_named_and_the_whole_adds_nothing(tmp_path: Path) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    done = play(tmp_path, [LOCAL | {"name": "Away", "tasks": [task("Ping", "ping", {}, vars=away, loop=[1])]}])
    (line,) = done.stderr.splitlines()
    assert line.startswith("unreachable: localhost: Ping (1): ")


def test_what_is_ignored_is_no_error_and_says_whether_it_counts_as_changed(tmp_path: Path) -> None:
    """Ansible adds an ignored failure that changed something to `changed`; nobody could tell where that is from."""
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    ignored = {"ignore_errors": True}
    tasks = [
        {"name": "One", "warner": {"says": "a", "fails": True}, **ignored},
        {"name": "Many", "warner": {"says": "{{ item }}", "fails": True}, "loop": ["b", "c"], **ignored},
        {"name": "Half", "warner": {"says": "d", "fails": True, "changes": True}, **ignored},
        task("Away", "ping", {}, vars=away, ignore_unreachable=True),
    ]
    done = play(tmp_path, warners(tmp_path, *tasks))
    assert done.returncode == 0
    assert printed(done.stderr, "failed") + printed(done.stderr, "unreachable") + printed(done.stderr, "ignored") == []
    *said, away_line = printed(done.stdout, "ignored")
    assert said == [
        "ignored: localhost: One: because of a",
        "ignored: localhost: Many (b): because of b",
        "ignored: localhost: Many (c): because of c",
        "ignored, changed: localhost: Half: because of d",
    ]
    assert away_line.startswith("ignored: localhost: Away: ")
    assert "changed=1 failed=0 unreachable=0" in done.stdout.splitlines()[-1]


def test_with_no_log_it_hides_what_ansible_hides_and_no_more(tmp_path: Path) -> None:
    """Reason and label are hidden. What a module warns of is for the reader: Ansible's own output shows it, too."""
    secret = {"no_log": True, "ignore_errors": True}
    tasks = [
        {"name": "One", "warner": {"says": "one", "fails": True}, **secret},
        {"name": "Many", "warner": {"says": "{{ item }}", "fails": True}, "loop": ["two"], **secret},
    ]
    plays = warners(tmp_path, *tasks)
    ours, default = play(tmp_path, plays), play(tmp_path, plays, callback="ansible.builtin.default")
    assert "because of" not in ours.stdout + ours.stderr
    assert [line.split(": the output")[0] for line in printed(ours.stdout, "ignored")] == [
        "ignored: localhost: One",
        "ignored: localhost: Many (censored due to no_log)",
    ]
    assert printed(ours.stderr, "[WARNING]") == printed(default.stderr, "[WARNING]") != []


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
