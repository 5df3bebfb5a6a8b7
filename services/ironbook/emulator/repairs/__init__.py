# SPDX-License-Identifier: GPL-3.0-or-later
"""What moto 5.2.5 answers wrongly or not at all, and the platform needs: one file for each repair.

A repair answers as AWS documents, never as a module happens to need; its docstring names the documentation.  It is
checked against botocore's service model, and a test fails as soon as stock moto no longer needs it.  To add one:
write `<subject>.py` with `apply()`, list it in `REPAIRS` under the service whose first request loads it, and give it
both tests in tests/unit/emulator.

Repairs are applied when the first request for their service arrives, because moto imports a service only then: the
emulator answers within a second of its start, and a service that nobody asks for costs nothing.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

REPAIRS: dict[str, tuple[str, ...]] = {
    "directconnect": ("direct_connect",),
    "dynamodb": ("conditional_writes", "table_encryption", "durable_tables"),
    "ec2": (
        "resource_types",
        "nat_gateway_filters",
        "placement_groups",
        "instance_placement",
        "gp3_volumes",
        "transit_gateway_routes",
        "transit_gateway_attachments",
        "vpn_connections",
        "vpc_endpoints",
        "managed_interfaces",
        "outpost_subnets",
    ),
    "kms": ("key_deletion",),
    "logs": ("log_group_keys",),
    "rds": ("rds_endpoint", "gp3_databases"),
    "s3": ("bucket_policy",),
    "servicequotas": ("service_quotas",),
}


@dataclass(frozen=True)
class Settings:
    """What the launcher tells the repairs.

    Where the real PostgreSQL behind RDS listens (127.0.0.1), and the file that keeps DynamoDB's tables (None: nothing
    does).
    """

    postgres_port: int
    postgres_password_file: Path
    postgres_user: str
    tables_file: Path | None = None


def apply(service: str, settings: Settings) -> None:
    """Repair moto's `service` (its name in moto, such as `ec2`) in this process; a second call changes nothing."""
    for name in REPAIRS.get(service, ()):
        importlib.import_module(f"{__name__}.{name}").apply(settings)
