# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook replay`: recorded order flow through the matching core, offline.

Takes directories of journals, LOBSTER message files (.csv, .csv.gz) and LOBW files, and prints for each one JSON object
on a line: what came of it, and the hash of the state that it leads to. Equal input and equal core give an equal hash.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ironbook import bench, core
from ironbook.core.records import pack_commands, unpack_events
from ironbook.errors import CommandError
from ironbook.market_data import lobster, lobster_book, lobw

_BATCH = 4096  # commands


@dataclass
class Executions:
    """Executions of a LOBSTER file: how many there are, and how many named the first order of the best level."""

    total: int
    at_head: int
    otherwise: dict[str, int]


def _run(flow: lobster_book.Flow, matcher: core.Matcher) -> Iterator[core.Event]:
    for begin in range(0, len(flow.commands), _BATCH):
        yield from unpack_events(matcher.apply_packed(pack_commands(flow.commands[begin : begin + _BATCH])))


def read_published(path: Path) -> list[lobster_book.Best]:
    """Read the first level of a LOBSTER orderbook file."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: cannot be read: {error}") from error
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split(",")
        try:
            rows.append(lobster_book.Best(*map(int, fields[:4])))
        except (TypeError, ValueError) as error:
            raise CommandError(f"{path}:{number}: is not a row of an orderbook file: {line[:60]!r}") from error
    return rows


def replay_lobster(path: Path, published: Path | None = None) -> dict[str, Any]:
    """Replay a message file; compare the best bids and offers with an orderbook file where one is given."""
    session = lobster.read_session(path)
    flow = lobster_book.translate(session.symbol, session.messages)
    with core.Matcher(bench.ORDERS) as matcher:
        try:
            states = list(lobster_book.states(flow, _run(flow, matcher)))
        except ValueError as error:
            raise CommandError(f"{path}: {error}") from error
        matcher.check()
        totals = matcher.totals()
    counts = flow.executions
    executions = Executions(
        counts.total(),
        counts[lobster_book.AT_HEAD],
        {reason: count for reason, count in counts.items() if reason != lobster_book.AT_HEAD},
    )
    found = {
        "kind": "lobster",
        "messages": len(session.messages),
        "commands": len(flow.commands),
        "executions": asdict(executions),
        "oddities": dict(flow.oddities),
        **in_json(totals),
    }
    if published is not None:
        found["published"] = lobster_book.compare(states, read_published(published))._asdict()
    return found


def replay_lobw(path: Path) -> dict[str, Any]:
    """Replay a LOBW file; CommandError where the core does not agree with its header."""
    header, flow = bench.load(path, limits=False, sessions=1, events=False)
    _, totals = flow.run()
    bench.compare(path, header, totals)
    return {"kind": "lobw", "messages": header.warm + header.messages, **in_json(totals)}


def replay_journal(path: Path) -> dict[str, Any]:
    """Replay the journal in a directory, behind its newest sound snapshot."""
    notes: list[str] = []
    sums = core.replay(path, whole=False, notes=notes)
    return {"kind": "journal", **in_json(sums), **({"notes": notes} if notes else {})}


def in_json(totals: core.Totals) -> dict[str, Any]:
    """Totals as the admin socket writes them."""
    return {**totals._asdict(), "notional": str(totals.notional), "state_hash": f"{totals.state_hash:016x}"}


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error


def replay(path: Path, published: Path | None) -> dict[str, Any]:
    """Replay whatever it is."""
    try:
        if path.is_dir():
            return replay_journal(path)
        if lobw.is_lobw(_beginning(path)):
            return replay_lobw(path)
        return replay_lobster(path, published)
    except core.CoreError as error:  # it names the journal, or what the core says of the file's commands
        raise CommandError(str(error)) from error


def command(arguments: argparse.Namespace) -> int:
    """Replay each of the files."""
    for path in arguments.path:
        print(json.dumps({"path": str(path), **replay(path, arguments.published)}), flush=True)
    return 0


def add_parser(subparsers: Any) -> None:
    """Add `replay`."""
    parser = subparsers.add_parser(
        "replay", help="run journals, LOBSTER and LOBW files through the matching core", description=__doc__
    )
    parser.add_argument("path", nargs="+", type=Path, metavar="FILE", help="or the directory of a journal")
    parser.add_argument("--published", type=Path, metavar="ORDERBOOK.csv",
                        help="hold the best bids and offers of a LOBSTER file against this one")  # fmt: skip
    parser.set_defaults(function=command)
