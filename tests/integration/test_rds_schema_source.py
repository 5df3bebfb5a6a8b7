# SPDX-License-Identifier: GPL-3.0-or-later
"""The first migration, as the schema runner applies it: no key and no rule beyond those of the source document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ironbook.postgres import SUPERUSER
from venue import MIGRATIONS, PASSWORD, Venue

pytestmark = pytest.mark.integration

# Constraints (NOT NULL is read with the columns), indexes, and triggers, of one table, by their definitions.
RULES = """SELECT contype::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = %(table)s::regclass AND contype <> 'n'
    UNION ALL SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %(table)s::regclass
    UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %(table)s::regclass
    ORDER BY 1, 2"""


def migrate(venue: Venue, database: str, directory: Path) -> None:
    """Run rds_schema's own runner with the files of a directory."""
    from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema import service  # noqa: PLC0415
    from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.database import Address  # noqa: PLC0415

    address = Address("127.0.0.1", venue.postgres_port, SUPERUSER, PASSWORD, database, "disable")
    options = service.Options(
        directory=str(directory), target=1, history_schema="ironbook", history_table="schema_history",
        lock_timeout_ms=100, lock_retries=1, statement_timeout_ms=10_000, lock_wait_seconds=10, retry_dirty=False,
    )  # fmt: skip
    assert service.migrate(address, options, check_mode=False)["changed"]


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """Only its PostgreSQL."""
    with Venue() as made:
        made.start_postgres()
        yield made


@pytest.fixture
def source(venue: Venue, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """Make a database where the first migration was applied, and a schema named like its user stood in the way."""
    name = f"db_{abs(hash(request.node.name))}"
    with venue.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    with venue.connect(name) as connection:
        connection.execute(f"CREATE SCHEMA {SUPERUSER}")  # type: ignore[arg-type]
        migrate(venue, name, MIGRATIONS[0].parent)
        yield connection


@pytest.mark.feature("RDB-30", by="P")
def test_trades_has_its_primary_key_and_no_other_rule(source: psycopg.Connection[Any]) -> None:
    assert source.execute(RULES, {"table": "public.trades"}).fetchall() == [
        ("index", "CREATE UNIQUE INDEX trades_pkey ON public.trades USING btree (id)"),
        ("p", "PRIMARY KEY (id)"),
    ]


@pytest.mark.feature("RDB-31", by="P")
def test_portfolios_has_its_primary_key_and_no_other_rule(source: psycopg.Connection[Any]) -> None:
    assert source.execute(RULES, {"table": "public.portfolios"}).fetchall() == [
        ("index", "CREATE UNIQUE INDEX portfolios_pkey ON public.portfolios USING btree (id)"),
        ("p", "PRIMARY KEY (id)"),
    ]


def test_a_migration_makes_its_tables_in_public_whatever_the_users_own_schema(source: psycopg.Connection[Any]) -> None:
    rows = source.execute("SELECT schemaname, tablename FROM pg_tables WHERE tablename IN ('trades', 'portfolios')")
    assert sorted(rows.fetchall()) == [("public", "portfolios"), ("public", "trades")]
