# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook local up|run|down|status|env`: what the local site stands on: supervisord, the emulated AWS, PostgreSQL.

Two variables of the environment say which site: IRONBOOK_STATE, the directory that holds all of it, and
IRONBOOK_PORT_BASE, the first of its ports.  Two sites with different values live side by side.  From `up` to `down` the
directory records the ports, so that a command with another number is refused and takes no neighbour's servers for the
site's own.  `up` may be called at any time: it repairs what is down, also after `kill -9` of everything, and changes
nothing where all is well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironbook import postgres, site_directory
from ironbook.errors import CommandError
from ironbook.loopback import HOST, listening_process, require_free
from ironbook.site_directory import Marker, write
from ironbook.supervision import (
    IDENTITY_VARIABLE,
    SOCKET_PATH_BYTES_MAX,
    Program,
    Supervisor,
    children_of,
    daemon_sections,
    daemons_of,
    end,
    program_section,
)

PORT_BASE_DEFAULT = 21000
PORT_BASE_MIN, PORT_BASE_MAX = 1024, 32768 - 1000  # above are the ports that the kernel hands out
UP_SECONDS = 60.0
ATTEMPTS_MAX = 5  # processes of one program that ended before they answered
DOWN_SECONDS = 30.0
EMULATOR_ACCOUNT = "123456789012"  # moto's default account
_MEMBERS = 3  # of the local inventory's shard
_CONFIGURATION = "supervisord.conf"
_OTHER_PORT = "end it, or set IRONBOOK_PORT_BASE to another number"
_FORBIDDEN = re.compile(r"[%;\"'\\\s\ud800-\udfff]")  # the last: bytes of a path that are not UTF-8
_UNRELATED_TO_US = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE")


