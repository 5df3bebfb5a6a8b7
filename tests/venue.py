# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole venue of real parts for integration tests: engine, PostgreSQL, emulated AWS, ledger, publisher.

Every part is a process of its own, run as the site runs it, in one short directory (Unix sockets) that goes at the end.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from ironbook import admin
from ironbook.cli import main
from ironbook.event_log import Position
from ironbook.postgres import SUPERUSER, initialise, server_command
from ironbook.service import read_json, write_json
from local_processes import free_port, wait_for

ROOT = Path(__file__).resolve().parents[1]
MIGRATIONS = sorted((ROOT / "roles/rds_schema/files").glob("V*.sql"))
STREAM = "market-data"
SHARDS = 10
FIRMS = {"MAKER1": "MAKR", "TAKER1": "TAKR"}
PASSWORD = "correct-10"
_CODE = "import sys; from ironbook.cli import main; sys.exit(main())"


class Venue:
    """The parts and where they are. Use it with `with`; `start_all` before the first test that needs all of them."""

    def __init__(self, symbol: str = "AAPL") -> None:
        self.state = Path(tempfile.mkdtemp(prefix="ib-", dir="/tmp"))
        self.symbol = symbol
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.traded: dict[str, Any] = {}
        self.engine_port, self.postgres_port, self.emulator_port = free_port(), free_port(), free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.emulator_port}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "IRONBOOK_STATE": str(self.state),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self._configure()

    def __enter__(self) -> Venue:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            self.kill(name)
        shutil.rmtree(self.state, ignore_errors=True)

    # ---- files

    @property
    def run_directory(self) -> Path:
        return self.state / "run" / "engine-0-0"

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    @property
    def settlement(self) -> Path:
        return self.state / "settlement.json"

    def _configure(self) -> None:
        for directory in (self.run_directory, self.journal, self.state / "secrets", self.state / "log"):
            directory.mkdir(parents=True, mode=0o700)
        for name in (*(f"session_{username}" for username in FIRMS), "database"):
            (self.state / "secrets" / name).write_text(PASSWORD + "\n")
        secret = self.command("secret", "hash", stdin=PASSWORD).stdout.strip()
        sessions = [{"username": username, "firm": firm, "secret": secret} for username, firm in FIRMS.items()]
        engine = {
            "shard": 0,
            "replica": 0,
            "epoch": 1,
            "journal_directory": str(self.journal),
            "run_directory": str(self.run_directory),
            "order_entry": {"host": "127.0.0.1", "port": self.engine_port},
            "instruments": [{"symbol": self.symbol, "tick": 1}],
            "sessions": sessions,
        }
        write_json(self.state / "engine.json", engine)
        login = {
            role: {"username": username, "password_file": str(self.state / "secrets" / f"session_{username}")}
            for role, username in zip(("maker", "taker"), FIRMS, strict=True)
        }
        write_json(self.state / "trade" / "client.json", {"endpoints": [f"127.0.0.1:{self.engine_port}"], **login})
        settlement = {
            "shard": 0,
            "members": [
                {
                    "run_directory": str(self.run_directory),
                    "journal_directory": str(self.journal),
                    "order_entry": {"host": "127.0.0.1", "port": self.engine_port},
                }
            ],
            "instruments": [self.symbol],
            "sessions": [
                {
                    "username": username,
                    "firm": firm,
                    "password_file": str(self.state / "secrets" / f"session_{username}"),
                }
                for username, firm in FIRMS.items()
            ],
            "database": {
                "host": "127.0.0.1",
                "port": self.postgres_port,
                "user": SUPERUSER,
                "dbname": "trading_platform",
                "password_file": str(self.state / "secrets" / "database"),
                "sslmode": "disable",
            },
            "stream": STREAM,
            "state_directory": str(self.state),
            "shards": [{"shard": 0, "symbols": [self.symbol]}],
        }
        write_json(self.settlement, settlement)

    # ---- processes

    def command(self, *arguments: str, stdin: str = "", seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run `ironbook …` to its end."""
        return subprocess.run(
            [sys.executable, "-c", _CODE, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=seconds,
        )

    def start(self, name: str, command: list[str]) -> None:
        """Start a process whose output goes to a log."""
        with (self.state / "log" / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment
            )

    def start_service(self, name: str, *arguments: str) -> None:
        """Start `ironbook …` as a service."""
        self.start(name, [sys.executable, "-c", _CODE, *arguments])

    def log(self, name: str) -> str:
        """Return what a process has written."""
        return (self.state / "log" / f"{name}.log").read_text()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a process that this venue started."""
        process = self.processes.pop(name)
        if name == "postgres" and number == signal.SIGKILL:
            number = signal.SIGINT  # its children would live on
        process.send_signal(number)
        process.wait(timeout=30)

    def start_engine(self) -> None:
        """Start the engine and wait until it serves."""
        self.start_service("engine", "engine", "run", "--config", str(self.state / "engine.json"))
        wait_for(self._engine_serves, f"the engine: {self.log('engine')[-500:]}")

    def _engine_serves(self) -> bool:
        assert self.processes["engine"].poll() is None, self.log("engine")
        try:
            return bool(self.status()["state"] == "serving")
        except admin.AdminError:
            return False

    def status(self) -> dict[str, Any]:
        """Return the engine's status."""
        return admin.request(self.run_directory / "admin.sock", "status")

    def start_postgres(self) -> None:
        """Start PostgreSQL with the schema of the repository's migrations."""
        data = self.state / "postgres"
        fresh = not data.exists()
        if fresh:
            initialise(data, self.state / "secrets" / "database")
        self.start("postgres", [*server_command(data, self.postgres_port), "-c", "fsync=off"])
        wait_for(self._postgres_answers, "PostgreSQL")
        if fresh:
            with self.connect("postgres") as connection:
                connection.execute("CREATE DATABASE trading_platform")
            self.migrate()

    def migrate(self, names: list[Path] = MIGRATIONS) -> None:
        """Apply migration files as they are."""
        with self.connect() as connection, connection.transaction():
            for path in names:
                connection.execute(path.read_text())  # type: ignore[arg-type]

    def _postgres_answers(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "trading_platform") -> psycopg.Connection[Any]:
        """Connect to PostgreSQL."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.postgres_port,
            user=SUPERUSER,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def start_emulator(self) -> None:
        """Start the emulated AWS, empty as it always starts, and make the stream."""
        arguments = ["--port", str(self.emulator_port), "--postgres-port", str(self.postgres_port)]
        arguments += ["--postgres-password-file", str(self.state / "secrets" / "database")]
        self.start_service("emulator", "emulator", "run", *arguments)
        wait_for(self._emulator_answers, f"the emulator: {self.log('emulator')[-500:]}")

    def _emulator_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.emulator_port)) == 0

    def kinesis(self) -> Any:
        """Return a Kinesis client of the emulator."""
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415

        return boto3.client(
            "kinesis",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def make_stream(self) -> None:
        """Make the stream."""
        client = self.kinesis()
        client.create_stream(StreamName=STREAM, ShardCount=SHARDS)
        client.get_waiter("stream_exists").wait(StreamName=STREAM)

    def start_ledger(self) -> None:
        """Start the ledger."""
        self.start_service("ledger", "ledger", "run", "--config", str(self.settlement))

    def start_publisher(self) -> None:
        """Start the publisher."""
        self.start_service("publisher", "publisher", "run", "--config", str(self.settlement))

    def start_all(self) -> None:
        """Start every part."""
        self.start_postgres()
        self.start_emulator()
        self.make_stream()
        self.start_engine()
        self.start_ledger()
        self.start_publisher()

    # ---- what a person would do

    def generate(self, messages: int = 3000, seed: int = 1) -> Path:
        """Write a generated session and return its file."""
        done = self.command("session", "generate", str(self.state), "--messages", str(messages), "--seed", str(seed))
        assert done.returncode == 0, done.stderr
        return Path(json.loads(done.stdout)["result"]["path"])

    def replay(self, file: Path, *arguments: str) -> dict[str, Any]:
        """Replay a session; return the result."""
        done = self.command("session", "replay", str(file), *arguments)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["result"]
        return result

    def settle(self, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until ledger and publisher have everything."""
        arguments = ["settlement", "wait", "--config", str(self.settlement), "--seconds", str(seconds)]
        done = self.command(*arguments, seconds=seconds + 30)
        logs = f"{self.log('ledger')[-2000:]}{self.log('publisher')[-2000:]}"
        assert done.returncode == 0, f"{done.stderr}{logs}"
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result

    def reconcile(self) -> subprocess.CompletedProcess[str]:
        """Reconcile, in this process: a new one takes longer to start than the comparison itself takes."""
        arguments = ["reconcile", "--config", str(self.settlement)]
        output, errors = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
        ):
            status = main(arguments)
        return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())

    def reconciled(self) -> dict[str, Any]:
        """Reconcile, which must succeed; return the report."""
        done = self.reconcile()
        assert done.returncode == 0, done.stderr
        return self.report()

    def refused(self) -> str:
        """Reconcile, which must fail with one line; return it."""
        done = self.reconcile()
        assert done.returncode != 0, "the reconciliation saw no difference"
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        return lines[0]

    def report(self) -> dict[str, Any]:
        """Return the reconciliation's report."""
        value: dict[str, Any] = read_json(self.state / "reports" / "reconciliation.json")
        return value

    def position(self) -> Position:
        """Return the last event that the engine has released."""
        last = self.status()["last_event"]
        return Position(last["seq"], last["index"])
