# SPDX-License-Identifier: GPL-3.0-or-later
"""rds_schema against a real PostgreSQL: through Ansible itself where a person would look at what Ansible shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ironbook.postgres import SUPERUSER, initialise, server_command
from local_processes import free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
SOURCE_MIGRATION = ROOT / "roles/rds_schema/files/V0001__trades_and_portfolios.sql"
PASSWORD = "a-secret-that-must-not-be-seen"

pytestmark = pytest.mark.integration


class Server:
    """One PostgreSQL cluster on 127.0.0.1, with password authentication, made by the local site's own code."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self.log = directory.parent / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        secret = directory.parent / "password"
        secret.write_text(PASSWORD)
        initialise(directory, secret)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*server_command(self.directory, self.port), "-c", "fsync=off"], stdout=log, stderr=log
            )
        wait_for(self.answers, "PostgreSQL")

    def answers(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGINT)  # "fast": sessions are ended
        self.process.wait(timeout=60)

    def connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, password=PASSWORD, dbname=database, autocommit=True
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    it = Server(tmp_path_factory.mktemp("postgres") / "data", free_port())
    it.start()
    yield it
    it.stop()


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> str:
    """Make a database of this test's own."""
    name = f"db_{abs(hash(request.node.name))}"
    with server.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Make a directory with the platform's own first migration in it."""
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / SOURCE_MIGRATION.name).write_bytes(SOURCE_MIGRATION.read_bytes())
    return directory


@pytest.fixture
def ansible(server: Server, database: str, migrations: Path, tmp_path: Path):
    """Run a module through Ansible; returns its result, and keeps all that was printed in ``ansible.output``."""

    def arguments(**options: Any) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": server.port,
            "user": SUPERUSER,
            "password": "{{ secret }}",
            "database": database,
            "sslmode": "disable",
            "directory": str(migrations),
            **options,
        }

    def environment() -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log"),
        }

    def start(module: str = "rds_schema", *flags: str, **options: Any) -> subprocess.Popen[str]:
        keep = {
            "ansible.builtin.copy": {
                "content": "{{ result | to_json }}",
                "dest": str(tmp_path / "result.json"),
                "mode": "0600",
            },
            "check_mode": False,
            "diff": False,
        }
        call = {f"ironbook.trading.{module}": arguments(**options), "register": "result"}
        play = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"block": [call], "always": [keep]}]}]
        (tmp_path / "play.yml").write_text(json.dumps(play))
        (tmp_path / "secret.json").write_text(
            json.dumps({"secret": PASSWORD, "ansible_python_interpreter": sys.executable})
        )
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"@{tmp_path}/secret.json",
            *flags,
            str(tmp_path / "play.yml"),
        ]
        # Not in the checkout: its ansible.cfg is not under test.
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(module: str = "rds_schema", *flags: str, **options: Any) -> dict[str, Any]:
        (tmp_path / "result.json").unlink(missing_ok=True)
        process = start(module, *flags, **options)
        run.output, _nothing = process.communicate(timeout=120)
        assert (tmp_path / "result.json").exists(), run.output
        return json.loads((tmp_path / "result.json").read_text())

    run.start = start
    run.output = ""
    return run


@pytest.fixture
def module(server: Server, database: str, migrations: Path):
    """Run a module in a process of its own, without the second that Ansible needs to start; returns its result."""

    def run(name: str = "rds_schema", **options: Any) -> dict[str, Any]:
        process = run_module_process(server, options.pop("database", database), migrations, name, **options)
        output, errors = process.communicate(timeout=60)
        assert output, errors
        return json.loads(output)

    return run


def collections_path() -> Path:
    """Where the checkout is linked as a collection."""
    return Path(sys.prefix) / "collections"


def add(migrations: Path, name: str, text: str) -> None:
    (migrations / name).write_text(text)


def columns(connection: psycopg.Connection[Any], table: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale, column_default, "
        "is_nullable"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
        (table,),
    ).fetchall()


