# SPDX-License-Identifier: GPL-3.0-or-later
"""engine_failover and engine_snapshot on a real shard: three engines, three agents, a real cluster of etcd.

What stands in for the service manager is a script that ends and starts an engine by its pid.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.engine_failover import operator
from ansible_collections.ironbook.trading.plugins.modules import engine_failover, engine_failover_info, engine_snapshot
from integration.engine_process import enter, environment
from integration.etcd_cluster import Cluster
from integration.shard import Shard, replicated_shard
from integration.stores import Etcd
from ironbook import core
from local_processes import wait_for

MANAGER = """#!/usr/bin/env python3
import json, os, signal, subprocess, sys, time
_, _, file, verb, name = sys.argv
given = json.load(open(file))
def pid():
    try:
        number = int(open(given["pid"]).read())
        return number if open(f"/proc/{number}/stat").read().rpartition(")")[2].split()[0] not in "ZX" else 0
    except (OSError, ValueError):
        return 0
if verb == "status":
    print(name, "RUNNING" if pid() else "STOPPED")
    sys.exit(0 if pid() else 3)
if verb == "stop":
    end = time.monotonic() + 2
    os.kill(pid(), signal.SIGTERM)
    while pid():
        if time.monotonic() > end:
            os.kill(pid(), signal.SIGKILL)
        time.sleep(0.02)
if verb == "start":
    log = open(given["log"], "ab")
    made = subprocess.Popen(given["command"], env=given["environment"], stdin=subprocess.DEVNULL, stdout=log,
                            stderr=log, start_new_session=True)
    open(given["pid"], "w").write(str(made.pid))
"""


class Managed:
    """A shard whose engines have a service manager."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.manager = shard.directory / "manager"
        self.manager.write_text(MANAGER)
        self.manager.chmod(0o700)
        for replica, engine in enumerate(shard.engines):
            command = [sys.executable, "-m", "ironbook.cli", "engine", "run", "--config", str(engine.config_file)]
            assert engine.process is not None
            self.pid_file(replica).write_text(str(engine.process.pid))
            self.service_file(replica).write_text(json.dumps({
                "command": command, "environment": environment(), "pid": str(self.pid_file(replica)),
                "log": str(engine.log)}))  # fmt: skip

    def pid_file(self, replica: int) -> Path:
        return self.shard.engines[replica].directory / "pid"

    def service_file(self, replica: int) -> Path:
        return self.shard.engines[replica].directory / "service.json"

    def kill(self, replica: int, number: int = signal.SIGKILL) -> None:
        """End its process as a crash does."""
        with suppress(ProcessLookupError):
            os.kill(int(self.pid_file(replica).read_text()), number)
        self.shard.engines[replica].kill()

    def end(self) -> None:
        for replica in range(len(self.shard.engines)):
            self.kill(replica)

    def call(
        self, capsys: pytest.CaptureFixture[str], at: int, module: ModuleType = engine_failover, **options: Any
    ) -> dict[str, Any]:
        """Run a module on a member's host."""
        arguments: dict[str, Any] = {"config": str(self.shard.engines[at].config_file)}
        if module is not engine_snapshot:
            arguments["agent_config"] = str(self.shard.agents[at].config)
        if module is engine_failover:
            arguments["service"] = {"manager": "supervisor", "name": "engine", "supervisorctl": str(self.manager),
                                    "supervisor_config": str(self.service_file(at))}  # fmt: skip
        capsys.readouterr()
        with patch_module_args(arguments | options), pytest.raises(SystemExit):
            module.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer


@pytest.fixture
def managed(cluster: Cluster) -> Iterator[Managed]:
    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    with replicated_shard(settings, backend.open(), backend.shard()) as shard:
        made = Managed(shard)
        try:
            shard.in_sync()
            yield made
        finally:
            made.end()


def trade(shard: Shard, first: int, count: int) -> list[bytes]:
    """Orders that rest, and what was acknowledged of them: every report of the session."""
    maker = shard.login("MAKER1")
    for ref in range(first, first + count):
        maker.send(enter(ref, "S", 100, 10000 + ref))
    reports: list[bytes] = maker.wait_for(first + count - 1)
    maker.close()
    return reports


