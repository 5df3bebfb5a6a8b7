# SPDX-License-Identifier: GPL-3.0-or-later
"""The two definitions of a service, as Ansible writes them: systemd itself reads one, supervisor's reader the other."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_processes import ROOT, environment

pytestmark = pytest.mark.slow  # starts Ansible

COMMAND = [sys.executable, "-m", "ironbook.cli", "engine", "run", "--config", "/var/lib/iron book/100%.json"]
VARIABLES = {
    "managed_service_name": "engine-0-0",
    "managed_service_description": "Ironbook: engine",
    "managed_service_command": COMMAND,
    "managed_service_environment": {"PYTHONPATH": "/opt/ironbook/50%"},
    "managed_service_directory": "/tmp",
    "managed_service_started": True,
    "managed_service_stop_signal": "TERM",
    "managed_service_stop_seconds": 15,
    "managed_service_user": "ironbook",
    "managed_service_writable_directories": ["/var/lib/ironbook/engine-0-0"],
    "managed_service_before": ["ledger-0", "publisher-0"],
    "managed_service_runtime_directory": "engine-0-0",
    "__managed_service_definition_now": "0af1",
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> dict[str, Path]:
    """Both templates, written by Ansible's own template module."""
    directory = tmp_path_factory.mktemp("rendered")
    results = {"program.conf.j2": directory / "engine-0-0.conf", "unit.service.j2": directory / "engine-0-0.service"}
    variables = VARIABLES | {"managed_service_supervisor_directory": str(directory)}
    (directory / "log").mkdir()
    tasks = [
        {
            "ansible.builtin.template": {
                "src": str(ROOT / "roles" / "managed_service" / "templates" / source),
                "dest": str(target),
                "mode": "0600",
            }
        }
        for source, target in results.items()
    ]
    play = directory / "play.json"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", str(play)]
    environ = environment(ANSIBLE_HOME=str(directory / "ansible"), ANSIBLE_PYTHON_INTERPRETER=sys.executable)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stdout
    return results


def test_systemd_reads_the_unit(rendered) -> None:
    """`systemd-analyze verify` resolves the whole unit; only the absence of our user may be worth a word to it."""
    unit = rendered["unit.service.j2"]
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine: apt-get install systemd")
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert unit.name not in done.stderr, done.stderr


def test_the_unit_has_no_root_and_little_else(rendered) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(rendered["unit.service.j2"])
    service = unit["Service"]
    assert service["User"] == "ironbook"
    assert service["CapabilityBoundingSet"] == ""
    assert service["NoNewPrivileges"] == "true"
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == "/var/lib/ironbook/engine-0-0"
    assert service["ExecStart"].endswith("'/var/lib/iron book/100%%.json'")
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == ("ironbook/engine-0-0", "yes")
    assert unit["Unit"]["Before"] == "ledger-0.service publisher-0.service"
    assert '\nEnvironment="PYTHONPATH=/opt/ironbook/50%%"\n' in rendered["unit.service.j2"].read_text()
    assert service["Environment"] == '"IRONBOOK_DEFINITION=0af1"'


def test_supervisor_reads_the_program(rendered) -> None:
    """Through supervisor's own reader, which expands %(names)s and splits as a shell does."""
    text = rendered["program.conf.j2"].read_text()
    directory = rendered["program.conf.j2"].parent
    (directory / "supervisord.conf").write_text(f"[supervisord]\ndirectory = {directory}\n{text}")
    script = (
        "import json, shlex, sys\n"
        "from supervisor.options import ServerOptions\n"
        "options = ServerOptions()\n"
        "options.realize(['-c', sys.argv[1]])\n"
        "program = options.process_group_configs[0].process_configs[0]\n"
        "print(json.dumps({'command': shlex.split(program.command), 'environment': program.environment,\n"
        "                  'autostart': program.autostart, 'log': program.stdout_logfile,\n"
        "                  'priority': program.priority}))\n"
    )
    command = [sys.executable, "-c", script, str(directory / "supervisord.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    program = json.loads(done.stdout.splitlines()[-1])
    assert program["command"] == COMMAND
    assert program["environment"] == {"PYTHONPATH": "/opt/ironbook/50%", "IRONBOOK_DEFINITION": "0af1"}
    assert program["autostart"] is True
    assert program["priority"] < 999, "supervisor's own: those that lean on it"
    assert program["log"] == str(directory / "log" / "engine-0-0.log")
