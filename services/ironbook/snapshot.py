# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook snapshot`: a shard's state at a sequence number, beside its journal, so that a start has less to replay.

Taken from the journal, a running engine's too: nothing that trades waits for it. docs/engine.md says what a snapshot
replaces and what it does not.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ironbook import core
from ironbook.core_command import core_command
from ironbook.errors import CommandError


def _print(report: core.SnapshotReport) -> None:
    fields = {name: value for name, value in report._asdict().items() if value != ""}
    hashes = {name: f"{fields[name]:016x}" for name in ("chain", "state_hash", "entry_chain")}
    print(json.dumps({**fields, **hashes}))


def take(arguments: argparse.Namespace) -> None:
    """Take one, and print what it says of itself."""
    _print(core.snapshot_take(arguments.directory, arguments.until, arguments.shard))


def _all(directory: Path) -> list[Path]:
    try:
        return core.snapshots(directory)
    except OSError as error:
        raise CommandError(f"{directory}: cannot be read: {error.strerror}") from error


def list_all(arguments: argparse.Namespace) -> None:
    """Print the head of each, the oldest first. What is behind the heads is not read."""
    for path in _all(arguments.directory):
        _print(core.snapshot_look(path))


def verify(arguments: argparse.Namespace) -> None:
    """Load each of a directory, or the one that is named, and print what it says; end with the first that is wrong."""
    paths = _all(arguments.path) if arguments.path.is_dir() else [arguments.path]
    if not paths:
        raise CommandError(f"{arguments.path}: no snapshot here: ironbook snapshot take makes one")
    for path in paths:
        _print(core.snapshot_verify(path, arguments.shard))


def add_parser(subparsers: Any) -> None:
    """Add `snapshot` with its three commands."""
    parser = subparsers.add_parser("snapshot", help="take, list or verify snapshots of a shard", description=__doc__)
    commands = parser.add_subparsers(dest="snapshot_command", required=True)
    for name, function, text in (
        ("take", take, "take a snapshot of the journal in a directory, a running engine's too, and put it beside it"),
        ("list", list_all, "print the head of each snapshot, the oldest first"),
        ("verify", verify, "load snapshots and check every sum and invariant of them"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name == "verify":
            command.add_argument("path", type=Path, help="a snapshot, or the journal's directory: all of them")
        else:
            command.add_argument("directory", type=Path, help="the journal's directory")
        if name != "list":
            command.add_argument("--shard", type=int, help="refuse those of any other shard")
        if name == "take":
            command.add_argument("--until", type=int, metavar="SEQ", help="at this sequence number, not at the end")
        command.set_defaults(function=core_command(function))