@pytest.mark.feature("DRB-14", by="P", part="a shard of the engine: switchover, and a preview that asks for nothing")
def test_a_planned_switchover_loses_nothing(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    shard = managed.shard
    old = shard.primary()
    new = (old + 1) % 3
    reports = trade(shard, 1, 50)
    preview = managed.call(capsys, old, state="primary", replica=new, _ansible_check_mode=True)
    assert (preview["changed"], shard.primary()) == (True, old)
    answer = managed.call(capsys, old, state="primary", replica=new)
    assert answer.get("failed") is None, answer
    assert (answer["changed"], shard.primary()) == (True, new)
    assert answer["diff"]["after"]["in_sync"] == [0, 1, 2]
    assert answer["diff"]["after"]["epoch"] == answer["diff"]["before"]["epoch"] + 1
    assert answer["timeline"][0]["what"].startswith("switch_over: ")
    assert managed.call(capsys, new, state="primary", replica=new)["changed"] is False
    assert managed.call(capsys, old, state="primary", replica=new)["changed"] is False
    assert trade(shard, 51, 10)[:50] == reports


@pytest.mark.feature("DRB-14", by="P", part="a shard of the engine: fencing")
def test_fence_and_rejoin(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    """A standby that is stopped dead (SIGSTOP) is ended, and leaves the set; trading goes on; it comes back."""
    shard = managed.shard
    primary = shard.primary()
    out = (primary + 1) % 3
    trade(shard, 1, 20)
    process = shard.engines[out].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    answer = managed.call(capsys, out, state="fenced")
    assert answer.get("failed") is None, answer
    assert answer["changed"] is True
    assert (answer["member"]["role"], answer["member"]["alive"]) == ("down", False)
    assert out not in answer["member"]["in_sync"]
    trade(shard, 21, 20)
    assert managed.call(capsys, out, state="fenced")["changed"] is False
    third = 3 - primary - out
    assert "are needed" in managed.call(capsys, third, state="fenced")["msg"]
    back = managed.call(capsys, out, state="rejoined")
    assert back.get("failed") is None, back
    assert (back["changed"], back["member"]["in_sync"]) == (True, [0, 1, 2])
    assert managed.call(capsys, out, state="rejoined")["changed"] is False


def test_a_fenced_primary_is_replaced(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    shard = managed.shard
    old = shard.primary()
    reports = trade(shard, 1, 20)
    answer = managed.call(capsys, old, state="fenced")
    assert answer.get("failed") is None, answer
    assert old not in answer["member"]["in_sync"]
    assert answer["member"]["primary"] == shard.primary(other_than=[old])
    assert trade(shard, 21, 5)[:20] == reports


def test_a_damaged_journal_is_set_aside_and_comes_anew(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    shard = managed.shard
    primary = shard.primary()
    out = (primary + 1) % 3
    trade(shard, 1, 100)
    assert managed.call(capsys, out, state="fenced").get("failed") is None
    engine = shard.engines[out]
    segment = sorted(engine.journal.glob("*.journal"))[0]
    data = bytearray(segment.read_bytes())
    data[2000] ^= 4
    segment.write_bytes(data)
    info = managed.call(capsys, out, engine_failover_info, verify=True)
    assert segment.name in info["member"]["journal_fault"]
    answer = managed.call(capsys, out, state="rejoined")
    assert answer.get("failed") is None, answer
    assert [one["action"] for one in answer["actions"]] == ["set_aside", "start"]
    [aside] = engine.directory.glob("journal.aside-*")
    assert (aside / segment.name).read_bytes()[: len(data)] == data
    wait_for(lambda: len({(shard.status(n) or {}).get("state_hash") for n in range(3)}) == 1, "the same state")


def test_a_forced_failover_and_what_it_gives_up(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    """Two of three are gone, with what the third never had: it leads by force, alone, and another one rejoins it."""
    shard = managed.shard
    primary = shard.primary()
    left, other = (primary + 1) % 3, (primary + 2) % 3
    trade(shard, 1, 30)
    assert managed.call(capsys, left, state="fenced").get("failed") is None
    trade(shard, 31, 30)  # which replica `left` never hears of
    managed.kill(primary)
    managed.kill(other)
    assert "say allow_data_loss as well" in managed.call(capsys, left, state="primary", force=True)["msg"]
    answer = managed.call(capsys, left, state="primary", force=True, allow_data_loss=True, timeout=8)
    assert answer.get("failed") is None, answer
    assert answer["changed"] is True
    assert (answer["member"]["role"], answer["member"]["in_sync"]) == ("opening", [left])  # min_in_sync is 2
    back = managed.call(capsys, other, state="rejoined")
    assert back.get("failed") is None, back
    assert shard.primary() == left
    again = managed.call(capsys, left, state="primary", force=True, allow_data_loss=True)
    assert again["changed"] is False
    maker = shard.login("MAKER1")
    assert len(maker.wait_for(30)) == 30
    assert maker.next_user_ref() == 31  # what was given up is given up, on all of them


def test_two_operators_on_a_shard(
    managed: Managed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One waits for a member that does not come; the other one hears who it is, and moves nothing."""
    monkeypatch.setattr(operator, "_RENEW_SECONDS", 0.5)
    shard = managed.shard
    old = shard.primary()
    out, new = (old + 1) % 3, (old + 2) % 3
    assert managed.call(capsys, out, state="fenced").get("failed") is None
    shard.engines[out].config_file.with_name("service.json").write_text(json.dumps({
        **json.loads(managed.service_file(out).read_text()), "command": ["sleep", "30"]}))  # fmt: skip
    mine = operator.members.read(shard.engines[out].config_file)
    service = operator.Service("supervisor", "engine", str(managed.manager), str(managed.service_file(out)))
    first = operator.Operator(mine, shard.agents[out].config, service, 6.0)

    def rejoin() -> None:
        with suppress(ValueError):
            first.run(operator.Wanted("rejoined", out), False)

    thread = threading.Thread(target=rejoin)
    thread.start()
    time.sleep(2.0)
    answer = managed.call(capsys, old, state="primary", replica=new)
    thread.join()
    assert f"another operator is at work on shard {shard.number}" in answer["msg"]
    assert f"state rejoined of replica {out}" in answer["msg"]
    assert shard.primary() == old


def test_a_standbys_snapshot(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    """Taken while it follows; the engine starts with it and comes to the same state; the primary takes none."""
    shard = managed.shard
    primary = shard.primary()
    standby = (primary + 1) % 3
    trade(shard, 1, 200)
    left = managed.call(capsys, primary, engine_snapshot)
    assert (left["changed"], core.snapshots(shard.engines[primary].journal)) == (False, [])
    wait_for(lambda: (shard.status(standby) or {}).get("seq", 0) > 200, "the standby to have all")
    answer = managed.call(capsys, standby, engine_snapshot)
    assert answer.get("failed") is None, answer
    assert answer["actions"][0]["action"] == "take"
    assert managed.call(capsys, standby, state="fenced").get("failed") is None
    back = managed.call(capsys, standby, state="rejoined")
    assert back.get("failed") is None, back
    wait_for(lambda: len({(shard.status(n) or {}).get("state_hash") for n in range(3)}) == 1, "the same state")
