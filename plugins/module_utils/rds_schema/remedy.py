# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps where no session could be opened.

A server speaks its operator's language (lc_messages), and libpq that of its locale: their words are shown and never
looked at. What happened is told by the exception's class, by its SQLSTATE where it has one, and by what libpq knows of
the connection that failed. For most refusals libpq keeps the SQLSTATE to itself; PQping reads it for us.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

with suppress(ImportError):  # database.py keeps the reason, and the modules report it
    from psycopg import errors
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import PGconn, Ping

NO_HOST = "Is the host name right?"
UNREACHED = "Is the server running, and is the port right? Do the security group and the routes let this machine in?"
TIMED_OUT = "Do the security group and the routes let this machine in?"
NO_PASSWORD = "Give the password"
REFUSED = (
    "Check the user and the password (-e aws_database_reset_password=true lets provision set back a changed one),"
    " and that the database is there and not out of sessions"
)
NOT_LET_IN = "Does pg_hba.conf let this user in from here, and has the server a session to spare?"
NO_TLS = (
    "sslmode=disable is for a server on this machine; any other one must offer TLS, with a certificate for this very "
    "host name (for RDS the endpoint's own) from the authority whose bundle ca_certificate names"
)
BUSY = "The server is starting or shutting down: run again when it is up"


def remedy(exc: Any, host: str, port: int, sslmode: str, timeout_s: int) -> str:
    """Return what to do about a connection that psycopg could not open."""
    if isinstance(exc, errors.ConnectionTimeout):
        return TIMED_OUT
    failed = exc.pgconn
    if failed is None:  # psycopg resolves names itself, before it asks libpq for a connection
        return NO_HOST
    if failed.needs_password:
        return NO_PASSWORD
    if failed.used_password:
        return REFUSED
    return _unauthenticated(host, port, sslmode, timeout_s)


def _unauthenticated(host: str, port: int, sslmode: str, timeout_s: int) -> str:
    """Ask, without credentials, whether anybody is there."""
    # Without TLS: a server that wants it refuses in clear text, which is an answer too.
    where = make_conninfo(host=host, port=port, sslmode="disable", connect_timeout=timeout_s, user="x", dbname="x")
    answer = PGconn.ping(where.encode())
    if answer == Ping.REJECT:
        return BUSY
    if answer != Ping.OK:
        return UNREACHED
    return NOT_LET_IN if sslmode == "disable" else NO_TLS
