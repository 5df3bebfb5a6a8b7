# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that rds_schema and rds_schema_info share; documented in doc_fragments/database.py."""

from __future__ import annotations

from typing import Any

DATABASE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "database": {"type": "str", "required": True},
    "sslmode": {"type": "str", "default": "verify-full", "choices": ["disable", "require", "verify-ca", "verify-full"]},
    "ca_certificate": {"type": "path"},
    "connect_timeout_seconds": {"type": "int", "default": 10},
    "history_schema": {"type": "str", "default": "ironbook"},
    "history_table": {"type": "str", "default": "schema_history"},
}
