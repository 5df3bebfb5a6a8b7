# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint of an RDS for PostgreSQL instance is a real PostgreSQL, and its master user can log in there.

AWS: RDS API reference, CreateDBInstance (MasterUsername, MasterUserPassword of 8 to 128 characters without `/ ' " @`
and space, DBName) and ModifyDBInstance (MasterUserPassword); RDS user guide, "Master user account privileges" and
"Understanding PostgreSQL roles and permissions": the master user logs in, creates roles and databases, and is no
superuser; `rdsadmin` belongs to RDS.
moto answers with a name under amazonaws.com that leads nowhere.

All instances share the one local server, and its port is the endpoint's whatever `Port` asked for.  A role that exists
gets the given password and a database that exists is kept, because PostgreSQL outlives the emulator.  For the same
reason DeleteDBInstance forgets the instance and leaves its database.  Replicas and Aurora keep moto's answers.
"""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any

import psycopg
from moto.rds.exceptions import InvalidParameterValue, RDSClientError
from moto.rds.models import DBInstance, RDSBackend
from psycopg import sql

if TYPE_CHECKING:
    from . import Settings

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_PASSWORD = re.compile(r"[!-~]{8,128}")
_PASSWORD_FORBIDDEN = set("/'\"@ ")
_DEADLINE_SECONDS = 5


def apply(settings: Settings) -> None:
    """Wrap the creation and the modification of an instance, and answer with the real endpoint."""
    stock_create, stock_modify, stock_endpoint = (
        RDSBackend.create_db_instance,
        RDSBackend.modify_db_instance,
        DBInstance.endpoint,
    )
    if hasattr(stock_create, "__wrapped__"):
        return

    @wraps(stock_create)
    def create_db_instance(self: Any, db_kwargs: dict[str, Any]) -> Any:
        if db_kwargs.get("engine") != "postgres":
            return stock_create(self, db_kwargs)
        user, password, database = (db_kwargs.get(k) for k in ("master_username", "master_user_password", "db_name"))
        _validate(settings, user, password, database)
        instance = stock_create(self, db_kwargs)
        try:
            provision(settings, str(user), str(password), database)
        except Exception:
            instance.deletion_protection = False
            self.delete_db_instance(instance.db_instance_identifier, skip_final_snapshot=True)
            raise
        return instance

    @wraps(stock_modify)
    def modify_db_instance(self: Any, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> Any:
        instance = self.describe_db_instances(db_instance_identifier)[0]
        password = db_kwargs.get("master_user_password")
        if password is not None and _is_real(instance):
            _validate(settings, instance.master_username, password, None)
            provision(settings, instance.master_username, password, None)
        return stock_modify(self, db_instance_identifier, db_kwargs)

    def endpoint(self: Any) -> dict[str, Any]:
        if not _is_real(self):
            stock: dict[str, Any] = stock_endpoint.fget(self)  # type: ignore[attr-defined]
            return stock
        return {"Address": "127.0.0.1", "Port": settings.postgres_port}

    RDSBackend.create_db_instance = create_db_instance  # type: ignore[method-assign]
    RDSBackend.modify_db_instance = modify_db_instance  # type: ignore[method-assign]
    DBInstance.endpoint = property(endpoint)  # type: ignore[assignment]


def _is_real(instance: Any) -> bool:
    """Whether the local PostgreSQL stands behind this instance of moto's."""
    return bool(instance.engine == "postgres" and not instance.is_replica and instance.db_cluster_identifier is None)


def _validate(settings: Settings, user: Any, password: Any, database: Any) -> None:
    """Refuse names and passwords that RDS refuses."""
    if not _IDENTIFIER.fullmatch(user or "") or user.lower().startswith(("pg_", "rds", settings.postgres_user)):
        raise InvalidParameterValue(f"MasterUsername {user} cannot be used as it is invalid or a reserved word.")
    if not _PASSWORD.fullmatch(password or "") or _PASSWORD_FORBIDDEN & set(password):
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password: 8 to 128 printable ASCII characters "
            "besides '/', '@', '\"', ''' and ' ' may be used."
        )
    if database is not None and not _IDENTIFIER.fullmatch(database):
        raise InvalidParameterValue(f"DBName {database} must begin with a letter and contain only letters and digits.")


def provision(settings: Settings, user: str, password: str, database: str | None) -> None:
    """Make the role and the database in the local PostgreSQL, or give the existing role this password.

    The password leaves this process as a SCRAM verifier only, so that no log of the server can hold it.
    """

    def exists(catalogue: str, column: str, name: str) -> bool:
        query = sql.SQL("select 1 from {} where {} = %s").format(sql.Identifier(catalogue), sql.Identifier(column))
        return connection.execute(query, (name,)).fetchone() is not None

    try:
        with psycopg.connect(
            host="127.0.0.1",
            port=settings.postgres_port,
            user=settings.postgres_user,
            password=settings.postgres_password_file.read_text(encoding="utf-8").strip(),
            dbname="postgres",
            connect_timeout=_DEADLINE_SECONDS,
            autocommit=True,
        ) as connection:
            verifier = connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()
            verb = "alter" if exists("pg_roles", "rolname", user) else "create"
            connection.execute(
                sql.SQL(
                    f"{verb} role {{}} login createdb createrole inherit "
                    "nosuperuser noreplication nobypassrls password {}"
                ).format(sql.Identifier(user), sql.Literal(verifier))
            )
            if database and not exists("pg_database", "datname", database):
                connection.execute(
                    sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(user))
                )
    except (psycopg.Error, OSError) as error:
        reason = " ".join(str(error).split())
        raise RDSClientError(
            "InsufficientDBInstanceCapacity",
            f"the local PostgreSQL at 127.0.0.1:{settings.postgres_port} refused the instance: {reason}",
        ) from error
