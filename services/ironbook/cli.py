# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook`: the command line.

Each subcommand lives in a module of its own, which has `add_parser(subparsers)` and sets `function`, a callable that
takes the parsed arguments and returns the exit status.  Only the module of the subcommand that was asked for is
imported, so that `ironbook engine run` does not load the emulator.  To add a subcommand, add a line to SUBCOMMANDS.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import NoReturn

from ironbook.errors import CommandError

SUBCOMMANDS = {
    "admin": "ironbook.admin",
    "agent": "ironbook.agent",
    "archiver": "ironbook.archiver",
    "bench": "ironbook.bench",
    "canary": "ironbook.canary",
    "client": "ironbook.client",
    "drill": "ironbook.drill",
    "emulator": "ironbook.emulator.server",
    "engine": "ironbook.engine",
    "engine-ready": "ironbook.engine_ready",
    "execution-quality": "ironbook.execution_quality",
    "journal": "ironbook.journal",
    "latency": "ironbook.latency",
    "ledger": "ironbook.ledger",
    "local": "ironbook.local_site",
    "postgres": "ironbook.postgres",
    "publisher": "ironbook.publisher",
    "reconcile": "ironbook.reconcile",
    "replay": "ironbook.replay",
    "secret": "ironbook.secret",
    "session": "ironbook.session_replay",
    "settlement": "ironbook.settlement",
    "snapshot": "ironbook.snapshot",
    "store": "ironbook.store.command",
}


class _Parser(argparse.ArgumentParser):
    """One whose complaint is one line, as that about any other mistake; all subcommands' are of this class."""

    def error(self, message: str) -> NoReturn:
        """Raise a CommandError that names the subcommand and what is wrong with it."""
        name = self.prog.removeprefix("ironbook").strip()
        raise CommandError(f"{name + ': ' if name else ''}{message}; {self.prog} --help says more")


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; a `CommandError` becomes one line on standard error and exit status 1, ^C one and 130."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except CommandError as error:
        print(f"ironbook: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ironbook: interrupted", file=sys.stderr)
        return 130  # 128 and SIGINT's number, as a shell has it


def _run(arguments: list[str]) -> int:
    parser = _Parser(prog="ironbook", description="The matching core, its protocols and its services")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(SUBCOMMANDS) + "}")
    if arguments and arguments[0] in SUBCOMMANDS:
        importlib.import_module(SUBCOMMANDS[arguments[0]]).add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    status: int = parsed.function(parsed)
    return status


if __name__ == "__main__":
    sys.exit(main())
