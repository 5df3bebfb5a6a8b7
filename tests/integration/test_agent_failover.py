# SPDX-License-Identifier: GPL-3.0-or-later
"""engine_failover against a member that answers as an engine would, a real store client and a real supervisor.

The store is DynamoDB of moto. What is asked of each of them is asserted on, and what is not asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.engine_failover import operator
from ansible_collections.ironbook.trading.plugins.modules import engine_failover, engine_failover_info
from botocore.exceptions import BotoCoreError, ClientError
from fixtures.fake_admin import FakeMember, fake_member
from ironbook import core
from ironbook.store.dynamodb import DynamoDbStore
from ironbook.store.items import Lease, Record, new_writer
from local_processes import environment, free_port, wait_for
from unit.core.test_binding import command_at

pytestmark = pytest.mark.integration

TABLE = "ironbook-configuration"
SHARDS = iter(range(1, 100))
PROGRAM = "import fcntl, os, sys, time; f = os.open(sys.argv[1], 0); fcntl.flock(f, 2); time.sleep(600)"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A store, with its table."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "moto.server", "--port", str(port)], env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client("dynamodb", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="testing",
                          aws_secret_access_key="testing")  # fmt: skip

    def has_table() -> bool:
        try:
            client.create_table(TableName=TABLE, KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
                                AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}],
                                BillingMode="PAY_PER_REQUEST")  # fmt: skip
        except (BotoCoreError, ClientError):  # it does not answer yet
            return False
        return True

    try:
        wait_for(has_table, endpoint)
        yield endpoint
    finally:
        process.terminate()
        process.wait(10)


class Shard:
    """A shard in the store, and one of its members here."""

    def __init__(self, member: FakeMember, store: DynamoDbStore) -> None:
        self.member, self.store = member, store
        self.agent_config = member.config.with_name("agent.json")
        self.agent_config.write_text(json.dumps({
            "shard": member.shard, "replica": member.replica, "run_directory": str(member.run),
            "store": {"kind": "dynamodb", "table": TABLE}}))  # fmt: skip
        self.supervisor: subprocess.Popen[bytes] | None = None

    def name(self, replica: int) -> str:
        return f"engine-{self.member.shard}-{replica}"

    def create(self, epoch: int, primary: int, in_sync: list[int], version: int = 1) -> None:
        """The record, as some primary has written it."""
        record = Record(self.member.shard, epoch, self.name(primary), tuple(map(self.name, in_sync)), version,
                        new_writer("test"))  # fmt: skip
        self.store.create(record)

    def change(self, **fields: Any) -> None:
        """What a primary writes."""
        known = self.record()
        self.store.replace(known, known.next("test", **fields))

    def record(self) -> Record:
        found = self.store.record(self.member.shard)
        assert found is not None
        return found

    def lease(self) -> Lease | None:
        return self.store.read(Lease, Lease.key_of(operator.lease_name(self.member.shard)))

    def role(self, role: str, primary: int | None, **more: Any) -> None:
        self.member.answers["status"] = self.member.status(role, primary, [0, 1, 2], **more)

    @property
    def service(self) -> dict[str, Any]:
        return {
            "manager": "supervisor",
            "name": "engine",
            "supervisorctl": str(Path(sys.executable).parent / "supervisorctl"),
            "supervisor_config": str(self.member.config.with_name("supervisord.conf")),
        }

    def supervise(self, run: bool = True) -> None:
        """A supervisord with a program that holds the journal, as an engine does."""
        directory = self.member.config.parent
        command = f"{sys.executable} -c '{PROGRAM}' {self.member.journal}"
        Path(self.service["supervisor_config"]).write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={directory}/s.log\npidfile={directory}/s.pid\nidentifier=test\n"
            f"[unix_http_server]\nfile={directory}/s.sock\n[supervisorctl]\nserverurl=unix://{directory}/s.sock\n"
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[program:engine]\ncommand={command}\nautostart={str(run).lower()}\nstartsecs=0\n"
        )
        self.supervisor = subprocess.Popen([sys.executable, "-m", "supervisor.supervisord", "-c",
                                            self.service["supervisor_config"]], env=environment(),
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        if run:
            wait_for(self.holds, "the program")
        else:
            wait_for((directory / "s.sock").exists, "supervisord")

    def holds(self) -> bool:
        """Whether a process holds the journal."""
        return operator.members.is_alive(operator.members.read(self.member.config))

    def end(self) -> None:
        if self.supervisor is not None:
            self.supervisor.terminate()
            self.supervisor.wait(30)


@contextmanager
def shard_of(replica: int, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shard]:
    variables = {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing",
                 "AWS_SECRET_ACCESS_KEY": "testing"}  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with fake_member(shard=next(SHARDS), replica=replica) as member:
        shard = Shard(member, DynamoDbStore(TABLE))
        try:
            yield shard
        finally:
            shard.end()


@pytest.fixture
def first(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shard]:
    """Replica 0, which answers and is the primary of a whole shard."""
    with shard_of(0, url, monkeypatch) as shard:
        shard.create(4, 0, [0, 1, 2])
        shard.role("primary", 0, epoch=4)
        shard.member.start()
        yield shard


@pytest.fixture
def second(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shard]:
    """Replica 1, a standby whose engine does not run."""
    with shard_of(1, url, monkeypatch) as shard:
        shard.create(4, 0, [0, 1, 2])
        yield shard


def call(
    capsys: pytest.CaptureFixture[str], shard: Shard, module: ModuleType = engine_failover, **options: Any
) -> dict[str, Any]:
    arguments = {"config": str(shard.member.config), "agent_config": str(shard.agent_config)}
    if module is engine_failover:
        arguments |= {"timeout": 10}
    with patch_module_args(arguments | options), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def hands_over(shard: Shard, to: int) -> None:
    """Have the fake engine do what an engine does: step down, and the other one writes the record."""

    def switch() -> dict[str, Any]:
        shard.change(epoch=5, primary=shard.name(to))
        shard.role("standby", to, epoch=5)
        return {"accepted": True}

    shard.member.answers[f"switch_over {to}"] = switch


def test_a_planned_switchover(first: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    """A preview asks for the status alone and takes no lease; then it is asked once; the second run changes nothing."""
    hands_over(first, 1)
    preview = call(capsys, first, state="primary", replica=1, _ansible_check_mode=True)
    assert preview["changed"] is True
    assert set(first.member.requests) == {"status"}
    assert (first.record().version, first.lease()) == (1, None)
    assert preview["diff"]["before"] == {"role": "primary", "epoch": 4, "primary": 0, "in_sync": [0, 1, 2]}
    assert preview["diff"]["after"] == {"role": "standby", "epoch": 5, "primary": 1, "in_sync": [0, 1, 2]}
    answer = call(capsys, first, state="primary", replica=1)
    assert (answer["changed"], answer["actions"], answer["diff"]) == (True, preview["actions"], preview["diff"])
    assert first.member.requests.count("switch_over 1") == 1
    lease = first.lease()
    assert lease is not None and lease.holder == ""  # given back
    again = call(capsys, first, state="primary", replica=1)
    assert (again["changed"], again["actions"]) == (False, [])
    assert first.member.requests.count("switch_over 1") == 1


def test_what_the_engine_refuses_is_said(first: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    first.member.answers["switch_over 1"] = {"error": "replica 1 is not connected"}
    answer = call(capsys, first, state="primary", replica=1)
    assert answer["failed"] is True and "replica 1 is not connected" in answer["msg"]
    assert first.record().version == 1


def test_a_switchover_that_comes_to_nothing_is_said(first: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    first.member.answers["switch_over 1"] = {"accepted": True}  # and then somebody does not acknowledge
    answer = call(capsys, first, state="primary", replica=1, timeout=1)
    assert "replica 0 is still the primary" in answer["msg"] and "\n" not in answer["msg"]


def test_the_whole_set_is_waited_for(first: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    """It is over when all that were in sync are so again, and not before."""

    def switch() -> dict[str, Any]:
        first.change(epoch=5, primary=first.name(1), in_sync=(first.name(1), first.name(2)))
        first.role("standby", 1, epoch=5)
        return {"accepted": True}

    first.member.answers["switch_over 1"] = switch
    assert "is not followed by all yet" in call(capsys, first, state="primary", replica=1, timeout=1)["msg"]
    first.change(in_sync=tuple(map(first.name, range(3))))
    assert call(capsys, first, state="primary", replica=1)["changed"] is False


def test_two_operators_at_once(
    first: Shard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one is told who is at it; one that was killed is in nobody's way once its term is over."""
    monkeypatch.setattr(operator, "LEASE_SECONDS", 2.0)
    hands_over(first, 1)
    other = operator.Leases(DynamoDbStore(TABLE), "bastion:77")
    name = operator.lease_name(first.member.shard)
    held = other.acquire(name, 2.0, "state fenced of replica 2")
    assert isinstance(held, operator.Held)
    ended = threading.Event()

    def renew() -> None:
        mine = held
        while not ended.wait(0.3):
            renewed = other.renew(mine)
            assert isinstance(renewed, operator.Held)
            mine = renewed

    thread = threading.Thread(target=renew)
    thread.start()
    answer = call(capsys, first, state="primary", replica=1)
    ended.set()
    thread.join()
    assert (
        f"another operator is at work on shard {first.member.shard}: bastion:77 (state fenced of replica 2)"
        in (answer["msg"])
    )
    assert "switch_over 1" not in first.member.requests
    begin = time.monotonic()
    assert call(capsys, first, state="primary", replica=1)["changed"] is True
    assert time.monotonic() - begin > 1.0  # it waited for the term


