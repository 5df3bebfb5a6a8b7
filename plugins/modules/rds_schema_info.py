#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the version of a PostgreSQL database's schema."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_schema_info
short_description: Read the version of a PostgreSQL database's schema
version_added: 0.1.0
description:
  - Reads the history that M(ironbook.trading.rds_schema) keeps, in a read-only session.
  - With O(directory) it also says which files are pending, and whether files and history contradict each other.
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - ironbook.trading.database
attributes:
  check_mode:
    description: The module only reads.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  directory:
    description: Directory with the migration files to compare the history with.
    type: path
seealso:
  - module: ironbook.trading.rds_schema
"""

EXAMPLES = r"""
- name: Read the version of the trading database
  ironbook.trading.rds_schema_info:
    host: "{{ rds_schema_host }}"
    user: trading_admin
    password: "{{ rds_schema_password }}"
    database: trading_platform
"""

RETURN = r"""
current_version:
  description: Newest version that is applied. V(0) is a database without a migration.
  returned: success
  type: int
  sample: 2
history:
  description: The rows of the history, oldest first.
  returned: success
  type: list
  elements: dict
dirty:
  description: Files that began without a transaction and did not come to their end.
  returned: success
  type: list
  elements: str
pending:
  description: Files that are not applied. Empty without O(directory).
  returned: success
  type: list
  elements: str
problem:
  description: Why M(ironbook.trading.rds_schema) would refuse these files; null when it would not, or without
    O(directory).
  returned: success
  type: str
server:
  description: Version (as V(160014)), whether the server is a standby, and whether the session is encrypted.
  returned: success
  type: dict
  sample: {"version": 160014, "in_recovery": false, "tls": true}
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.arguments import DATABASE_ARGUMENTS
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.database import PSYCOPG_IMPORT_ERROR
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.migrations import PGLAST_IMPORT_ERROR
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.service import address_of, inspect


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(DATABASE_ARGUMENTS, directory={"type": "path"}), supports_check_mode=True)
    for library, error in (("psycopg", PSYCOPG_IMPORT_ERROR), ("pglast", PGLAST_IMPORT_ERROR)):
        if error:
            module.fail_json(msg=missing_required_lib(library), exception=str(error))
    names = (module.params["directory"], module.params["history_schema"], module.params["history_table"])
    try:
        module.exit_json(changed=False, **inspect(address_of(module.params), *names))
    except SchemaError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
