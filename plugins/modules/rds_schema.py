#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a PostgreSQL database to a version of its schema."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_schema
short_description: Bring a PostgreSQL database to a version of its schema
version_added: 0.1.0
description:
  - Applies versioned SQL files C(V0001__name.sql), each in one transaction together with its row in the history table,
    so that a migration is in the database and in the history, or in neither.
  - A file is known by the SHA-256 of its content. A file that was edited after it was applied is refused.
  - One runner at a time, by a session advisory lock. Locks on tables are waited for briefly and asked for again,
    so that a migration behind a long reader does not make every other reader wait behind the migration.
  - >-
    A file with the line C(-- ironbook: no-transaction) holds one CREATE, DROP or REINDEX INDEX CONCURRENTLY. It is
    recorded as dirty before it runs and as applied after, and a dirty one stops the next run.
  - The session must reach the server itself, or through a pooler in session mode. A pooler in transaction mode loses
    the advisory lock.
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - ironbook.trading.database
attributes:
  check_mode:
    description: Prints the SQL that would run, from a read-only session that takes no advisory lock and no lock on any
      table but the shared one of a SELECT on the history table.
    support: full
  diff_mode:
    description: Shows the SQL of each migration that is applied.
    support: full
options:
  directory:
    description: Directory with the migration files.
    type: path
    required: true
  target:
    description: Version to stop at. The newest file if it is not given.
    type: int
  lock_timeout_ms:
    description: How long one statement may wait for a lock on a table, and thereby keep others waiting.
    type: int
    default: 100
  lock_retries:
    description: How often a transaction that did not get a lock, or was chosen in a deadlock, is tried again, with
      growing pauses up to 1 s.
    type: int
    default: 60
  statement_timeout_ms:
    description: How long one statement may run. V(0) is without a limit. Files without a transaction have none.
    type: int
    default: 60000
  lock_wait_seconds:
    description: How long to wait for another runner to finish.
    type: int
    default: 30
  retry_dirty:
    description: Run a dirty version again, after you looked at what it left. An INVALID index of its name is dropped
      first.
    type: bool
    default: false
seealso:
  - module: ironbook.trading.rds_schema_info
"""

EXAMPLES = r"""
- name: Bring the trading database to the newest version
  ironbook.trading.rds_schema:
    host: "{{ rds_schema_host }}"
    user: trading_admin
    password: "{{ rds_schema_password }}"
    database: trading_platform
    ca_certificate: /etc/ironbook/rds-global-bundle.pem
    directory: /opt/ironbook/migrations

- name: Show what would run
  ironbook.trading.rds_schema:
    host: 127.0.0.1
    port: 21001
    user: trading_admin
    password: "{{ rds_schema_password }}"
    database: trading_platform
    sslmode: disable
    directory: /opt/ironbook/migrations
  check_mode: true
  diff: true
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: ["apply V0001__trades_and_portfolios.sql (2 statements)"]
applied:
  description: The migrations that this call applied.
  returned: always
  type: list
  elements: dict
  contains:
    version:
      description: Number of the migration.
      type: int
    name:
      description: Name of the migration.
      type: str
    sha256:
      description: Hash of the file.
      type: str
    statements:
      description: Number of statements.
      type: int
    duration_ms:
      description: How long the successful try took.
      type: int
    retries:
      description: How many tries before it did not get their locks.
      type: int
current_version:
  description: Version of the database at the end of the call. V(0) is a database without a migration.
  returned: success
  type: int
  sample: 2
pending:
  description: The files that are not applied at the end of the call.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.arguments import DATABASE_ARGUMENTS
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.database import PSYCOPG_IMPORT_ERROR
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.migrations import PGLAST_IMPORT_ERROR
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.service import address_of, migrate, options_of

ARGUMENTS = dict(
    DATABASE_ARGUMENTS,
    directory={"type": "path", "required": True},
    target={"type": "int"},
    lock_timeout_ms={"type": "int", "default": 100},
    lock_retries={"type": "int", "default": 60},
    statement_timeout_ms={"type": "int", "default": 60000},
    lock_wait_seconds={"type": "int", "default": 30},
    retry_dirty={"type": "bool", "default": False},
)


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    for library, error in (("psycopg", PSYCOPG_IMPORT_ERROR), ("pglast", PGLAST_IMPORT_ERROR)):
        if error:
            module.fail_json(msg=missing_required_lib(library), exception=str(error))
    try:
        module.exit_json(**migrate(address_of(module.params), options_of(module.params), module.check_mode))
    except SchemaError as exc:
        module.fail_json(msg=str(exc), applied=exc.applied, changed=bool(exc.applied))


if __name__ == "__main__":
    main()