def tables(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    return {row[0] for row in rows}


def primary_key(connection: psycopg.Connection[Any], table: str) -> list[str]:
    rows = connection.execute(
        "SELECT k.column_name FROM information_schema.table_constraints c JOIN information_schema.key_column_usage k"
        " USING (constraint_schema, constraint_name) WHERE c.constraint_type = 'PRIMARY KEY' AND c.table_name = %s",
        (table,),
    ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.feature("RDB-30", by="P")
def test_trades_is_the_source_documents_table(server: Server, database: str, ansible) -> None:
    assert ansible()["changed"]
    with server.connect(database) as connection:
        assert columns(connection, "trades") == [
            ("id", "integer", None, 32, 0, "nextval('trades_id_seq'::regclass)", "NO"),
            ("symbol", "character varying", 10, None, None, None, "YES"),
            ("quantity", "integer", None, 32, 0, None, "YES"),
            ("price", "numeric", None, 10, 2, None, "YES"),
            ("timestamp", "timestamp without time zone", None, None, None, "CURRENT_TIMESTAMP", "YES"),
        ]
        assert primary_key(connection, "trades") == ["id"]


@pytest.mark.feature("RDB-31", by="P")
def test_portfolios_is_the_source_documents_table(server: Server, database: str, module) -> None:
    assert module()["changed"]
    with server.connect(database) as connection:
        assert columns(connection, "portfolios") == [
            ("id", "integer", None, 32, 0, "nextval('portfolios_id_seq'::regclass)", "NO"),
            ("client_id", "character varying", 50, None, None, None, "YES"),
            ("symbol", "character varying", 10, None, None, None, "YES"),
            ("position", "integer", None, 32, 0, None, "YES"),
            ("avg_cost", "numeric", None, 10, 2, None, "YES"),
        ]
        assert primary_key(connection, "portfolios") == ["id"]


def test_every_migration_of_the_platform_applies_and_a_second_run_changes_nothing(module) -> None:
    files = sorted(path.name for path in SOURCE_MIGRATION.parent.glob("*.sql"))
    first = module(directory=str(SOURCE_MIGRATION.parent))
    assert first["current_version"] == len(files)
    assert [action.split()[1] for action in first["actions"]] == files
    assert not module(directory=str(SOURCE_MIGRATION.parent))["changed"]


def test_the_second_run_changes_nothing_and_info_agrees(ansible) -> None:
    first = ansible()
    assert first["actions"] == ["apply V0001__trades_and_portfolios.sql (2 statements)"]
    assert [row["version"] for row in first["applied"]] == [1]
    assert first["applied"][0]["statements"] == 2 and len(first["applied"][0]["sha256"]) == 64
    second = ansible()
    assert (second["changed"], second["actions"], second["current_version"], second["pending"]) == (False, [], 1, [])
    info = ansible("rds_schema_info")
    assert (info["changed"], info["current_version"], info["pending"], info["problem"]) == (False, 1, [], None)
    assert info["history"][0]["sha256"] == first["applied"][0]["sha256"]
    assert info["server"]["in_recovery"] is False


def test_an_edited_migration_is_refused_by_name_with_both_hashes(module, migrations: Path) -> None:
    applied = module()["applied"][0]["sha256"]
    file = migrations / SOURCE_MIGRATION.name
    file.write_bytes(file.read_bytes() + b"\n-- a harmless remark\n")
    result = module()
    assert result["failed"] and not result["changed"]
    assert "V0001__trades_and_portfolios.sql was edited after it was applied" in result["msg"]
    assert applied in result["msg"] and "\n" not in result["msg"]
    assert "was edited" in module("rds_schema_info")["problem"]


@pytest.mark.feature("RDB-32", by="P", part="a failing migration rolls back")
def test_a_failing_migration_leaves_nothing_and_the_one_before_stays(
    server: Server, database: str, module, migrations: Path
) -> None:
    add(migrations, "V0002__half.sql", "CREATE TABLE half (a int);\nINSERT INTO nowhere VALUES (1);")
    result = module()
    assert result["failed"] and result["changed"]  # 0001 went in, and the result says so
    assert [row["version"] for row in result["applied"]] == [1]
    assert 'V0002__half.sql: relation "nowhere" does not exist (SQLSTATE 42P01, statement 2)' in result["msg"]
    with server.connect(database) as connection:
        assert "public.half" not in tables(connection)
    add(migrations, "V0002__half.sql", "CREATE TABLE half (a int);")
    assert module()["current_version"] == 2


def test_check_mode_prints_the_sql_changes_nothing_and_waits_for_nobody(
    server: Server, database: str, ansible, migrations: Path
) -> None:
    ansible()
    add(migrations, "V0002__widen.sql", "ALTER TABLE trades ALTER COLUMN quantity TYPE bigint;")
    with server.connect(database) as other, other.transaction():
        # Somebody holds everything that a migration would ask for: its runner's lock, and the tables themselves.
        other.execute("LOCK TABLE trades, portfolios IN ACCESS EXCLUSIVE MODE")
        held = advisory_key("ironbook", "schema_history")
        assert other.execute("SELECT pg_try_advisory_lock(%s)", (held,)).fetchone() == (True,)
        began = time.monotonic()
        result = ansible("rds_schema", "--check", "--diff")
        assert time.monotonic() - began < 20
    assert result["changed"] and result["pending"] == ["V0002__widen.sql"] and result["current_version"] == 1
    assert "ALTER TABLE trades ALTER COLUMN quantity TYPE bigint;" in ansible.output
    with server.connect(database) as connection:
        assert columns(connection, "trades")[2][1] == "integer"
        assert connection.execute("SELECT max(version) FROM ironbook.schema_history").fetchone() == (1,)


def test_check_mode_holds_one_shared_lock_on_the_history_and_no_other(server: Server, database: str, ansible) -> None:
    """Stop the check in the middle, at the only thing it reads, and look at pg_locks."""
    ansible()
    with server.connect(database) as other, server.connect(database) as watcher:
        with other.transaction():
            other.execute("LOCK TABLE ironbook.schema_history IN ACCESS EXCLUSIVE MODE")
            process = ansible.start("rds_schema", "--check")
            locks = wait_for(lambda: waiting_locks(watcher), "a lock that is waited for")
        process.communicate(timeout=60)
    assert locks == [
        ("relation", "schema_history", "AccessShareLock", False),
        ("virtualxid", None, "ExclusiveLock", True),
    ]


def test_a_reading_session_cannot_write_even_if_it_tries(server: Server, database: str) -> None:
    from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema import database as sessions  # noqa: PLC0415
    from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError  # noqa: PLC0415

    address = sessions.Address("127.0.0.1", server.port, SUPERUSER, PASSWORD, database, "disable")
    with (
        pytest.raises(SchemaError, match="25006"),
        sessions.connect(address, "ironbook", "schema_history", read_only=True) as session,
    ):
        session.connection.execute("CREATE TABLE t (a int)")


def test_check_mode_of_an_empty_database_creates_nothing(server: Server, database: str, ansible) -> None:
    result = ansible("rds_schema", "--check", "--diff")
    assert result["changed"] and result["current_version"] == 0 and result["applied"] == []
    assert "CREATE TABLE portfolios" in ansible.output
    with server.connect(database) as connection:
        assert tables(connection) == set()


@pytest.mark.feature("RDB-32", by="P", part="two concurrent runs apply once")
def test_two_runners_at_once_apply_once(server: Server, database: str, migrations: Path) -> None:
    add(migrations, "V0002__slow.sql", "SELECT pg_sleep(1.5); CREATE TABLE slow (a int);")
    runners = [run_module_process(server, database, migrations) for _ in range(3)]
    results = [json.loads(runner.communicate(timeout=60)[0]) for runner in runners]
    assert [result.get("msg") for result in results] == [None] * 3
    assert sorted(len(result["applied"]) for result in results) == [0, 0, 2]
    assert {result["current_version"] for result in results} == {2}
    with server.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM ironbook.schema_history").fetchone() == (2,)


def test_a_second_runner_names_the_holder_after_its_deadline(server: Server, database: str, migrations: Path) -> None:
    with server.connect(database) as other:
        pid = other.info.backend_pid
        other.execute("SELECT pg_advisory_lock(%s)", (advisory_key("ironbook", "schema_history"),))
        runner = run_module_process(server, database, migrations, lock_wait_seconds=1)
        result = json.loads(runner.communicate(timeout=60)[0])
    assert result["failed"] and f"server process {pid} " in result["msg"] and "\n" not in result["msg"]
    with server.connect(database) as connection:
        assert tables(connection) == set()


def test_readers_behind_a_long_reader_never_wait_much_longer_than_the_lock_timeout(
    server: Server, database: str, module, migrations: Path
) -> None:
    module()
    add(migrations, "V0002__widen.sql", "ALTER TABLE trades ALTER COLUMN quantity TYPE bigint;")
    worst: list[float] = []
    stop = threading.Event()

    def read() -> None:
        with server.connect(database) as connection:
            while not stop.is_set():
                began = time.monotonic()
                connection.execute("SELECT count(*) FROM trades").fetchone()
                worst.append(time.monotonic() - began)
                stop.wait(0.005)

    reader = threading.Thread(target=read, daemon=True)
    tries: set[Any] = set()
    with server.connect(database) as long_reader, server.connect(database) as watcher:
        long_reader.execute("BEGIN")
        long_reader.execute("SELECT count(*) FROM trades")  # ACCESS SHARE until its transaction ends
        reader.start()
        runner = run_module_process(server, database, migrations)
        wait_for(lambda: tries.update(waiting_transactions(watcher)) or tries, "a first try")
        began = time.monotonic()
        wait_for(
            lambda: tries.update(waiting_transactions(watcher)) or (len(tries) > 3 and time.monotonic() - began > 3),
            "more than three tries in three seconds",
        )
        held = time.monotonic() - began
        assert runner.poll() is None, "the migration cannot be through while the reader holds its lock"
        long_reader.execute("COMMIT")
    result = json.loads(runner.communicate(timeout=60)[0])
    stop.set()
    reader.join()
    assert result["current_version"] == 2 and result["applied"][0]["retries"] >= 3
    # Without the retries a reader would wait as long as the lock is held. With them it waits for the lock_timeout of
    # 100 ms, and for whatever else a busy machine does meanwhile: on a quiet one 0.1 s, and this bound is its slack.
    assert max(worst) < held / 2, f"a reader waited {max(worst):.3f} s of {held:.3f} s"
    with server.connect(database) as connection:
        assert columns(connection, "trades")[2][1] == "bigint"


def test_a_lock_that_never_comes_free_ends_in_one_line_that_names_the_holder(
    server: Server, database: str, module, migrations: Path
) -> None:
    module()
    add(migrations, "V0002__widen.sql", "ALTER TABLE trades ALTER COLUMN quantity TYPE bigint;")
    with server.connect(database) as other, other.transaction():
        other.execute("SELECT count(*) FROM trades")
        result = module(lock_retries=2)
        assert result["failed"] and f"process {other.info.backend_pid} " in result["msg"]
        assert "55P03" in result["msg"] and "3 times" in result["msg"] and "\n" not in result["msg"]
    assert module()["current_version"] == 2


def test_kill_9_in_the_middle_leaves_all_or_nothing(server: Server, database: str, migrations: Path) -> None:
    add(migrations, "V0002__slow.sql", "CREATE TABLE slow (a int); SELECT pg_sleep(30); CREATE TABLE late (a int);")
    runner = run_module_process(server, database, migrations)
    with server.connect(database) as watcher:
        wait_for(lambda: is_running(watcher, "SELECT pg_sleep(30)"), "the migration, in its middle")
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()
        # The server notices that nobody listens, rolls back, and lets go of the advisory lock, long before the 30 s are
        # over.
        key = advisory_key("ironbook", "schema_history")
        taken = "SELECT pg_try_advisory_lock(%s)"
        wait_for(lambda: watcher.execute(taken, (key,)).fetchone() == (True,), "the runner's lock", seconds=10)
        watcher.execute("SELECT pg_advisory_unlock_all()")
        assert tables(watcher) == {"ironbook.schema_history", "public.trades", "public.portfolios"}
        assert watcher.execute("SELECT max(version) FROM ironbook.schema_history").fetchone() == (1,)
    add(migrations, "V0002__slow.sql", "CREATE TABLE slow (a int); CREATE TABLE late (a int);")
    result = json.loads(run_module_process(server, database, migrations).communicate(timeout=60)[0])
    assert result["current_version"] == 2


def test_an_index_without_a_transaction_and_its_dirty_mark(
    server: Server, database: str, module, migrations: Path
) -> None:
    with server.connect(database) as connection:
        module()
        connection.execute("INSERT INTO trades (symbol) VALUES ('AAPL'), ('AAPL')")
        add(
            migrations,
            "V0002__index.sql",
            "-- ironbook: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY trades_symbol ON trades (symbol);\n",
        )
        broken = module()
        assert broken["failed"] and "23505" in broken["msg"] and "dirty" in broken["msg"]
        assert connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'trades_symbol'::regclass"
        ).fetchone() == (False,)
        stopped = module()
        assert stopped["failed"] and "V0002__index.sql is dirty" in stopped["msg"] and "retry_dirty" in stopped["msg"]
        assert module("rds_schema_info")["dirty"] == ["V0002__index.sql"]
        connection.execute("DELETE FROM trades WHERE id = 2")
        again = module(retry_dirty=True)
        assert again["current_version"] == 2
        assert connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'trades_symbol'::regclass"
        ).fetchone() == (True,)
        assert connection.execute("SELECT state FROM ironbook.schema_history WHERE version = 2").fetchone() == (
            "applied",
        )
        assert not module()["changed"]