@dataclass(frozen=True)
class Site:
    """One local site: its directory and its first port."""

    state: Path
    port_base: int

    @property
    def emulator_port(self) -> int:
        """Where the emulated AWS listens."""
        return self.port_base

    @property
    def postgres_port(self) -> int:
        """Where PostgreSQL listens."""
        return self.port_base + 1

    @property
    def engine_ports(self) -> tuple[int, ...]:
        """Where the engines of shard 0 take orders and listen for each other (the role engine_service says so)."""
        return tuple(self.port_base + first + replica for first in (100, 2) for replica in range(_MEMBERS))

    @property
    def configuration(self) -> Path:
        """The configuration file of supervisord."""
        return self.state / _CONFIGURATION

    @property
    def postgres_password_file(self) -> Path:
        """Password of PostgreSQL's superuser."""
        return self.state / "secrets" / "postgres_superuser_password"

    @property
    def postgres_socket(self) -> Path:
        """Where PostgreSQL itself listens; the process that encrypts stands before it."""
        return self.state / "run" / f".s.PGSQL.{self.postgres_port}"

    @property
    def postgres_authority_file(self) -> Path:
        """Who has signed the certificate that is shown at PostgreSQL's port."""
        return self.state / "secrets" / "postgres_authority.pem"

    def programs(self) -> tuple[Program, ...]:
        """Return what `up` starts; these programs stop last, after the engines and the services that lean on them."""
        ironbook = (sys.executable, "-m", "ironbook.cli")
        password_file = str(self.postgres_password_file)
        return (
            Program(
                "postgres",
                (
                    *(*ironbook, "postgres", "run", "--data-directory", str(self.state / "postgres")),
                    *("--port", str(self.postgres_port), "--socket-directory", str(self.postgres_socket.parent)),
                    *("--password-file", password_file),
                ),
                stop_signal="INT",
                priority=10,
            ),
            Program(
                "postgres-tls",
                (
                    *(*ironbook, "postgres", "tls", "--port", str(self.postgres_port)),
                    *("--socket", str(self.postgres_socket)),
                    *("--certificate-file", str(self.state / "secrets" / "postgres_certificate.pem")),
                    *("--authority-file", str(self.postgres_authority_file)),
                ),
                priority=15,
            ),
            Program(
                "emulator",
                (
                    *(*ironbook, "emulator", "run", "--port", str(self.emulator_port)),
                    *("--postgres-port", str(self.postgres_port), "--postgres-password-file", password_file),
                    *("--tables-file", str(self.state / "emulator" / "tables")),
                    *("--requests-file", str(self.state / "emulator" / "requests")),
                ),
                priority=20,
            ),
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the site, Ansible included: it can reach no real account."""
        return {
            "IRONBOOK_STATE": str(self.state),
            "IRONBOOK_PORT_BASE": str(self.port_base),
            "ANSIBLE_HOME": str(self.state / "ansible"),
            "AWS_ENDPOINT_URL": f"http://{HOST}:{self.emulator_port}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            # Nothing of ours outside the state directory: neither in $HOME nor beside the plugins' sources.
            "ANSIBLE_REMOTE_TMP": str(self.state / "ansible" / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            # A proxy of the user's is not between us and our own emulator.
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }


def site_from_environment() -> Site:
    """Return the site that IRONBOOK_STATE and IRONBOOK_PORT_BASE name; CommandError where they cannot work.

    IRONBOOK_PORT_BASE need be set for the first `up` alone: without it, the number that the directory records holds.
    """
    state = state_from_environment()
    marker, given = site_directory.read_marker(state), os.environ.get("IRONBOOK_PORT_BASE")
    if marker:
        site_directory.require_not_moved(state, marker)
    recorded = marker.port_base if marker else None
    if not given:
        return Site(state, recorded or PORT_BASE_DEFAULT)
    if not (given.isascii() and given.isdecimal() and PORT_BASE_MIN <= int(given) <= PORT_BASE_MAX):
        raise CommandError(f"IRONBOOK_PORT_BASE={given}: set a number between {PORT_BASE_MIN} and {PORT_BASE_MAX}")
    if recorded not in (None, int(given)):
        raise CommandError(
            f"IRONBOOK_PORT_BASE={given}, but the site in {state} uses {recorded}: "
            f"set IRONBOOK_PORT_BASE={recorded} or leave it unset, or end the site first: {_ironbook()} local down"
        )
    return Site(state, int(given))


def state_from_environment() -> Path:
    """Return the directory that IRONBOOK_STATE names, without any symbolic link; CommandError where it cannot work."""
    given = os.environ.get("IRONBOOK_STATE") or ".site"
    try:
        state = Path(given).resolve()
    except (OSError, RuntimeError) as error:
        raise CommandError(f"IRONBOOK_STATE={given}: {error}: set another path") from error
    if _FORBIDDEN.search(str(state)):
        shown = str(state).encode("utf-8", "replace").decode("utf-8")
        raise CommandError(f"IRONBOOK_STATE={shown}: set a path without any of % ; \" ' \\ and white space, in UTF-8")
    longest = max((state / "run" / name for name in ("supervisor.sock.4194304", "engine-99-9/events.sock")), key=_bytes)
    if _bytes(longest) > SOCKET_PATH_BYTES_MAX:
        raise CommandError(
            f"{longest} has {_bytes(longest)} bytes and a Unix socket's path at most {SOCKET_PATH_BYTES_MAX}: "
            "set IRONBOOK_STATE to a shorter path"
        )
    return state


def _bytes(path: Path) -> int:
    return len(os.fsencode(path))


def _ironbook() -> Path:
    """Our own command line, as a user would have to type it: .venv need not be in PATH."""
    return Path(sys.executable).with_name("ironbook")


# ------------------------------------------------------------------------------------------------ up


def up(_arguments: argparse.Namespace) -> int:
    """Bring the site's ground up, or repair it, and wait until both servers answer."""
    begin = time.monotonic()
    site = site_from_environment()
    with site_directory.locked(site.state, make=True):
        site = site_from_environment()  # another `up` may have been first, and recorded its ports
        _bring_up(site, prepare_directory(site))
    print(
        f"local site: emulated AWS http://{HOST}:{site.emulator_port}, PostgreSQL {HOST}:{site.postgres_port}, "
        f"state {site.state}, up in {time.monotonic() - begin:.1f} s"
    )
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Bring the site's ground up and become a command, in the site's environment; one at a time for each site.

    The command holds the lock, which therefore lasts as long as it does, whatever becomes of the shell above it.
    """
    site = site_from_environment()
    site_directory.require_no_run(site.state)  # at once, also while the other brings the ground up
    with site_directory.locked(site.state, make=True):
        prepare_directory(site)
        held = site_directory.hold_for_run(site.state)
    up(arguments)
    sys.stdout.flush()
    os.set_inheritable(held, True)
    environment = _inherited() | site_from_environment().environment()
    try:
        os.execvpe(arguments.program, [arguments.program, *arguments.words], environment)
    except OSError as error:
        raise CommandError(f"{arguments.program} cannot be run: {error.strerror}") from error


def _bring_up(site: Site, marker: Marker) -> None:
    """Start or repair what does not run, once it is known that its ports are free."""
    supervisor = Supervisor(site.state, _secret(site, "supervisor_password"))
    running = supervisor.answers()
    if not running:
        _end_everything(site.state, marker)
    # The engines come at the end of a run; whoever has a port of theirs is named before anything is provisioned.
    own = children_of(site.state, marker.identity)
    servers = {"emulator": site.emulator_port, "postgres-tls": site.postgres_port}
    alive = {port for name, port in servers.items() if running and supervisor.is_alive(name)}
    for port in (*servers.values(), *site.engine_ports):
        if port not in alive and listening_process(port) not in own:
            require_free(port, _OTHER_PORT)
    write(site.state / site_directory.MARKER, marker.text(site.port_base))
    _write_programs(site)
    if running:
        supervisor.ensure(program.name for program in site.programs())
    else:
        _start_supervisord(site, marker)
    wait_until_serving(site, supervisor, UP_SECONDS)


def prepare_directory(site: Site) -> Marker:
    """Make the state directory ours, and what everything else needs in it; CommandError where it is somebody else's."""
    marker = site_directory.claim(site.state)
    for directory in ("run", "secrets", "log", "supervisor.d"):
        (site.state / directory).mkdir(mode=0o700, exist_ok=True)
    return marker


def _write_programs(site: Site) -> None:
    write(site.configuration, daemon_sections(site.state, _secret(site, "supervisor_password")))
    for program in site.programs():
        write(site.state / "supervisor.d" / f"{program.name}.conf", program_section(program, site.state / "log"))


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _UNRELATED_TO_US}


