# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module takes and refuses before it asks a store; the rest is in tests/integration/test_agent_failover.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.doc_fragments.engine_member import ModuleDocFragment
from ansible_collections.ironbook.trading.plugins.modules import engine_failover, engine_failover_info
from fixtures.fake_admin import FakeMember, fake_member


@pytest.fixture
def member() -> Iterator[FakeMember]:
    """Replica 0, which answers; its agent's store is at a port where nobody listens."""
    with fake_member() as made:
        made.answers["status"] = made.status("primary", 0, [0, 1, 2])
        made.start()
        agent(made)
        yield made


def agent(member: FakeMember, **changes: Any) -> None:
    value = {"shard": member.shard, "replica": member.replica, "run_directory": str(member.run),
             "store": {"kind": "etcd", "endpoints": ["http://127.0.0.1:9"], "total_seconds": 0.2}}  # fmt: skip
    member.config.with_name("agent.json").write_text(json.dumps(value | changes))


def call(capsys: pytest.CaptureFixture[str], member: FakeMember, **options: Any) -> str:
    """Run the module, which refuses; return its one line."""
    arguments = {"config": str(member.config), "agent_config": str(member.config.with_name("agent.json"))}
    with patch_module_args(arguments | {"state": "primary"} | options), pytest.raises(SystemExit):
        engine_failover.main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"] is True
    message: str = answer["msg"]
    assert "\n" not in message
    return message


def test_their_options_are_documented() -> None:
    for module in (engine_failover, engine_failover_info):
        parts = (module.DOCUMENTATION, ModuleDocFragment.DOCUMENTATION, ModuleDocFragment.AGENT)
        documented = [set(yaml.safe_load(part)["options"]) for part in parts]
        assert set.union(*documented) == set(module.ARGUMENTS) and sum(map(len, documented)) == len(module.ARGUMENTS)
    documented = yaml.safe_load(engine_failover.DOCUMENTATION)["options"]["service"]["suboptions"]
    assert set(documented) == set(engine_failover.SERVICE)


def test_files_of_two_members_are_refused(member: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    agent(member, replica=2)
    assert "give both of one member" in call(capsys, member)
    assert member.requests == []


def test_a_supervisor_has_a_configuration(member: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    service = {"manager": "supervisor", "name": "engine-0-0"}
    assert "supervisor needs supervisor_config" in call(capsys, member, service=service)


def test_a_store_that_does_not_answer_is_named(member: FakeMember, capsys: pytest.CaptureFixture[str]) -> None:
    assert "http://127.0.0.1:9" in call(capsys, member, replica=1)
    assert set(member.requests) <= {"status"}
