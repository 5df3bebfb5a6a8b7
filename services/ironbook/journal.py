# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook journal`: look at a shard's journal from outside its engine. Nothing here changes or locks it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from ironbook import core
from ironbook.core.records import CommandType
from ironbook.errors import CommandError


def verify(arguments: argparse.Namespace) -> None:
    """Print what the journal holds once every record has been checked."""
    report = core.journal_verify(arguments.directory, arguments.shard)
    print(json.dumps({**report._asdict(), "chain": f"{report.chain:016x}"}))


def dump(arguments: argparse.Namespace) -> None:
    """Print each command as one JSON object on a line, without the fields that are zero."""
    for command in core.journal_dump(arguments.directory, arguments.shard):
        if arguments.until is not None and command.seq > arguments.until:
            break
        fields: dict[str, Any] = {name: value for name, value in command._asdict().items() if value}
        known = command.type in CommandType.__members__.values()
        fields["type"] = CommandType(command.type).name if known else command.type
        fields["client_data"] = command.client_data.hex()
        print(json.dumps(fields))


def _replay(arguments: argparse.Namespace) -> core.Totals:
    notes: list[str] = []
    sums = core.replay(arguments.directory, arguments.until, whole=arguments.whole, notes=notes)
    for note in notes:
        print(f"ironbook: journal: {note}", file=sys.stderr)
    return sums


def state_hash(arguments: argparse.Namespace) -> None:
    """Print the hash of the state after the last command, or after `--until`."""
    print(f"{_replay(arguments).state_hash:016x}")


def totals(arguments: argparse.Namespace) -> None:
    """Print the sums over all commands, or up to `--until`, as one JSON object on a line."""
    sums = _replay(arguments)
    # The notional may not fit the numbers of other languages' JSON readers: the admin socket writes it so, too.
    print(json.dumps({**sums._asdict(), "notional": str(sums.notional), "state_hash": f"{sums.state_hash:016x}"}))


def _run(function: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    def command(arguments: argparse.Namespace) -> int:
        try:
            function(arguments)
        except core.CoreError as error:
            raise CommandError(str(error)) from error
        return 0

    return command


def add_parser(subparsers: Any) -> None:
    """Add `journal` with its four commands."""
    parser = subparsers.add_parser("journal", help="verify, print or sum up a shard's journal")
    commands = parser.add_subparsers(dest="journal_command", required=True)
    for name, function, text in (
        ("verify", verify, "check every record: sums, hash chain, sequence; print what is there"),
        ("dump", dump, "print every command, one JSON object on a line"),
        ("hash", state_hash, "print the hash of the state that the journal leads to"),
        ("totals", totals, "print trades, quantity, notional and open orders"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("directory", help="the journal's directory")
        if name in ("verify", "dump"):
            command.add_argument("--shard", type=int, help="refuse the journal of any other shard")
        if name != "verify":
            command.add_argument("--until", type=int, metavar="SEQ", help="stop after this sequence number")
        if name in ("hash", "totals"):
            command.add_argument("--whole", action="store_true", help="from the first command on, and from no snapshot")
        command.set_defaults(function=_run(function))