def _start_supervisord(site: Site, marker: Marker) -> None:
    """Start supervisord; it returns once its socket listens and it runs in the background."""
    environment = _inherited() | site.environment() | {IDENTITY_VARIABLE: marker.identity}
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(site.configuration)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise CommandError(f"supervisord does not start: {lines[-1] if lines else 'see ' + _log(site, 'supervisord')}")


def wait_until_serving(site: Site, supervisor: Supervisor, seconds: float) -> None:
    """Wait until emulator and PostgreSQL answer as ours; one line that names the log where one does not."""
    checks: dict[str, Callable[[], bool]] = {
        "postgres": lambda: postgres_answers(site, host=str(site.postgres_socket.parent)),
        "postgres-tls": lambda: postgres_answers(site),
        "emulator": lambda: emulator_answers(site, supervisor.process("emulator")["pid"]),
    }
    deadline = time.monotonic() + seconds
    for name, answers in checks.items():
        attempts: set[int] = set()
        while not answers():
            unsupervised: dict[str, Any] = {"statename": "not supervised", "pid": 0}
            process = supervisor.process(name) if supervisor.answers() else unsupervised
            attempts.add(process["pid"])
            given_up = process["statename"] == "FATAL" or len(attempts) > ATTEMPTS_MAX
            if given_up or time.monotonic() > deadline:
                raise CommandError(
                    f"{name} does not answer ({process['statename']}): {_last_line(site, name)}: "
                    f"mend that and call this again, or begin anew with 'make clean-site' (log: {_log(site, name)})"
                )
            time.sleep(0.05)


def emulator_answers(site: Site, pid: int) -> bool:
    """Whether the emulator that runs as process `pid` answers on the site's port."""
    url = f"http://{HOST}:{site.emulator_port}/ironbook/health"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(json.load(answer)["pid"] == pid)
    except (OSError, ValueError, KeyError):
        return False


def postgres_answers(site: Site, host: str = HOST) -> bool:
    """Whether the PostgreSQL of this site, which alone knows its password, answers a query at its port, or there."""
    import psycopg  # noqa: PLC0415

    verified: dict[str, Any] = (
        {"sslmode": "verify-full", "sslrootcert": str(site.postgres_authority_file)} if host == HOST else {}
    )
    try:
        password = site.postgres_password_file.read_text(encoding="utf-8").strip()
        with psycopg.connect(
            host=host,
            port=site.postgres_port,
            user=postgres.SUPERUSER,
            password=password,
            dbname="postgres",
            connect_timeout=5,
            **verified,
        ) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except (OSError, psycopg.Error):
        return False


