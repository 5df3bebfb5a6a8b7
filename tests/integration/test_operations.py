# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that a person runs on a shard, each for real: three engines and their agents, deployed on a local site.

And each of them cut off in its middle by a kill: the same command comes to its end, and nothing acknowledged is lost.
The configuration store is the site's DynamoDB. One operation in `make test`, and one cut; all of them, which build on
one another: `make operations-long`, or `OPERATIONS=all pytest tests/integration/test_operations.py`; or some, by the
names of their functions, in the order in which they are named.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from integration.engine_process import Client, enter
from ironbook import core
from ironbook.admin import AdminError, request
from ironbook.drills.canary_log import writer_of
from ironbook.store.dynamodb import DynamoDbStore
from ironbook.store.items import Record
from local_processes import ROOT, LocalSite, environment, kill_family, local_site, wait_for

pytestmark = pytest.mark.integration

PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))
TABLE = "ironbook-local-configuration"
SESSIONS = [{"username": "MAKER1", "firm": "MAKR"}, {"username": "TAKER1", "firm": "TAKR"}]


class Site:
    """A local site with a shard, deployed as any other."""

    def __init__(self, site: LocalSite) -> None:
        self.site = site
        self.orders = 0  # of MAKER1, so far
        self.variables = dict(line.split("=", 1) for line in site.local("env").stdout.splitlines())
        site.state.joinpath("reports").mkdir(mode=0o700, exist_ok=True)
        self.installed().mkdir(parents=True)
        self.write_inventory()

    def installed(self) -> Path:
        """Where the role engine_build would install what this test itself runs on: so nothing has to be compiled."""
        parts = ("engine_native/include", "engine_native/src", "engine_native/python", "services")
        files = sorted(path for part in parts for kind in ("*.py", "*.c", "*.h") for path in (ROOT / part).rglob(kind))
        said = [str(path).removeprefix(str(ROOT)) for path in files]
        said += [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        said += [(ROOT / name).read_text().rstrip() for name in ("setup.py", "pyproject.toml")]
        return self.site.state / "install" / hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

    def directory(self, number: int) -> Path:
        return self.site.state / "hosts" / f"engine-0-{number}"

    def run(self, number: int) -> Path:
        return self.site.state / "run" / f"engine-0-{number}"

    def write_inventory(self) -> None:
        """The local inventory's variables, and the hosts that `discover` would find: it has had its turn."""
        variables: dict[str, Any] = {}
        for file in sorted((ROOT / "inventories" / "local" / "group_vars" / "all").glob("*.yml")):
            variables |= yaml.safe_load(file.read_text()) or {}
        variables |= {"session_replay": False}
        variables["engine_service_sessions"] = [*SESSIONS, {"username": "CANARY", "firm": "CNRY"}]
        variables["engine_service_replication"] = {"silence_ms": 1500, "lag_ms": 3000}
        hosts = {
            f"engine-0-{number}": {
                "engine_service_shard": 0,
                "engine_service_replica": number,
                "engine_service_role": "standby" if number else "primary",
            }
            for number in range(3)
        }
        done = {"hosts_discovered": {"hosts": {"localhost": {"ansible_connection": "local"}}}}
        inventory = {"all": {"vars": variables, "children": {"engine_hosts": {"hosts": hosts}, **done}}}
        (self.site.state.parent / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def command(self, name: str, *options: str) -> tuple[list[str], dict[str, str]]:
        """A playbook as a person runs it, and its environment."""
        collections = str(ROOT / ".venv" / "collections")
        variables = environment(**self.variables, ANSIBLE_COLLECTIONS_PATH=collections, ANSIBLE_NOCOLOR="1")
        inventory = str(self.site.state.parent / "hosts.yml")
        return [PLAYBOOK, "-i", inventory, f"ironbook.trading.{name}", *options], variables

    def play(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end."""
        command, variables = self.command(name, *options)
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False,
                              cwd=self.site.state.parent, timeout=600)  # fmt: skip

    def cut(self, name: str, task: str, *options: str, after: Callable[[], bool] = lambda: True) -> None:
        """Run one and kill it, with all that it has started, once it has come to a task and then to `after`.

        Ansible's workers have sessions of their own, and their modules with them: they are killed as its descendants.
        What it has detached, as a drill its canary, lives on, as it would.
        """
        command, variables = self.command(name, *options)
        running = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   cwd=self.site.state.parent, start_new_session=True)  # fmt: skip
        assert running.stdout is not None
        said = []
        try:
            for line in running.stdout:
                said.append(line)
                if line.startswith("TASK [") and task in line:
                    break
            else:
                pytest.fail(f"{name} has not come to {task}: {''.join(said)}")
            wait_for(after, f"what comes after {task}")
        finally:
            kill_family(running.pid)
            running.communicate()

    def done(self, name: str, *options: str) -> int:
        """Run one that comes to its end; how much it changed."""
        ended = self.play(name, *options)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return sum(map(int, re.findall(r"^\S+ .* changed=(\d+)", ended.stdout, re.MULTILINE)))

    def refused(self, name: str, *options: str) -> str:
        ended = self.play(name, *options)
        assert ended.returncode != 0, ended.stdout
        return ended.stdout + ended.stderr

    def report(self, name: str) -> dict[str, Any]:
        """What the last run has written: for programs, and that it is there for people, too."""
        path = self.site.state / "reports" / f"{name}-0.json"
        assert "<h2>What happened</h2>" in path.with_suffix(".html").read_text()
        made: dict[str, Any] = json.loads(path.read_text())
        return made

    def configuration(self, number: int) -> str:
        return (self.directory(number) / "engine.json").read_text()

    def runs(self, number: int) -> bool:
        """Whether supervisor has the engine running."""
        return "RUNNING" in self.site.supervisorctl("status", f"engine-0-{number}")

    def canaries(self) -> int:
        """How many canaries of drills run."""
        return sum(writer_of(log) is not None for log in (self.site.state / "drills").glob("*.jsonl"))

    def status(self, number: int) -> dict[str, Any]:
        return request(self.run(number) / "admin.sock", "status")

    def store(self) -> DynamoDbStore:
        return DynamoDbStore(TABLE)

    def record(self) -> Record:
        found = self.store().record(0)
        assert found is not None
        return found

    def in_sync(self) -> int:
        """Wait until all are in sync; who leads."""
        wait_for(lambda: len(self.record().in_sync) == 3 and self.leads(self.record().primary), "a shard that is whole")
        return int(self.record().primary[-1])

    def leads(self, member: str) -> bool:
        """Whether a member says that it is primary."""
        try:
            return member != "" and self.status(int(member[-1]))["role"] == "primary"
        except AdminError:
            return False

    def trade(self, count: int) -> None:
        """So many orders of MAKER1 at whoever is primary; every one of its session is acknowledged there."""
        client = Client(self.site.port + 100 + self.in_sync())
        client.login("MAKER1", password=(self.site.state / "secrets" / "session_MAKER1").read_text().strip())
        for ref in range(self.orders + 1, self.orders + count + 1):
            client.send(enter(ref, "S", 100, 10000 + ref))
        self.orders += count
        assert len(client.wait_for(self.orders)) == self.orders
        client.close()


@pytest.fixture(scope="module")
def shard() -> Iterator[Site]:
    with local_site() as running, pytest.MonkeyPatch.context() as patch:
        made = Site(running)
        for name, value in made.variables.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        boto3.client("dynamodb").create_table(
            TableName=TABLE, KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        made.done("deploy")
        made.in_sync()
        yield made


def switch_over(shard: Site) -> None:
    """A preview moves nothing, a second run changes nothing, nothing is lost, and the report tells what happened."""
    old = shard.in_sync()
    new = (old + 1) % 3
    shard.trade(20)
    preview = shard.play("switch_over", "--check", "-e", f"engine_operation_replica={new}")
    assert preview.returncode == 0 and "previewed, nothing was done" in preview.stdout, preview.stdout + preview.stderr
    assert "changed=1" in preview.stdout and shard.in_sync() == old
    assert shard.done("switch_over", "-e", f"engine_operation_replica={new}") == 1
    assert shard.in_sync() == new
    report = shard.report("switch_over")
    assert (report["outcome"], report["timeline"][0]["host"]) == ("done", f"engine-0-{old}")
    assert report["before"][f"engine-0-{old}"]["role"] == "primary"
    assert report["after"][f"engine-0-{new}"]["role"] == "primary"
    assert shard.done("switch_over", "-e", f"engine_operation_replica={new}") == 0
    kept = [json.loads(path.read_text()) for path in (shard.site.state / "reports").glob("switch_over-0-*Z.json")]
    assert report in kept and shard.report("switch_over") in kept and len(kept) == 2
    shard.trade(5)


def halt_and_resume(shard: Site) -> None:
    primary = shard.in_sync()
    assert shard.done("halt") == 1
    assert shard.status(primary)["state"] == "halted"
    assert shard.done("halt") == 0
    assert shard.done("resume") == 1
    assert shard.status(primary)["state"] == "serving"
    assert "resume" in shard.report("resume")["timeline"][0]["what"]
    # Without the store, too; only the primary is asked.
    for number in range(3):
        settings = json.loads((shard.directory(number) / "agent.json").read_text())
        settings["store"] = {"kind": "etcd", "endpoints": ["http://127.0.0.1:1"]}
        (shard.directory(number) / "no-store.json").write_text(json.dumps(settings))
    path = shard.directory(0).parent / "{{ inventory_hostname }}" / "no-store.json"
    options = ["-e", json.dumps({"engine_operation_agent_config": str(path)})]
    assert "127.0.0.1:1" in shard.refused("switch_over", *options)
    assert shard.done("halt", *options) == 1
    assert shard.status(primary)["state"] == "halted"
    assert shard.done("resume") == 1


def fail_over_by_force(shard: Site) -> None:
    """Not while somebody leads, not without the words; then one member goes on, and the others follow it."""
    primary = shard.in_sync()
    left = (primary + 1) % 3

    def word() -> str:
        return f"engine_operation_confirm=local/shard-0/epoch-{shard.record().epoch}"

    assert "say that it is meant" in shard.refused("fail_over")
    assert shard.done("fail_over", "-e", word()) == 0
    refused_while_another_member_hears_the_primary(shard, primary, word())
    # The primary last: it hands over, or is missed a moment later, to a member that is alone by then, and cannot open.
    others = [(left + 1) % 3, primary]
    for number in others:
        shard.site.supervisorctl("stop", f"engine-0-{number}")
    wait_for(lambda: shard.record().primary == f"engine-0-{left}", "a record that names the one that is left")
    assert not shard.leads(f"engine-0-{left}")
    wanted = ["-e", word(), "-e", f"engine_operation_replica={left}"]
    assert "allow_data_loss" in shard.refused("fail_over", *wanted)
    assert shard.report("fail_over")["outcome"] == "failed"
    assert shard.done("fail_over", *wanted, "-e", "engine_operation_allow_data_loss=true") >= 1
    assert shard.in_sync() == left
    shard.trade(5)


def refused_while_another_member_hears_the_primary(shard: Site, primary: int, word: str) -> None:
    """The primary leads and does not answer who asks; the one to go on with is down, and hears nobody."""
    down, socket = (primary + 2) % 3, shard.run(primary) / "admin.sock"
    hidden = socket.rename(socket.with_name("hidden.sock"))
    shard.site.supervisorctl("stop", f"engine-0-{down}")
    options = ["-e", word, "-e", f"engine_operation_replica={down}", "-e", "engine_operation_allow_data_loss=true"]
    assert f"hears replica {primary} as the primary" in shard.refused("fail_over", *options)
    hidden.rename(socket)
    shard.site.supervisorctl("start", f"engine-0-{down}")
    assert shard.in_sync() == primary


def restore_to_a_number_and_no_second_time(shard: Site) -> None:
    primary = shard.in_sync()
    standby = (primary + 1) % 3
    epoch = shard.record().epoch
    wanted = shard.status(primary)["seq"]
    state = shard.status(primary)["state_hash"]
    before = shard.orders
    shard.trade(30)
    options = ["-e", f"engine_operation_until={wanted}", "-e", f"engine_operation_confirm=local/shard-0/epoch-{epoch}"]
    assert "say that it is meant" in shard.refused("restore_engine", *options[:2])
    os.kill(shard.status(standby)["pid"], signal.SIGSTOP)  # a member that answers nothing is ended all the same
    assert shard.done("restore_engine", *options) >= 5
    assert shard.in_sync() == primary
    assert shard.record().epoch > epoch
    journal = shard.directory(primary) / "journal"
    assert f"{core.replay(journal, wanted).state_hash:016x}" == state
    for number in range(3):
        [aside] = shard.directory(number).glob("journal.aside-*")
        assert core.journal_verify(aside, 0).seq > wanted
    assert shard.done("restore_engine", *options) == 0  # the epoch is another one: nothing is taken back again
    shard.orders = before
    shard.trade(5)
    assert shard.report("restore")["outcome"] == "done"


def upgrade_a_member_at_a_time(shard: Site) -> None:
    """Another configuration is another version: each member restarts once, the primary hands over before its turn."""
    if '"heartbeat_seconds": 1' not in shard.configuration(0):
        shard.done("deploy")  # an operation before this one has deployed another one
    primary = shard.in_sync()
    pids = [shard.status(number)["pid"] for number in range(3)]
    assert shard.done("upgrade_engine") == 0
    assert [shard.status(number)["pid"] for number in range(3)] == pids
    changed = ["-e", "engine_service_heartbeat_seconds=2"]
    epoch = shard.record().epoch
    assert shard.done("upgrade_engine", *changed) > 3
    assert shard.in_sync() != primary
    assert shard.record().epoch == epoch + 1  # one interruption, and a planned one
    assert not {shard.status(number)["pid"] for number in range(3)} & set(pids)
    pids = [shard.status(number)["pid"] for number in range(3)]
    assert shard.done("upgrade_engine", *changed) == 0
    assert [shard.status(number)["pid"] for number in range(3)] == pids
    assert shard.report("upgrade")["outcome"] == "done"


class Watch(threading.Thread):
    """Counts how many members at most do not answer at one moment."""

    def __init__(self, shard: Site) -> None:
        super().__init__(daemon=True)
        self.shard, self.most, self.ended = shard, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.05):
            self.most = max(self.most, sum(self.is_out(number) for number in range(3)))

    def is_out(self, number: int) -> bool:
        try:
            return not self.shard.status(number)
        except AdminError:
            return True

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def deploy_a_change_in_turn(shard: Site) -> None:
    """The deploy play starts no two members again at once, and the primary last, after it has handed over."""
    primary = shard.in_sync()
    shard.trade(5)
    pids = {shard.status(number)["pid"] for number in range(3)}
    epoch = shard.record().epoch
    with Watch(shard) as watch:
        assert shard.done("deploy", "-e", "engine_service_heartbeat_seconds=4") > 3
    assert watch.most == 1
    assert shard.in_sync() != primary
    assert shard.record().epoch == epoch + 1  # one interruption, and a planned one
    assert not {shard.status(number)["pid"] for number in range(3)} & pids
    assert shard.done("deploy", "-e", "engine_service_heartbeat_seconds=4") == 0
    shard.trade(5)


def archive_what_is_sealed(shard: Site) -> None:
    """Each member has a service beside its engine that ships its sealed segments, but to no bucket without a lock."""
    s3, bucket = boto3.client("s3"), "ironbook-archive"
    s3.create_bucket(Bucket=bucket)
    small = ["-e", "engine_service_segment_bytes=65536", "-e", "engine_service_in_turn=false",
             "-e", '{"engine_service_replication": {"window": 64}}']  # fmt: skip
    options = [*small, "-e", f"engine_service_archive_bucket={bucket}", "-e", "engine_service_archive_seconds=1"]
    assert shard.done("deploy", *options) > 3
    log = shard.site.state / "log" / "archive-0-1.log"
    wait_for(lambda: log.exists() and "has no Object Lock" in log.read_text(), "a refusal")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    shard.trade(900)  # 341 commands of 192 bytes fill a segment, and the last 128 could still be replaced

    def archived() -> list[dict[str, int]]:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="journal/shard-0/").get("Contents", [])
        sizes = {item["Key"].removeprefix("journal/shard-0/"): item["Size"] for item in listed}
        return [{key: size for key, size in sizes.items() if key.startswith(f"replica-{n}/")} for n in range(3)]

    wait_for(lambda: all(len(one) >= 4 for one in archived()), "two segments and their seals of each member")
    for number, one in enumerate(archived()):
        for key in one:
            there = s3.get_object(Bucket=bucket, Key=f"journal/shard-0/{key}")
            assert there["ObjectLockMode"] == "COMPLIANCE"
            assert there["Body"].read() == (shard.directory(number) / "journal" / key.partition("/")[2]).read_bytes()
    assert shard.done("deploy", *options) == 0
    assert "archive-0-1" in shard.site.supervisorctl("status")
    assert shard.done("deploy", *small) == 6  # of each member the definition, and the process
    assert "archive-0-" not in shard.site.supervisorctl("status")


def drill(shard: Site) -> None:
    """The primary is killed; what the canary saw meets the target; and a target that nobody can meet is missed."""
    primary = shard.in_sync()
    epoch = shard.record().epoch
    seconds = ["-e", "failover_drill_seconds=20"]
    assert shard.done("drill_failover", "--check", *seconds) == 0
    for wrong, says in (("moon", "no row moon/shard"), ("node", "its drill is host_loss, and this is process_crash")):
        assert says in shard.refused("drill_failover", *seconds, "-e", f"failover_drill_scenario={wrong}")
    assert shard.in_sync() == primary and shard.record().epoch == epoch
    assert shard.done("drill_failover", *seconds) >= 1
    assert shard.in_sync() != primary
    assert shard.record().epoch > epoch
    path = shard.site.state / "reports" / "drill_failover-0.json"
    told = json.loads(path.read_text())
    assert (told["verdict"], told["drill"]) == ("passed", "process_crash")
    assert told["targets"] == {"rto_below_seconds": 60, "rpo_below_seconds": 0} and told["measured"]["missing"] == 0
    assert path.with_suffix(".html").exists()


# ---- the same, cut off in their middle: the next run of the same command comes to its end, and nothing is lost


def cut_switch_over(shard: Site) -> None:
    """To whom it was to lead is known to the next run, which was not told either; no third one comes to lead."""
    old = shard.in_sync()
    new = (old + 1) % 3
    shard.trade(10)
    shard.cut("switch_over", "Have the primary hand over", after=lambda: shard.leads(f"engine-0-{new}"))
    assert shard.report("switch_over")["outcome"] == "begun"
    epoch = shard.record().epoch
    assert shard.done("switch_over") == 0
    assert (shard.in_sync(), shard.record().epoch) == (new, epoch)
    assert shard.report("switch_over")["outcome"] == "done"
    shard.trade(5)


def cut_switch_over_before(shard: Site) -> None:
    """Before anything was asked of an engine."""
    old = shard.in_sync()
    shard.cut("switch_over", "Report | Write it for programs")
    shard.cut("switch_over", "Refuse where nobody leads")
    assert shard.in_sync() == old
    assert shard.done("switch_over") == 1
    assert shard.in_sync() == (old + 1) % 3
    shard.trade(5)


def cut_halt_and_resume(shard: Site) -> None:
    primary = shard.in_sync()
    shard.cut("halt", "Say it to the primary", after=lambda: shard.status(primary)["state"] == "halted")
    assert shard.report("halt")["outcome"] == "begun"
    assert shard.done("halt") == 0
    assert shard.report("halt")["outcome"] == "done"
    shard.cut("resume", "Refuse where nobody leads")
    assert shard.status(primary)["state"] == "halted"
    assert shard.done("resume") == 1
    shard.cut("resume", "Look once more")
    assert shard.done("resume") == 0
    shard.trade(5)


def cut_fail_over(shard: Site) -> None:
    """Behind the record and before its engine runs, and before the others rejoin. An old word forces nothing anew."""
    primary = shard.in_sync()
    left = (primary + 1) % 3
    shard.trade(10)
    for number in range(3):
        shard.site.supervisorctl("stop", f"engine-0-{number}")
    epoch = shard.record().epoch  # a primary that is ended hands over, so it is not that of the beginning
    wanted = ["-e", f"engine_operation_confirm=local/shard-0/epoch-{epoch}", "-e", f"engine_operation_replica={left}"]
    wanted += ["-e", "engine_operation_allow_data_loss=true"]
    shard.cut("fail_over", "Make it primary", *wanted, after=lambda: shard.record().epoch > epoch)
    assert shard.record().in_sync == (f"engine-0-{left}",)
    forced = shard.record().epoch
    shard.cut("fail_over", "Have the others rejoin", *wanted)
    assert shard.done("fail_over", *wanted) >= 1
    assert shard.in_sync() == left
    assert shard.record().epoch == forced + 1  # its engine's own, and nobody was made primary a second time
    shard.trade(5)
    # The shard has gone on: the word of then is that of a command of last week.
    for number in range(3):
        shard.site.supervisorctl("stop", f"engine-0-{number}")
    assert "say that it is meant" in shard.refused("fail_over", *wanted)
    for number in range(3):
        shard.site.supervisorctl("start", f"engine-0-{number}")
    assert shard.in_sync() >= 0


def cut_restore(shard: Site) -> None:
    """At each of its steps, one after the other; the journal ends where it was asked to, and is taken back once."""
    primary = shard.in_sync()
    shard.trade(10)
    epoch = shard.record().epoch
    wanted = shard.status(primary)["seq"]
    state = shard.status(primary)["state_hash"]
    before = shard.orders
    shard.trade(20)
    options = ["-e", f"engine_operation_until={wanted}", "-e", f"engine_operation_confirm=local/shard-0/epoch-{epoch}"]
    shard.cut("restore_engine", "Have it fenced", *options)
    shard.cut("restore_engine", "Have the journal end there", *options)
    assert shard.report("restore")["about"]["fenced_epoch"] == epoch
    shard.cut("restore_engine", "Go on with that member", *options, after=lambda: shard.record().epoch > epoch)
    forced = shard.record().epoch
    shard.cut("restore_engine", "Have every member follow", *options)
    assert shard.done("restore_engine", *options) >= 1
    assert shard.in_sync() == primary
    assert shard.record().epoch == forced + 1  # its engine's own, and nobody was made primary a second time
    assert f"{core.replay(shard.directory(primary) / 'journal', wanted).state_hash:016x}" == state
    shard.orders = before
    shard.trade(5)
    assert shard.done("restore_engine", *options) == 0
    assert "say that it is meant" in shard.refused("restore_engine", *options, "-e", "engine_operation_until=3")
    shard.trade(5)


def cut_upgrade(shard: Site) -> None:
    """Between a file and the restart that it needs, and between two definitions of a service; at most one is out."""
    primary = shard.in_sync()
    shard.trade(5)
    pids = {number: shard.status(number)["pid"] for number in range(3)}
    epoch = shard.record().epoch
    changed = ["-e", "engine_service_heartbeat_seconds=3"]
    shard.cut("upgrade_engine", "Run the agent that asks", *changed)  # of the first one's turn: engine.json is written
    first = next(number for number in range(3) if '"heartbeat_seconds": 3' in shard.configuration(number))
    assert first != primary and shard.status(first)["pid"] == pids[first]
    name = f"engine-0-{first}"
    shard.cut("upgrade_engine", f"Supervisor | Take in {name}", *changed, after=lambda: not shard.runs(first))
    with Watch(shard) as watch:
        assert shard.done("upgrade_engine", *changed) > 3
    assert watch.most == 1
    assert shard.in_sync() != primary
    assert shard.record().epoch == epoch + 1
    assert not {shard.status(number)["pid"] for number in range(3)} & set(pids.values())
    assert shard.done("upgrade_engine", *changed) == 0
    shard.trade(5)


def cut_drill(shard: Site) -> None:
    """Before there is a canary, while it trades, and behind the kill: the next one ends the canary, and drills."""
    shard.in_sync()
    report = shard.site.state / "reports" / "drill_failover-0.json"
    seconds = ["-e", "failover_drill_seconds=300"]
    shard.cut("drill_failover", "Start the canary", *seconds)  # which comes late, or now, or never
    shard.cut("drill_failover", "Wait until it is served", *seconds, after=lambda: shard.canaries() == 1)
    assert shard.canaries() == 1 and not report.exists()
    primary = shard.in_sync()
    shard.cut("drill_failover", "Wait until the canary is served again", *seconds)
    assert shard.record().primary != f"engine-0-{primary}"
    assert shard.done("drill_failover", *seconds) >= 2
    assert json.loads(report.read_text())["verdict"] == "passed"
    assert shard.canaries() == 0
    shard.in_sync()
    shard.trade(5)


EVERY = (
    switch_over,
    halt_and_resume,
    fail_over_by_force,
    restore_to_a_number_and_no_second_time,
    upgrade_a_member_at_a_time,
    deploy_a_change_in_turn,
    archive_what_is_sealed,
    drill,
    cut_switch_over,
    cut_switch_over_before,
    cut_halt_and_resume,
    cut_fail_over,
    cut_restore,
    cut_upgrade,
    cut_drill,
)
ONLY = os.environ.get("OPERATIONS", "")
NAMED = {one.__name__: one for one in EVERY}
CHOSEN = list(EVERY) if ONLY == "all" else [NAMED[name] for name in (ONLY or "switch_over,cut_switch_over").split(",")]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("operation", CHOSEN, ids=[one.__name__ for one in CHOSEN])
def test_an_operation(shard: Site, operation: Callable[[Site], None]) -> None:
    operation(shard)
