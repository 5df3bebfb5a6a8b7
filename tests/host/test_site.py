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
PORTS = range(PORT_BASE, PORT_BASE + 200)
ENGINE = STATE / "run" / "engine-0-0"
PRICE_UNIT = Decimal("0.0001")  # ironbook.h: prices in units of 10^-4


def ask_engine(command: str) -> dict[str, Any]:
    """Ask the primary's admin socket, without the client that the services use."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(ENGINE / "admin.sock"))
        connection.sendall(command.encode() + b"\n")
        with connection.makefile() as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    return answer


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


def test_servers_listen_on_loopback_alone(host: Host) -> None:
    """Emulator, database and order entry are open to this machine, and nothing of the site to any other."""
    found = listening(host)
    assert {EMULATOR, POSTGRES, ORDER_ENTRY} <= found.keys()
    assert {address for addresses in found.values() for address in addresses} == {"127.0.0.1"}


def test_standbys_are_idle(host: Host) -> None:
    """Provisioned, built and audited, but no engine runs until there is replication."""
    assert not {ORDER_ENTRY + 1, ORDER_ENTRY + 2} & listening(host).keys()
    assert (STATE / "hosts" / "engine-0-1").is_dir() and (STATE / "hosts" / "engine-0-2").is_dir()


def test_engine_serves() -> None:
    """The engine that is tagged primary answers at its admin socket, has traded, and forgets nothing it released."""
    status = ask_engine("status")
    assert (status["shard"], status["replica"], status["state"]) == (0, 0, "serving")
    assert status["trades"] > 0
    assert status["commit_seq"] == status["seq"] > 0


def test_engine_is_the_process_that_the_kernel_shows(host: Host) -> None:
    """The pid that the engine gives runs `ironbook engine run` as the user that runs this test, not as another."""
    process = host.process.get(pid=ask_engine("status")["pid"])
    assert process.user == host.user().name
    assert "engine run" in process.args


def test_every_process_has_the_expected_user(host: Host) -> None:
    """Supervisor, emulator, PostgreSQL and engine are there, and all of them are ours."""
    processes = site_processes(host)
    commands = " ".join(process["command"] for process in processes.values())
    for part in ("supervisord", "emulator run", "postgres", "engine run"):
        assert part in commands, f"no {part} among {commands}"
    assert {process["user"] for process in processes.values()} == {host.user().name}


def test_sockets_and_secrets_are_ours_alone() -> None:
    """Sockets and secrets have mode 0600, in directories of mode 0700."""
    for directory in (STATE / "run", STATE / "secrets", ENGINE):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory
    files = [ENGINE / "admin.sock", ENGINE / "events.sock", *(STATE / "secrets").iterdir()]
    assert len(files) > 3
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_configuration_and_journal_are_ours_alone() -> None:
    """What tells about sessions and orders is readable by nobody else."""
    directory = STATE / "hosts" / "engine-0-0"
    files = [directory / "engine.json", *(directory / "journal").iterdir()]
    assert len(files) > 1
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


def test_database_holds_what_the_engine_traded() -> None:
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

    status = ask_engine("status")
    assert (status["trades"], status["quantity"], int(status["notional"])) == (row[0], row[2], notional)
    report = json.loads((STATE / "reports" / "reconciliation.json").read_text())
    figures = {place["place"]: (place["fills"], place["quantity"], place["notional"]) for place in report["places"]}
    assert set(figures) == {"journal", "engine", "client reports", "PostgreSQL", "Kinesis"}
    assert set(figures.values()) == {(row[0], row[2], notional)}