# ---------------------------------------------------------------------------------------------- down


def down(arguments: argparse.Namespace) -> int:
    """Stop every process of the site, also those that a killed supervisord left, and check that none is left.

    It goes by the directory alone and asks for no port: a stranger may have one by now, and keeps it.
    """
    state = state_from_environment()
    with site_directory.locked(state, make=False) as exists:
        marker = site_directory.read_marker(state) if exists else None
        if marker is None:
            if arguments.remove and exists:
                raise CommandError(f"{state} was not made by 'ironbook local up': remove it yourself")
            print(f"local site: nothing at {state}")
            return 0
        if arguments.remove:
            site_directory.require_no_run(state)
            site_directory.require_nothing_foreign(state)  # before anything is touched
        _end_everything(state, marker)
        # Nothing of it has a port any more, so the next `up` may take others.
        write(state / site_directory.MARKER, marker.text(None))
        print(f"local site: down{', ' + site_directory.remove(state) if arguments.remove else ''}")
    return 0


def _end_everything(state: Path, marker: Marker) -> None:
    """End supervisord, which ends its children in order, and then whatever it left.

    They are found by the site's id, and by its directory where that is where it was: of one that was moved, the old
    path may be another site's by now.
    """
    place = None if marker.path != state else state
    left = end(lambda: daemons_of(place and place / _CONFIGURATION, marker.identity), signal.SIGTERM, DOWN_SECONDS)
    left += end(lambda: children_of(place, marker.identity), signal.SIGTERM, 5.0)
    left += end(lambda: postgres.processes_in(state / "postgres"), signal.SIGINT, 10.0)
    if left:
        raise CommandError(f"processes {left} of {state} do not end: kill them, then call this again")


# ------------------------------------------------------------------------------------ status and env


def status(_arguments: argparse.Namespace) -> int:
    """Print one line a program; exit status 0 where emulator and PostgreSQL answer."""
    site = site_from_environment()
    supervisor = Supervisor(site.state, _read_secret(site, "supervisor_password"))
    if not supervisor.answers():
        print(f"local site: down ({site.state})")
        return 1
    for process in supervisor.processes():
        print(f"{process['name']:<24} {process['statename']:<10} {process['description']}")
    answers = postgres_answers(site) and emulator_answers(site, supervisor.process("emulator")["pid"])
    print(f"local site: {'up' if answers else 'not answering'} ({site.state}, port base {site.port_base})")
    return 0 if answers else 1


def print_environment(_arguments: argparse.Namespace) -> int:
    """Print the environment of the site's processes, one KEY=VALUE a line."""
    for name, value in site_from_environment().environment().items():
        print(f"{name}={value}")
    return 0


def add_parser(subparsers: Any) -> None:
    """Add `ironbook local` to the command line."""
    parser = subparsers.add_parser("local", help="supervisord, the emulated AWS and PostgreSQL of the local site")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("up", help="start or repair them, and wait until they answer").set_defaults(function=up)
    run_parser = actions.add_parser("run", help="up, and then a command in the site's environment, one at a time")
    run_parser.add_argument("program", help="what to become")
    run_parser.add_argument("words", nargs=argparse.REMAINDER, help="its arguments")
    run_parser.set_defaults(function=run)
    down_parser = actions.add_parser("down", help="stop every process of the site")
    down_parser.add_argument(
        "--remove", action="store_true", help="remove the state directory too, if it holds nothing but the site"
    )
    down_parser.set_defaults(function=down)
    actions.add_parser("status", help="one line a process").set_defaults(function=status)
    actions.add_parser("env", help="print the environment as KEY=VALUE").set_defaults(function=print_environment)


# -------------------------------------------------------------------------------------------- helpers


def _secret(site: Site, name: str) -> str:
    """Return a secret of the site, made when it is first asked for."""
    if not _read_secret(site, name):
        write(site.state / "secrets" / name, secrets.token_hex(24) + "\n")
    return _read_secret(site, name)


def _read_secret(site: Site, name: str) -> str:
    path = site.state / "secrets" / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _log(site: Site, name: str) -> str:
    return str(site.state / "log" / f"{name}.log")


def _last_line(site: Site, name: str) -> str:
    try:
        lines = Path(_log(site, name)).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it wrote no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
