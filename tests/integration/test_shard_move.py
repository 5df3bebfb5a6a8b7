# SPDX-License-Identifier: GPL-3.0-or-later
"""A symbol moves from one real shard to another and back, with a fault in the middle, and never trades twice.

There by the module, step by step; back by the playbook. The shards are six engines and six agents on the loopback,
their records and the move in a real cluster of etcd. Their engine.json are the test's own, so the plays that deploy one
(tag configure) are left out. The tests build on one another, in their order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move.plan import SOURCE_STEPS, STEPS
from ansible_collections.ironbook.trading.plugins.modules import engine_failover, symbol_move, symbol_move_info
from integration.engine_process import Client, enter
from integration.etcd_cluster import Cluster
from integration.shard import Shard, replicated_shard
from integration.stores import Etcd
from ironbook import core
from ironbook.core.records import CommandType
from ironbook.store.client import Store
from ironbook.store.move import Move
from local_processes import ROOT, LocalSite, environment, local_site, wait_for

pytestmark = pytest.mark.integration

PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))
SYMBOL = "TSLA"
DEFINITION = "tick=5 lot=10 static_band=4000 dynamic_band=3000 breach=halt price_scale=4 quantity_scale=0"


class Site:
    """Two shards, and an inventory that has the symbol in the first of them again."""

    def __init__(self, local: LocalSite, source: Shard, target: Shard, store: Store) -> None:
        self.directory, self.source, self.target, self.store = local.state.parent, source, target, store
        # Preflight asks the emulator whose account it is.
        self.variables = dict(line.split("=", 1) for line in local.local("env").stdout.splitlines())
        variables: dict[str, Any] = {}
        for file in sorted((ROOT / "inventories" / "local" / "group_vars" / "all").glob("*.yml")):
            variables |= yaml.safe_load(file.read_text()) or {}
        hosts = {
            f"engine-{shard.number}-{replica}": {
                "engine_service_shard": shard.number,
                "engine_service_replica": replica,
                "engine_service_role": "standby" if replica else "primary",
                "engine_service_directory": str(engine.directory),
                "engine_service_run_directory": str(engine.run),
                "engine_operation_config": str(engine.config_file),
                "engine_operation_agent_config": str(agent.config),
                "engine_operation_python": sys.executable,
                "engine_operation_path": environment()["PYTHONPATH"],
            }
            for shard in (source, target)
            for replica, (engine, agent) in enumerate(zip(shard.engines, shard.agents, strict=True))
        }
        variables |= {
            "session_replay": False,
            "engine_service_replicated": True,
            "ironbook_shard_map_version": 3,
            "ironbook_shards": [
                {"shard": source.number, "symbols": ["MSFT", SYMBOL]},
                {"shard": target.number, "symbols": ["NVDA"]},
            ],
            "ironbook_engine_hosts": [
                {"shard": shard.number, "replica": replica, "zone": zone, "role": "standby" if replica else "primary"}
                for shard in (source, target)
                for replica, zone in enumerate(variables["ironbook_zones"])
            ],
            "symbol_move_symbol": SYMBOL,
            "symbol_move_source": target.number,
            "symbol_move_target": source.number,
        }
        # The map that they were deployed with: only what moves may have changed its shard.
        deployed = {"version": 2, "sha256": "0" * 64, "symbols": {"MSFT": source.number, SYMBOL: target.number}}
        for shard in (source, target):
            for engine in shard.engines:
                (engine.directory / "shard_map.json").write_text(json.dumps(deployed))
        done = {"hosts_discovered": {"hosts": {"localhost": {"ansible_connection": "local"}}}}
        inventory = {"all": {"vars": variables, "children": {"engine_hosts": {"hosts": hosts}, **done}}}
        (self.directory / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def play(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the playbook as a person does."""
        collections = str(ROOT / ".venv" / "collections")
        settings = {"ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_NOCOLOR": "1"}
        warm = {"ANSIBLE_STRATEGY": "ironbook.trading.warm_linear"}  # as ansible.cfg says: six hosts, some 90 tasks
        variables = environment(**self.variables, **settings, **warm)
        command = [PLAYBOOK, "-i", "hosts.yml", "ironbook.trading.move_symbol", "--skip-tags", "configure"]
        return subprocess.run([*command, *options], env=variables, capture_output=True, text=True, check=False,
                              cwd=self.directory, timeout=400)  # fmt: skip

    def done(self, *options: str) -> int:
        """Run one that comes to its end; how much it changed."""
        ended = self.play(*options)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return sum(map(int, re.findall(r"^\S+ .* changed=(\d+)", ended.stdout, re.MULTILINE)))

    def refused(self, *options: str) -> str:
        """Run one that is refused; what it says."""
        ended = self.play(*options)
        assert ended.returncode != 0, ended.stdout
        return ended.stdout + ended.stderr

    def report(self) -> dict[str, Any]:
        """What the last run has written: for programs, and that it is there for people, too."""
        path = Path(self.variables["IRONBOOK_STATE"]) / "reports" / f"move_symbol-{SYMBOL}.json"
        assert "<h2>What it was about</h2>" in path.with_suffix(".html").read_text()
        made: dict[str, Any] = json.loads(path.read_text())
        return made

    def move(self) -> Move | None:
        return self.store.read(Move, Move.key_of(SYMBOL))

    def instrument(self, shard: Shard) -> dict[str, Any] | None:
        """How the symbol is defined on a shard, but for its number there; None where it is not traded."""
        answer = shard.engines[shard.primary()].admin(f"instrument {SYMBOL}")
        if "error" in answer:
            assert answer["error"] == f"{SYMBOL} is not traded here"
            return None
        del answer["instrument"]
        return answer

    def is_at(self, state: str) -> bool:
        """How far the move has come."""
        move = self.move()
        return move is not None and move.state == state

    def number(self, shard: Shard) -> int:
        """The number that the symbol has, or had last, on a shard."""
        symbols = shard.engines[shard.primary()].admin("instruments 0")["symbols"]
        return len(symbols) - 1 - [*reversed(symbols)].index(SYMBOL)

    def states(self) -> list[tuple[int, str]]:
        """Sequence number and hash of both."""
        found = [shard.engines[shard.in_sync()].admin("totals") for shard in (self.source, self.target)]
        return [(one["seq"], one["state_hash"]) for one in found]


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    numbers, store = (backend.shard(), backend.shard()), backend.open()
    with (
        local_site() as local,
        replicated_shard(settings, store, numbers[0], instruments=[{"symbol": "MSFT", "tick": 1}]) as source,
        replicated_shard(settings, store, numbers[1], instruments=[{"symbol": "NVDA", "tick": 1}]) as target,
    ):
        leader = source.engines[source.in_sync()]
        target.in_sync()
        # As it is once the source's members know the new map: traded, and in no configuration any more.
        assert leader.admin(f"instrument_add {SYMBOL} {DEFINITION} phase=opening_auction")["event_count"] == 1
        yield Site(local, source, target, store)