def test_a_history_that_cannot_be_written_is_not_called_dirty(
    server: Server, database: str, module, migrations: Path
) -> None:
    module()
    with server.connect(database) as connection:
        connection.execute("ALTER TABLE ironbook.schema_history ADD CHECK (version < 2)")
        add(
            migrations,
            "V0002__index.sql",
            "-- ironbook: no-transaction\nCREATE INDEX CONCURRENTLY trades_symbol ON trades (symbol);\n",
        )
        result = module()
        assert result["failed"] and "23514" in result["msg"], result
        assert "nothing of it is in the database" in result["msg"] and "dirty" not in result["msg"]
        assert module("rds_schema_info")["dirty"] == []
        assert connection.execute("SELECT to_regclass('trades_symbol')").fetchone() == (None,)


def test_a_standby_is_refused(server: Server, database: str, module) -> None:
    (server.directory / "standby.signal").touch()
    server.stop()
    try:
        server.start()
        result = module()
    finally:
        (server.directory / "standby.signal").unlink()
        server.stop()
        server.start()
    assert result["failed"] and "standby" in result["msg"] and "writer" in result["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 1}, ["127.0.0.1:1", "refused", "running"]),
        ({"password": "wrong"}, ["password authentication failed", "Check the user"]),
        ({"database": "no_such"}, ['database "no_such" does not exist', "that the database is there"]),
        ({"password": None}, ["Give the password"]),
        ({"host": "no-such-host.invalid"}, ["Is the host name right?"]),
        ({"sslmode": "require"}, ["does not support SSL", "sslmode=disable"]),
    ],
)
def test_a_database_that_refuses_is_one_line(module, options: dict[str, Any], words: list[str]) -> None:
    result = module(**options)
    assert result["failed"] and "\n" not in result["msg"]
    for word in words:
        assert word in result["msg"]