def test_a_forced_failover(second: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused without the word; then a new epoch with one member, in which the engine leads; once."""
    second.role("standby", None, promised=6, commit=77)
    second.member.start()
    forced = {"state": "primary", "force": True}
    refused = call(capsys, second, **forced)
    assert refused["failed"] is True and "say allow_data_loss as well" in refused["msg"]
    preview = call(capsys, second, **forced, allow_data_loss=True, _ansible_check_mode=True)
    assert preview["diff"]["after"] == {"role": "primary", "epoch": 7, "primary": 1, "in_sync": [1]}
    assert "after sequence 77" in preview["may_be_lost"]
    assert second.record().version == 1

    def led() -> dict[str, Any]:
        is_led = second.record().epoch == 7
        return second.member.status(
            "primary" if is_led else "standby", 1 if is_led else None, [1], promised=6, commit=77
        )

    second.member.answers["status"] = led
    answer = call(capsys, second, **forced, allow_data_loss=True)
    assert answer["changed"] is True
    record = second.record()
    assert (record.epoch, record.primary, record.in_sync, record.version) == (7, second.name(1), (second.name(1),), 2)
    assert call(capsys, second, **forced, allow_data_loss=True)["changed"] is False
    assert second.record().version == 2


def test_who_leads_and_waits_for_others_is_a_warning(
    second: Shard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not from the result: where a test before this one has loaded Ansible's controller, its display takes warnings.
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    second.role("opening", None)
    second.member.start()
    answer = call(capsys, second, state="primary", force=True, allow_data_loss=True, timeout=1)
    assert answer["changed"] is True
    assert len(warnings) == 1 and "acknowledges nothing before 2 members are in sync" in warnings[0]


def test_a_fence(second: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    """A process that answers nothing is ended; then the primary takes it out; the second run changes nothing."""
    second.supervise()
    preview = call(capsys, second, state="fenced", service=second.service, _ansible_check_mode=True)
    assert (preview["changed"], second.holds(), second.lease()) == (True, True, None)
    assert preview["diff"]["after"]["in_sync"] == [0, 2]
    late = call(capsys, second, state="fenced", service=second.service, timeout=1)
    assert "replica 1 is stopped, and still in the record" in late["msg"]
    assert not second.holds()
    second.change(in_sync=(second.name(0), second.name(2)))  # as the primary does
    answer = call(capsys, second, state="fenced", service=second.service)
    assert (answer["changed"], answer["member"]["alive"], answer["member"]["in_sync"]) == (False, False, [0, 2])


def test_a_fence_that_does_not_hold_is_not_called_one(
    second: Shard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the journal, which no service manager knows."""
    monkeypatch.setattr(operator, "GONE_SECONDS", 0.5)
    second.supervise(run=False)
    stray = subprocess.Popen([sys.executable, "-c", PROGRAM, str(second.member.journal)])
    try:
        wait_for(second.holds, "the stray")
        answer = call(capsys, second, state="fenced", service=second.service)
    finally:
        stray.kill()
        stray.wait()
    assert answer["failed"] is True and "it was started by somebody else" in answer["msg"]


def test_a_fence_needs_to_know_the_service(second: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    second.supervise()
    assert "service has to be given" in call(capsys, second, state="fenced")["msg"]
    nobody = second.service | {"name": "nobody"}
    assert "nobody" in call(capsys, second, state="fenced", service=nobody)["msg"]
    assert second.holds()


def test_a_damaged_journal_is_moved_and_never_deleted(second: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    with core.Journal(second.member.journal, shard=second.member.shard) as journal:
        journal.append([command_at(seq) for seq in range(1, 20)])
    [segment] = second.member.journal.glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[1000] ^= 1
    segment.write_bytes(data)
    second.supervise(run=False)
    second.change(in_sync=(second.name(0), second.name(2)))
    preview = call(capsys, second, state="rejoined", service=second.service, _ansible_check_mode=True)
    assert [one["action"] for one in preview["actions"]] == ["set_aside", "start"]
    assert not list(second.member.config.parent.glob("journal.aside-*"))
    threading.Thread(target=comes_up, args=(second,)).start()
    answer = call(capsys, second, state="rejoined", service=second.service)
    assert (answer["actions"], answer["member"]["in_sync"]) == (preview["actions"], [0, 1, 2])
    [aside] = second.member.config.parent.glob("journal.aside-*")
    assert (aside / segment.name).read_bytes() == data
    assert list(second.member.journal.iterdir()) == []
    assert second.member.journal.stat().st_mode == aside.stat().st_mode
    assert second.holds()
    assert call(capsys, second, state="rejoined", service=second.service)["changed"] is False


def comes_up(shard: Shard) -> None:
    """Once the engine's process is there: it answers, and the primary takes it in."""
    wait_for(shard.holds, "the program")
    shard.role("standby", 0)
    shard.member.start()
    shard.change(in_sync=tuple(map(shard.name, range(3))))


def test_a_sound_journal_stays_where_it_is(second: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    with core.Journal(second.member.journal, shard=second.member.shard) as journal:
        journal.append([command_at(1)])
    second.supervise(run=False)
    threading.Thread(target=comes_up, args=(second,)).start()
    answer = call(capsys, second, state="rejoined", service=second.service)
    assert [one["action"] for one in answer["actions"]] == ["start"]
    assert not list(second.member.config.parent.glob("journal.aside-*"))


def test_another_shards_journal_is_set_aside(second: Shard, capsys: pytest.CaptureFixture[str]) -> None:
    with core.Journal(second.member.journal, shard=0) as journal:
        journal.append([command_at(1)])
    info = call(capsys, second, engine_failover_info, verify=True)
    assert "shard" in info["member"]["journal_fault"]
    preview = call(capsys, second, state="rejoined", service=second.service, _ansible_check_mode=True)
    assert [one["action"] for one in preview["actions"]] == ["set_aside", "start"]


def test_the_twin_goes_on_without_engine_and_without_store(
    second: Shard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = call(capsys, second, engine_failover_info)
    assert (answer["member"]["role"], answer["member"]["primary"], answer["store_error"]) == ("down", 0, "")
    second.role("standby", 0)
    second.member.start()
    second.agent_config.write_text(second.agent_config.read_text().replace(TABLE, "is-not-there"))
    answer = call(capsys, second, engine_failover_info)
    assert (answer["member"]["role"], answer["member"]["epoch"]) == ("standby", None)
    assert "is-not-there" in answer["store_error"]
    refused = call(capsys, second, state="primary", replica=1)
    assert refused["failed"] is True and "is-not-there" in refused["msg"]