def call(
    capsys: pytest.CaptureFixture[str], at: tuple[Shard, int], module: ModuleType, **options: Any
) -> dict[str, Any]:
    """Run a module on a member's host."""
    shard, replica = at
    arguments = {"config": str(shard.engines[replica].config_file), "agent_config": str(shard.agents[replica].config)}
    capsys.readouterr()
    with patch_module_args(arguments | options), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


class There:
    """The move from the first shard to the second, by map version 2."""

    def __init__(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        self.site, self._capsys = site, capsys
        self.asked = {"symbol": SYMBOL, "source": site.source.number, "target": site.target.number, "map_version": 2}

    def shard(self, step: str) -> Shard:
        return self.site.source if step in SOURCE_STEPS else self.site.target

    def step(self, step: str, replica: int | None = None, **more: Any) -> dict[str, Any]:
        """Take a step, on the primary's host if not on another one; the answer."""
        shard = self.shard(step)
        at = shard, shard.in_sync() if replica is None else replica
        return call(self._capsys, at, symbol_move, **self.asked | {"step": step} | more)

    def look(self, shard: Shard, replica: int, **more: Any) -> dict[str, Any]:
        return call(self._capsys, (shard, replica), symbol_move_info, **self.asked | more)

    def hand_over(self, shard: Shard) -> None:
        old = shard.in_sync()
        answer = call(self._capsys, (shard, old), engine_failover, state="primary", replica=(old + 1) % 3)
        assert answer.get("failed") is None, answer
        assert shard.in_sync() == (old + 1) % 3


@pytest.fixture
def there(site: Site, capsys: pytest.CaptureFixture[str]) -> There:
    return There(site, capsys)


def resting(client: Client, first: int, count: int) -> None:
    """Orders for the symbol that rest, good until cancelled."""
    for ref in range(first, first + count):
        client.send(enter(ref, "S", 10, 10050 + 5 * ref, symbol=SYMBOL))
    for _ in range(count):
        assert client.report("A")


def test_a_preview_changes_nothing(site: Site, there: There) -> None:
    """An auction has moved the reference price, orders rest, and all of that is still so; a standby does nothing."""
    maker, taker = site.source.login("MAKER1"), site.source.login("TAKER1")
    maker.send(enter(1, "S", 10, 10000, symbol=SYMBOL))
    taker.send(enter(1, "B", 10, 10000, symbol=SYMBOL))
    assert maker.report("A") and taker.report("A")
    site.source.engines[site.source.primary()].admin(f"phase {SYMBOL} continuous")
    assert maker.report("E")
    resting(maker, 2, 20)
    found = site.instrument(site.source)
    assert found is not None and (found["reference_price"], found["phase"]) == (10000, "continuous")
    before = site.states()
    told = [there.step(step, _ansible_check_mode=True) for step in STEPS]
    assert [one["actions"] for one in told] == [["begin", "close", "cancel"], ["remove"], ["add"], ["open"]]
    standby = there.step("drain", (site.source.primary() + 1) % 3)
    assert (standby["actions"], standby["here"]["role"]) == ([], "standby")
    assert (site.states(), site.move(), site.instrument(site.target)) == (before, None, None)


def test_what_cannot_work_is_refused(site: Site, there: There) -> None:
    """What a start would add; steps out of turn; a symbol that is not there; nothing is begun."""
    before = site.states()
    for step in ("remove", "add", "open"):
        assert "the steps before this first" in there.step(step)["msg"]
    assert "is not traded on shard" in there.step("drain", symbol="NONE")["msg"]
    assert "has no version" in there.step("drain", map_version=0)["msg"]
    site.target.engines[site.target.in_sync()].admin("instrument_add BOTH tick=1")
    site.source.engines[site.source.in_sync()].admin("instrument_add BOTH tick=1")
    said = there.look(site.target, site.target.primary(), symbol="BOTH")["problems"]
    assert said == [f"BOTH is traded on shard {site.target.number} already: end that first (instrument_remove)"]
    for shard, where in ((site.source, "on the source first"), (site.target, "before the move there")):
        replica = (shard.primary() + 1) % 3
        file = shard.engines[replica].config_file
        right, times = file.read_text(), file.stat()
        named = json.loads(right)
        named["instruments"].append({"symbol": SYMBOL, "tick": 5})
        file.write_text(json.dumps(named))
        [problem] = there.look(shard, replica)["problems"]
        assert f"engine.json of shard {shard.number} replica {replica} names {SYMBOL}" in problem and where in problem
        file.write_text(right)
        assert there.look(shard, replica)["problems"]  # newer than the process: what that has read, nobody knows
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert there.look(shard, replica)["problems"] == []
    for shard, (seq, _) in zip((site.source, site.target), before, strict=True):
        assert shard.engines[shard.primary()].admin("totals")["seq"] == seq + 1  # BOTH
    assert site.move() is None


def test_there_step_by_step(site: Site, there: There) -> None:
    """Each step repeated is nothing; each needs its epoch; a reopened symbol is drained again; two places: refused."""
    before = site.instrument(site.source)
    maker = site.source.login("MAKER1")
    assert there.step("drain")["actions"] == ["begin", "close", "cancel"]
    assert [one[:1] for one in maker.wait_for(42)][22:] == [b"C"] * 20
    assert there.step("drain")["actions"] == []
    assert "hand over first" in there.step("remove")["msg"]
    elsewhere = there.step("drain", target=98)
    assert "is on its way" in elsewhere["msg"] and "finish that move first" in elsewhere["msg"]
    site.source.engines[site.source.primary()].admin(f"phase {SYMBOL} continuous")
    resting(maker, maker.next_user_ref(), 1)
    there.hand_over(site.source)
    assert "was opened again" in there.step("remove")["msg"]
    assert there.step("drain")["actions"] == ["close", "cancel"]
    drained = site.move()
    assert drained is not None and drained.phase == "continuous"
    there.hand_over(site.source)
    assert "the steps before this first" in there.step("add")["msg"]
    assert there.step("remove")["actions"] == ["remove"]
    assert (site.instrument(site.source), site.instrument(site.target)) == (None, None)
    assert there.step("remove")["actions"] == []
    # A run that was cut off between the engine's answer and the store: it is there, and that is all there is to it.
    site.target.engines[site.target.primary()].admin(f"instrument_add {SYMBOL} {drained.definition} phase=closed")
    assert there.step("add")["actions"] == ["add"]
    assert "hand over first" in there.step("open")["msg"]
    there.hand_over(site.target)
    assert there.step("open")["actions"] == ["open"]
    assert (site.instrument(site.source), site.instrument(site.target)) == (None, before)
    seqs = site.states()
    assert [there.step(step)["actions"] for step in STEPS] == [[]] * 4
    assert site.states() == seqs


def epochs(shard: Shard, wanted: set[int], number: int) -> list[tuple[int, int]]:
    """Epoch and sequence number of each command of these types for an instrument, by a member's journal."""
    epoch, found = 0, []
    for command in core.journal_dump(shard.engines[0].journal):
        if command.type == CommandType.EPOCH:
            epoch = command.value
        elif command.type in wanted and command.instrument == number:
            found.append((epoch, command.seq))
    return found


def test_the_epochs_say_who_had_it_when(site: Site) -> None:
    """By the journals: every order on the source before, every one on the target behind; a later epoch each."""
    move = site.move()
    assert move is not None
    maker, taker = site.target.login("MAKER1"), site.target.login("TAKER1")
    resting(maker, maker.next_user_ref(), 1)
    taker.send(enter(taker.next_user_ref(), "B", 10, 12000, symbol=SYMBOL))
    assert taker.report("A") and taker.report("E")
    refused = site.source.login("MAKER1", sequence=0)
    refused.send(enter(refused.next_user_ref(), "S", 10, 10000, symbol=SYMBOL))
    assert refused.report("J")[13:15] == b"\x00\x17"
    for shard in (site.source, site.target):
        shard.in_sync()
        wait_for(shard.equal_states, "equal states")
    source = epochs(site.source, {CommandType.ENTER}, site.number(site.source))
    assert source and max(source) <= (move.source_epoch, move.source_seq)
    [removed] = epochs(site.source, {CommandType.INSTRUMENT_REMOVE}, site.number(site.source))
    assert removed[0] > move.source_epoch
    target = epochs(site.target, {CommandType.ENTER}, site.number(site.target))
    assert target and min(target)[0] > move.target_epoch and min(target)[1] > move.target_seq


@pytest.mark.timeout(900)  # twice the playbook, on a machine that may be busy with other lanes
def test_back_by_the_playbook(site: Site) -> None:
    """Those who would take it die between removal and addition: nobody trades it, and the next run goes on."""
    before = site.instrument(site.target)
    maker = site.target.login("MAKER1")
    resting(maker, maker.next_user_ref(), 5)
    leads = site.source.primary()
    killed = [site.source.engines[leads], site.source.engines[(leads + 1) % 3]]
    ended: list[str] = []
    run = threading.Thread(target=lambda: ended.append(site.refused("-e", "symbol_move_timeout=5")))
    run.start()
    wait_for(lambda: not run.is_alive() or site.is_at("removed"), "the removal", 240)
    for engine in killed:
        engine.kill()
    run.join()
    assert ended and "run this again" in ended[0], ended
    told = site.report()
    assert (told["outcome"], told["about"]["state"]) == ("failed", "removed")
    assert site.instrument(site.target) is None
    for engine in killed:
        engine.start()
    site.source.in_sync()
    assert site.instrument(site.source) is None
    assert site.done() >= 3
    move = site.move()
    assert move is not None and (move.state, move.target) == ("moved", site.source.number)
    assert (site.instrument(site.target), site.instrument(site.source)) == (None, before)
    told = site.report()
    assert (told["outcome"], told["about"]["source_epoch"]) == ("done", move.source_epoch)
    snapshots = [path for engine in site.target.engines for path in core.snapshots(engine.journal)]
    taken = [path for path in snapshots if int(path.stem) >= move.source_seq]
    assert taken and all(core.snapshot_verify(path, site.target.number).bytes for path in taken)
