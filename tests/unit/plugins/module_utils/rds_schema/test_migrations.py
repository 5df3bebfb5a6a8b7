# SPDX-License-Identifier: GPL-3.0-or-later
"""What a migration file may be called and may hold."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.migrations import (
    load_migrations,
    parse_migration,
)

NO_TRANSACTION = b"-- ironbook: no-transaction\n"


def test_the_servers_own_parser_splits_the_statements() -> None:
    content = (
        "-- é; not a statement\nSELECT ';';\n\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\n-- end"
    )
    migration = parse_migration("V0007__a_name.sql", content.encode())
    assert migration.statements == ("SELECT ';'", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$")
    assert (migration.version, migration.name, migration.in_transaction) == (7, "a_name", True)
    assert migration.sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert migration.file_name == "V0007__a_name.sql"


def test_one_byte_more_is_another_migration() -> None:
    one, other = (parse_migration("V0001__a.sql", text) for text in (b"SELECT 1;", b"SELECT 1;\n"))
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    "name", ["V1__a.sql", "V0000__a.sql", "V0001_a.sql", "V0001__A.sql", "v0001__a.sql", "V0001__.sql", "a.sql"]
)
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(SchemaError, match=r"V0001__lower_case_name\.sql"):
        parse_migration(name, b"SELECT 1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no statement"),
        (b"-- nothing\n", "no statement"),
        (b"SELECT 1;\nSELCT 2;", r"V0001__a\.sql:2: syntax error at or near .SELCT"),
        (b"SELECT '\xff'", "not UTF-8 at byte 8"),
        (b"BEGIN; SELECT 1; COMMIT;", "BEGIN, COMMIT and ROLLBACK are the runner's"),
        (b"SET search_path = x", "SET LOCAL"),
        (b"RESET ALL", "SET LOCAL"),
        (b"SET LOCAL lock_timeout = 0", "lock_timeout"),
        (b"CREATE ROLE a PASSWORD 'x'", "a password does not belong"),
        (b"ALTER ROLE a PASSWORD 'x'", "a password does not belong"),
        (b"CREATE INDEX CONCURRENTLY i ON t (a)", "no-transaction"),
        (b"DROP INDEX CONCURRENTLY i", "no-transaction"),
        (b"REINDEX INDEX CONCURRENTLY i", "no-transaction"),
        (NO_TRANSACTION + b"CREATE TABLE t (a int)", "only CREATE, DROP and REINDEX INDEX CONCURRENTLY"),
        (NO_TRANSACTION + b"DROP INDEX CONCURRENTLY i; DROP INDEX CONCURRENTLY j", "one statement"),
        (NO_TRANSACTION + b"CREATE INDEX CONCURRENTLY ON t (a)", "name the index"),
    ],
)
def test_what_breaks_a_promise_is_refused_in_one_line(content: bytes, words: str) -> None:
    with pytest.raises(SchemaError, match=words) as caught:
        parse_migration("V0001__a.sql", content)
    assert "V0001__a.sql" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"SET LOCAL work_mem = '64MB'; SELECT 1", b"ALTER ROLE a PASSWORD NULL", b"CREATE INDEX i ON t (a)"]
)
def test_what_keeps_them_is_accepted(content: bytes) -> None:
    assert parse_migration("V0001__a.sql", content).in_transaction


def test_the_index_that_a_failure_would_leave_is_known() -> None:
    migration = parse_migration("V0001__a.sql", NO_TRANSACTION + b"CREATE INDEX CONCURRENTLY i ON s.t (a)")
    assert (migration.in_transaction, migration.creates_index) == (False, "s.i")
    migration = parse_migration("V0001__a.sql", NO_TRANSACTION + b"DROP INDEX CONCURRENTLY i")
    assert migration.creates_index is None


def write(directory: Path, *names: str) -> str:
    for name in names:
        (directory / name).write_text("SELECT 1;")
    return str(directory)


def test_a_directory_is_read_in_order_and_other_files_are_left_alone(tmp_path: Path) -> None:
    found = load_migrations(write(tmp_path, "V0002__b.sql", "V0001__a.sql", "README.md"))
    assert [migration.version for migration in found] == [1, 2]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "holds no migration"),
        (("V0002__a.sql",), "leaves a gap: version 0001"),
        (("V0001__a.sql", "V0003__c.sql"), "V0003__c.sql leaves a gap: version 0002"),
        (("V0001__a.sql", "V0001__b.sql"), "V0001__a.sql and V0001__b.sql have the same version"),
        (("V0001__a.sql", "mistake.sql"), "mistake.sql"),
    ],
)
def test_a_directory_that_contradicts_itself_is_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        load_migrations(write(tmp_path, *names))


def test_a_missing_directory_is_named() -> None:
    with pytest.raises(SchemaError, match="/no/such is not a directory"):
        load_migrations("/no/such")
