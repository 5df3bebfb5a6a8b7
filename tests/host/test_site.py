# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the machine after the site has been converged: processes, sockets, files, rows.

Molecule runs this, with IRONBOOK_STATE and IRONBOOK_PORT_BASE of its scenario in the environment. Nothing here reads
what Ansible said: each thing is asked itself.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from testinfra.host import Host

pytestmark = [
    pytest.mark.feature("USR-10", by="P", part="the site on this machine"),
    pytest.mark.feature("USR-08", by="P", part="the scenario default"),
]

if "IRONBOOK_STATE" not in os.environ:
    pytest.skip("asks a converged site: run `molecule verify`", allow_module_level=True)

STATE = Path(os.environ["IRONBOOK_STATE"])
PORT_BASE = int(os.environ["IRONBOOK_PORT_BASE"])
EMULATOR, POSTGRES, ORDER_ENTRY = PORT_BASE, PORT_BASE + 1, PORT_BASE + 100
REPLICATION = PORT_BASE + 2
PORTS = range(PORT_BASE, PORT_BASE + 200)
MEMBERS = range(3)
PRICE_UNIT = Decimal("0.0001")  # ironbook.h: prices in units of 10^-4


def run_directory(replica: int) -> Path:
    """Where a member's sockets are."""
    return STATE / "run" / f"engine-0-{replica}"


def ask(replica: int, command: str) -> dict[str, Any]:
    """Ask a member's admin socket, without the client that the services use."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(run_directory(replica) / "admin.sock"))
        connection.sendall(command.encode() + b"\n")
        with connection.makefile() as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    return answer


@pytest.fixture(scope="module")
def primary() -> int:
    """The one member that says that it is primary."""
    (found,) = [replica for replica in MEMBERS if ask(replica, "status")["role"] == "primary"]
    return found


def listening(host: Host) -> dict[int, set[str]]:
    """Return the addresses on which each of the site's ports is open, as the kernel tells."""
    found: dict[int, set[str]] = {}
    for line in host.check_output("ss --no-header --listening --tcp --numeric").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        if int(port) in PORTS:
            found.setdefault(int(port), set()).add(address)
    return found


def site_processes(host: Host) -> dict[int, dict[str, str]]:
    """Return user and command of each process that has the site's directory on its command line."""
    found = {}
    for line in host.check_output("ps -e -ww -o pid=,user=,args=").splitlines():
        pid, user, command = line.split(maxsplit=2)
        if str(STATE) in command and " ps -e" not in command and "pytest" not in command:
            found[int(pid)] = {"user": user, "command": command}
    return found


def test_servers_listen_on_loopback_alone(host: Host, primary: int) -> None:
    """Emulator, database and order entry are open to this machine, and nothing of the site to any other."""
    found = listening(host)
    assert {EMULATOR, POSTGRES, ORDER_ENTRY + primary} <= found.keys()
    assert {address for addresses in found.values() for address in addresses} == {"127.0.0.1"}


def test_the_primary_alone_takes_orders_and_its_standbys_follow(host: Host, primary: int) -> None:
    """Each member listens for the others; what the primary has committed, the standbys have on their disks."""
    ports = listening(host).keys()
    assert {REPLICATION + replica for replica in MEMBERS} <= ports
    assert {ORDER_ENTRY + replica for replica in MEMBERS} & ports == {ORDER_ENTRY + primary}
    record = ask(primary, "status")["replication"]
    assert (record["primary"], record["in_sync"], record["store_fault"]) == (primary, list(MEMBERS), None)
    for replica in set(MEMBERS) - {primary}:
        status = ask(replica, "status")
        assert (status["role"], status["replication"]["epoch"]) == ("standby", record["epoch"])
        assert status["replication"]["durable_seq"] >= record["commit_seq"] > 0


def test_engine_serves(primary: int) -> None:
    """The primary answers at its admin socket, has traded, and forgets nothing that it released."""
    status = ask(primary, "status")
    assert (status["shard"], status["replica"], status["state"]) == (0, primary, "serving")
    assert status["trades"] > 0
    assert status["commit_seq"] == status["seq"] > 0


@pytest.mark.parametrize("replica", MEMBERS)
def test_engine_is_the_process_that_the_kernel_shows(host: Host, replica: int) -> None:
    """The pid that the engine gives runs `ironbook engine run` as the user that runs this test, not as another."""
    process = host.process.get(pid=ask(replica, "status")["pid"])
    assert process.user == host.user().name
    assert "engine run" in process.args


def test_every_process_has_the_expected_user(host: Host) -> None:
    """Supervisor, emulator, PostgreSQL, engines and agents are there, and all of them are ours."""
    processes = site_processes(host)
    commands = " ".join(process["command"] for process in processes.values())
    for part in ("supervisord", "emulator run", "postgres", "engine run", "agent run"):
        assert part in commands, f"no {part} among {commands}"
    assert {process["user"] for process in processes.values()} == {host.user().name}


def test_sockets_and_secrets_are_ours_alone(primary: int) -> None:
    """Sockets and secrets have mode 0600, in directories of mode 0700."""
    runs = [run_directory(replica) for replica in MEMBERS]
    for directory in (STATE / "run", STATE / "secrets", *runs):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory
    sockets = [directory / name for directory in runs for name in ("admin.sock", "store.sock")]
    files = [*sockets, run_directory(primary) / "events.sock", *(STATE / "secrets").iterdir()]
    assert len(files) > 9
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("replica", MEMBERS)
def test_configuration_and_journal_are_ours_alone(replica: int) -> None:
    """What tells about sessions and orders is readable by nobody else."""
    directory = STATE / "hosts" / f"engine-0-{replica}"
    files = [directory / "engine.json", directory / "agent.json", *(directory / "journal").iterdir()]
    assert len(files) > 2
    for path in files:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_no_secret_is_in_a_log_or_on_a_command_line(host: Host) -> None:
    """Passwords stand in the directory of secrets and nowhere else."""
    commands = host.check_output("ps -e -ww -o args=")
    logs = "".join(path.read_text(errors="replace") for path in (STATE / "log").iterdir() if path.is_file())
    for path in (STATE / "secrets").iterdir():
        secret = path.read_text(errors="replace").strip()
        assert len(secret) >= 10, path  # the length of a password in a SoupBinTCP login
        assert secret not in commands and secret not in logs, path


def test_database_holds_what_the_engine_traded(primary: int) -> None:
    """Trades, quantity and money in PostgreSQL are those of the engine and of the reconciliation, each trade once."""
    password = (STATE / "secrets" / "database_password").read_text().strip()
    with psycopg.connect(
        host="127.0.0.1", port=POSTGRES, user="trading_admin", dbname="trading_platform", password=password
    ) as connection:
        row = connection.execute(
            "select count(*), count(distinct (shard, sequence, index)), sum(quantity), sum(quantity * price)"
            " from trades"
        ).fetchone()
        positions = connection.execute("select sum(position) from portfolios").fetchone()
    assert row is not None and row[0] == row[1] > 0
    assert positions == (0,)  # what one side bought, the other sold
    notional = int(row[3] / PRICE_UNIT)

    status = ask(primary, "status")
    assert (status["trades"], status["quantity"], int(status["notional"])) == (row[0], row[2], notional)
    report = json.loads((STATE / "reports" / "reconciliation.json").read_text())
    figures = {place["place"]: (place["fills"], place["quantity"], place["notional"]) for place in report["places"]}
    assert set(figures) == {"journal", "engine", "client reports", "PostgreSQL", "Kinesis"}
    assert set(figures.values()) == {(row[0], row[2], notional)}