def test_tls_is_asked_for_unless_told_otherwise(server: Server, database: str, migrations: Path) -> None:
    runner = run_module_process(server, database, migrations, sslmode=None)
    result = json.loads(runner.communicate(timeout=60)[0])
    assert result["failed"], "the default must not speak to a server without TLS"


def test_the_password_is_nowhere(server: Server, database: str, ansible, tmp_path: Path, migrations: Path) -> None:
    add(migrations, "V0002__slow.sql", "SELECT pg_sleep(2);")
    process = ansible.start("rds_schema", "-vvv", "--diff")
    with server.connect(database) as watcher:
        wait_for(lambda: is_running(watcher, "SELECT pg_sleep(2)"), "the migration, in its middle")
    seen = b"".join(read_or_empty(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    output, _nothing = process.communicate(timeout=60)
    assert b"ansible-playbook" in seen
    assert PASSWORD.encode() not in seen
    assert PASSWORD not in output
    for name in ("result.json", "ansible.log"):
        assert PASSWORD not in (tmp_path / name).read_text()
    assert PASSWORD not in (server.directory.parent / "server.log").read_text()


def is_running(watcher: psycopg.Connection[Any], query: str) -> bool:
    row = watcher.execute("SELECT 1 FROM pg_stat_activity WHERE starts_with(query, %s)", (query,)).fetchone()
    return row is not None


def read_or_empty(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended meanwhile
        return b""


def advisory_key(schema: str, table: str) -> int:
    from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.database import Database  # noqa: PLC0415

    return Database._lock_key(type("Names", (), {"history_schema": schema, "history_table": table})())


def waiting_transactions(watcher: psycopg.Connection[Any]) -> set[Any]:
    """Return when the module's transaction that waits for a lock now began: each try is a transaction of its own."""
    rows = watcher.execute(
        "SELECT a.xact_start FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
        " WHERE NOT l.granted AND a.application_name LIKE 'ironbook rds_schema%'"
    ).fetchall()
    return {row[0] for row in rows}


def waiting_locks(watcher: psycopg.Connection[Any]) -> list[tuple[Any, ...]] | None:
    """All locks of the module's session, once it waits for one."""
    rows = watcher.execute(
        "SELECT locktype, c.relname, mode, granted FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " LEFT JOIN pg_class c ON c.oid = l.relation WHERE a.application_name LIKE 'ironbook rds_schema%' ORDER BY 1, 2"
    ).fetchall()
    return rows if any(not granted for *_rest, granted in rows) else None


def run_module_process(
    server: Server, database: str, migrations: Path, name: str = "rds_schema", **options: Any
) -> subprocess.Popen[str]:
    """Start the module itself, as Ansible would, in a process of its own that a test can kill."""
    arguments = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": SUPERUSER,
        "password": PASSWORD,
        "database": database,
        "sslmode": "disable",
        "directory": str(migrations),
        **options,
    }
    arguments = {key: value for key, value in arguments.items() if value is not None}
    module = collections_path() / "ansible_collections/ironbook/trading/plugins/modules" / f"{name}.py"
    process = subprocess.Popen(
        [sys.executable, str(module)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(collections_path())},
    )
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process.stdin.close()
    process.stdin = None
    return process
