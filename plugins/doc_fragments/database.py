# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module reaches a PostgreSQL database."""

from __future__ import annotations


class ModuleDocFragment:
    """Shared by rds_schema and rds_schema_info."""

    DOCUMENTATION = r"""
options:
  host:
    description: Host name or address of the server. For RDS the endpoint's own name, which is the one in its
      certificate.
    type: str
    required: true
  port:
    description: TCP port of the server.
    type: int
    default: 5432
  user:
    description: Database user.
    type: str
    required: true
  password:
    description: Password of the user. It never enters an output, a log or a process list.
    type: str
  database:
    description: Name of the database.
    type: str
    required: true
  sslmode:
    description:
      - How the connection is protected, as libpq understands it.
      - V(disable) is for a server on this machine that offers no TLS.
    type: str
    choices: [disable, require, verify-ca, verify-full]
    default: verify-full
  ca_certificate:
    description: Path of the certificate authority's bundle. For RDS its global bundle; V(system) trusts what the
      machine trusts.
    type: path
  connect_timeout_seconds:
    description: How long to wait for the server to answer.
    type: int
    default: 10
  history_schema:
    description: Schema of the history table. It is created with the first migration if it is not there.
    type: str
    default: ironbook
  history_table:
    description: Name of the history table.
    type: str
    default: schema_history
requirements:
  - psycopg >= 3.2
  - pglast >= 8.0
"""
