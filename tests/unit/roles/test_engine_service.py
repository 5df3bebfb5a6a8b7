# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role engine_service writes for one member of a shard, read by the engine's and the agent's own readers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ironbook import agent, engine_config
from local_processes import ROOT, environment

pytestmark = pytest.mark.slow  # starts Ansible

SHARD_1 = [  # in no order
    {"shard": 1, "replica": 2, "zone": "us-east-1a", "role": "standby"},
    {"shard": 1, "replica": 0, "zone": "us-east-1b", "role": "primary"},
    {"shard": 1, "replica": 1, "zone": "us-east-1c", "role": "standby"},
]


def configured(directory: Path, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the tasks of the role that refuse and that write, for replica 1 of shard 1, which has three members."""
    tasks = [
        {
            "ansible.builtin.include_role": {
                "name": "ironbook.trading.engine_service",
                "tasks_from": part,
                "public": True,
                "rolespec_validate": False,
            }
        }
        for part in ("preflight", "configure")
    ]
    given: dict[str, Any] = yaml.safe_load((ROOT / "inventories/local/group_vars/all/ironbook.yml").read_text())
    given |= {"ironbook_state_directory": str(directory), "ironbook_port_base": 20000}
    given |= {"ironbook_shards": [{"shard": 1, "symbols": ["AAPL"]}], "ironbook_engine_hosts": SHARD_1}
    given |= {"engine_service_sessions": [{"username": "MAKER1", "firm": "MAKR"}]}
    given |= {"engine_shard": 1, "engine_replica": 1, "engine_role": "standby"}
    given |= {"engine_build_python": sys.executable, "engine_build_path": ""} | variables
    play = [{"hosts": "all", "gather_facts": False, "vars": given, "tasks": tasks}]
    (directory / "play.json").write_text(json.dumps(play))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "engine-1-1,", "-c", "local"]
    environ = environment(
        ANSIBLE_HOME=str(directory / "ansible"),
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
        ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".venv" / "collections"),
        ANSIBLE_NOCOLOR="1",
        AWS_DEFAULT_REGION="us-east-1",
    )
    return subprocess.run(
        [*command, str(directory / "play.json")],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )


def test_a_member_knows_the_others_and_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses by replica number whatever the order of the shard map; the key drawn once and shown nowhere."""
    done = configured(tmp_path, engine_service_replicated=True, engine_service_replication={"window": 4096})
    assert done.returncode == 0, done.stdout
    files = tmp_path / "hosts" / "engine-1-1"
    config = engine_config.load(files / "engine.json")
    assert config.replication is not None
    assert config.replication.members == tuple(("127.0.0.1", 20012 + replica) for replica in range(3))
    assert (config.replica, config.port, config.replication.min_in_sync, config.replication.window) == (
        1,
        20111,
        2,
        4096,
    )
    key = (tmp_path / "secrets" / "replication_key_1").read_text().strip()
    assert config.replication.key == key and len(key) == 48 and key not in done.stdout
    assert (files / "engine.json").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    member = agent.load(files / "agent.json")
    assert (member.shard, member.replica, member.run_directory) == (1, 1, Path(config.run_directory))
    again = configured(tmp_path, engine_service_replicated=True, engine_service_replication={"window": 4096})
    assert "changed=0" in again.stdout, again.stdout


def test_an_engine_that_runs_alone_has_neither(tmp_path: Path) -> None:
    """Whatever hosts its shard has."""
    done = configured(tmp_path, engine_service_replicated=False)
    assert done.returncode == 0, done.stdout
    config = engine_config.load(tmp_path / "hosts" / "engine-1-1" / "engine.json")
    assert (config.replication, config.epoch) == (None, 1)
    assert not (tmp_path / "hosts" / "engine-1-1" / "agent.json").exists()
    assert not (tmp_path / "secrets" / "replication_key_1").exists()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ironbook_engine_hosts": SHARD_1[:2]}, "shard 1 has replicas 0, 2: number its hosts from 0 without a gap"),
        ({"engine_service_replication_addresses": ["10.0.0.1"]}, "shard 1 has 3 members and 1 addresses"),
        (
            {"engine_service_replication_addresses": ["10.0.0.1", "8.8.8.8", "10.0.0.2"]},
            r"members[1].host is '8.8.8.8'",
        ),
        ({"engine_service_replication": {"windw": 1}}, "did you mean window?"),
        ({"engine_service_store": {"kind": "dynamodb"}}, "key 'table' is missing"),
    ],
)
def test_what_members_cannot_be_is_refused(tmp_path: Path, variables: dict[str, Any], said: str) -> None:
    """By the role, or by the engine and the agent themselves, before a file takes another's place."""
    done = configured(tmp_path, **{"engine_service_replicated": True, **variables})
    assert done.returncode != 0
    assert said in " ".join(done.stdout.split()), done.stdout
