# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration files: what they are called, what they hold, and what they may not hold.

A migration is one file ``V0001__name.sql``. Its identity is the SHA-256 of its bytes, comments included: a file that
was applied is a record, and a record does not change. Statements are split and classified by PostgreSQL's own parser
(PyPI ``pglast``), so a semicolon in a string, a comment or a function body is what the server thinks it is.

Nothing here talks to a database.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import SchemaError

try:
    from pglast import ast, parser

    PGLAST_IMPORT_ERROR: Exception | None = None
except ImportError as exc:  # reported by the module as a missing library
    PGLAST_IMPORT_ERROR = exc

FILE_NAME = re.compile(r"V(?P<version>[0-9]{4})__(?P<name>[a-z0-9][a-z0-9_]*)\.sql")
NO_TRANSACTION = "-- ironbook: no-transaction"
"""A line of its own. The file's one statement then runs outside a transaction, which CREATE INDEX CONCURRENTLY
demands."""

TIMEOUTS = ("lock_timeout", "statement_timeout")


@dataclass(frozen=True)
class Migration:
    """One file: what runs, and the hash by which it is known."""

    version: int
    name: str
    sha256: str
    text: str
    statements: tuple[str, ...]
    in_transaction: bool
    creates_index: str | None = None
    """The index that a concurrent CREATE INDEX leaves INVALID when it fails."""

    @property
    def file_name(self) -> str:
        """``V0001__name.sql``."""
        return f"V{self.version:04d}__{self.name}.sql"


def load_migrations(directory: str) -> list[Migration]:
    """Read every migration of a directory, in the order of their versions.

    Versions must be 1, 2, 3 … without a gap: two branches that both add "the next one" are found here, and not in
    production.

    Raises:
        SchemaError: the directory, a name, a version or a statement is not what it must be.

    """
    path = Path(directory)
    if not path.is_dir():
        raise SchemaError(f"{directory} is not a directory of migrations")
    found: dict[int, Migration] = {}
    for file in sorted(path.iterdir()):
        if file.suffix.lower() != ".sql":
            continue
        migration = parse_migration(file.name, file.read_bytes())
        other = found.get(migration.version)
        if other:
            raise SchemaError(f"{other.file_name} and {file.name} have the same version: renumber one of them")
        found[migration.version] = migration
    if not found:
        raise SchemaError(f"{directory} holds no migration: the first one is called V0001__<name>.sql")
    for wanted, version in enumerate(sorted(found), start=1):
        if version != wanted:
            raise SchemaError(
                f"{found[version].file_name} leaves a gap: version {wanted:04d} is missing in {directory}"
            )
    return [found[version] for version in sorted(found)]


def parse_migration(file_name: str, content: bytes) -> Migration:
    """Turn the bytes of one file into a migration, or say in one line what is wrong with it.

    Raises:
        SchemaError: the name, the encoding, the SQL, or a statement that this runner may not run.

    """
    match = FILE_NAME.fullmatch(file_name)
    if not match or not int(match["version"]):
        raise SchemaError(f"{file_name}: a migration is called V0001__lower_case_name.sql, with four digits from 0001")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise SchemaError(f"{file_name}: not UTF-8 at byte {exc.start}") from exc
    in_transaction = NO_TRANSACTION not in (line.strip() for line in text.splitlines())
    trees, statements = _parse(file_name, text)
    for tree in trees:
        _refuse(file_name, tree, in_transaction)
    if not in_transaction and len(statements) != 1:
        raise SchemaError(
            f"{file_name}: a no-transaction file holds one statement, so that a failure leaves one thing to look at; "
            f"this one holds {len(statements)}"
        )
    return Migration(
        version=int(match["version"]),
        name=match["name"],
        sha256=hashlib.sha256(content).hexdigest(),
        text=text,
        statements=statements,
        in_transaction=in_transaction,
        creates_index=None if in_transaction else _index_of(file_name, trees[0]),
    )


def _parse(file_name: str, text: str) -> tuple[list[Any], tuple[str, ...]]:
    try:
        trees = [raw.stmt for raw in parser.parse_sql(text)]
        statements = tuple(text[part].strip() for part in parser.split(text, only_slices=True))
    except parser.ParseError as exc:
        raise SchemaError(f"{file_name}:{_line_of(text, exc.args)}: {exc.args[0]}") from exc
    if not statements:
        raise SchemaError(f"{file_name}: no statement in it")
    return trees, statements


def _line_of(text: str, args: tuple[Any, ...]) -> int:
    """Find the line of a parse error, whose index may point at the blank before the word that it names."""
    index = int(args[1]) if len(args) > 1 and args[1] is not None else 0
    while index < len(text) - 1 and text[index].isspace():
        index += 1
    return text.count("\n", 0, index) + 1


def _refuse(file_name: str, tree: Any, in_transaction: bool) -> None:
    """Refuse what would break a promise of this runner: all-or-nothing, bounded lock waits, no secret in a file."""
    if isinstance(tree, ast.TransactionStmt):
        raise SchemaError(
            f"{file_name}: BEGIN, COMMIT and ROLLBACK are the runner's: take them out, a file is one transaction "
            "already"
        )
    if isinstance(tree, ast.VariableSetStmt) and (not tree.is_local or tree.name in TIMEOUTS):
        raise SchemaError(
            f"{file_name}: SET and RESET outlive the file or undo its timeouts: use SET LOCAL, "
            f"and the module's options for {' and '.join(TIMEOUTS)}"
        )
    if isinstance(tree, (ast.CreateRoleStmt, ast.AlterRoleStmt)) and _sets_password(tree):
        raise SchemaError(
            f"{file_name}: a password does not belong in a migration: it would be in the repository, the diff and the "
            "log"
        )
    if is_concurrent(tree) and in_transaction:
        raise SchemaError(
            f"{file_name}: CONCURRENTLY cannot run in a transaction: put it into a file of its own "
            f"with the line '{NO_TRANSACTION}'"
        )
    if not in_transaction and not is_concurrent(tree):
        raise SchemaError(
            f"{file_name}: only CREATE, DROP and REINDEX INDEX CONCURRENTLY run without a transaction: "
            f"take out the line '{NO_TRANSACTION}'"
        )


def _sets_password(tree: Any) -> bool:
    return any(option.defname == "password" and option.arg is not None for option in tree.options or ())


def is_concurrent(tree: Any) -> bool:
    """Tell whether a statement is the concurrent form of an index operation."""
    if isinstance(tree, (ast.IndexStmt, ast.DropStmt)):
        return bool(tree.concurrent)
    if isinstance(tree, ast.ReindexStmt):
        return any(option.defname == "concurrently" for option in tree.params or ())
    return False


def _index_of(file_name: str, tree: Any) -> str | None:
    """Name the index that is being made, qualified; None for DROP and REINDEX."""
    if not isinstance(tree, ast.IndexStmt):
        return None
    if not tree.idxname:
        raise SchemaError(f"{file_name}: name the index, or nobody can tell which one a failure left behind")
    schema = tree.relation.schemaname if tree.relation else None
    return f"{schema}.{tree.idxname}" if schema else str(tree.idxname)
