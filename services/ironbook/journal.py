# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook journal`: look at a shard's journal from outside its engine. Nothing here changes or locks it.

`seal` alone adds files beside its segments; `restore` and `aside` put another journal in its place
(journal_restore.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ironbook import core, journal_restore, seals
from ironbook.core.records import CommandType
from ironbook.core_command import core_command
from ironbook.errors import CommandError
from ironbook.point_in_time import commands_until, moment, sequence_at, state_at

UNTIL = "stop after this sequence number, or after the last command that is not later than this ISO 8601 time"


def verify(arguments: argparse.Namespace) -> None:
    """Print what the journal holds once every record has been checked, and every seal."""
    report = core.journal_verify(arguments.directory, arguments.shard)
    found = seals.check(Path(arguments.directory))
    if arguments.sealed and found.unsealed:
        raise CommandError(f"{arguments.directory}: {found.unsealed} full segments have no seal: `ironbook journal "
                           "seal DIRECTORY` makes them, once you know that the segments are right")  # fmt: skip
    print(json.dumps({**report._asdict(), "chain": f"{report.chain:016x}", **found._asdict()}))


def seal(arguments: argparse.Namespace) -> None:
    """Seal each full segment that has no seal, once every record has been checked; print the new seals."""
    core.journal_verify(arguments.directory, None)
    try:
        for path in seals.seal(Path(arguments.directory)):
            print(path)
    except OSError as error:
        raise CommandError(f"{arguments.directory}: cannot be sealed: {error}") from error


def replay(arguments: argparse.Namespace) -> None:
    """Print the state at the journal's end, or at a sequence number or a time: sums, state hash and book."""
    print(json.dumps(state_at(Path(arguments.directory), arguments.until)))


def dump(arguments: argparse.Namespace) -> None:
    """Print each command as one JSON object on a line, without the fields that are zero."""
    for command in commands_until(Path(arguments.directory), arguments.until, arguments.shard):
        fields: dict[str, Any] = {name: value for name, value in command._asdict().items() if value}
        known = command.type in CommandType.__members__.values()
        fields["type"] = CommandType(command.type).name if known else command.type
        fields["client_data"] = command.client_data.hex()
        print(json.dumps(fields))


def _replay(arguments: argparse.Namespace) -> core.Totals:
    notes: list[str] = []
    until = sequence_at(Path(arguments.directory), arguments.until)
    sums = core.replay(arguments.directory, until, whole=arguments.whole, notes=notes)
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


def add_parser(subparsers: Any) -> None:
    """Add `journal` with its commands."""
    parser = subparsers.add_parser("journal", help="verify, print or sum up a shard's journal")
    commands = parser.add_subparsers(dest="journal_command", required=True)
    for name, function, text in (
        ("verify", verify, "check every record and every seal: sums, hash chain, sequence; print what is there"),
        ("seal", seal, "seal the full segments that have no seal; a running engine seals its own"),
        ("dump", dump, "print every command, one JSON object on a line"),
        ("hash", state_hash, "print the hash of the state that the journal leads to"),
        ("totals", totals, "print trades, quantity, notional and open orders"),
        ("replay", replay, "print the state at a sequence number or a time: sums, state hash and book"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("directory", help="the journal's directory")
        if name in ("verify", "dump"):
            command.add_argument("--shard", type=int, help="refuse the journal of any other shard")
        if name == "verify":
            command.add_argument("--sealed", action="store_true", help="refuse a full segment that has no seal")
        elif name != "seal":
            command.add_argument("--until", type=moment, metavar="SEQ|TIME", help=UNTIL)
        if name in ("hash", "totals"):
            command.add_argument("--whole", action="store_true", help="from the first command on, and from no snapshot")
        command.set_defaults(function=core_command(function))
    for name, function, text in (
        ("restore", journal_restore.run_restore, "have a journal end earlier; the one that is there is moved aside"),
        ("aside", journal_restore.run_aside, "have an empty journal; the one that is there is moved aside"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text}. Its engine must be down.")
        command.add_argument("directory", help="the journal's directory")
        command.add_argument("--check", action="store_true", help="say what would be done, and do nothing")
        if name == "restore":
            command.add_argument("--until", type=moment, required=True, metavar="SEQ|TIME", help=UNTIL)
            command.add_argument("--shard", type=int, required=True, help="refuse the journal of any other shard")
        command.set_defaults(function=core_command(function))
