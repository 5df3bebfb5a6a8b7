# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook drill`: marks in a canary's log, waiting for its acknowledgements, and the report of a drill.

`mark` and `wait` are for whoever injects the fault, on the machine of the canary: both read and write its log alone.
`end` ends the canary whose log it is.
`report` asks the venue, and where it is given one the journal, what became of what the canary was told, and writes one
JSON file and one HTML file. Exit status 2: the drill has missed its target; the report is written all the same.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ironbook import core
from ironbook.core.records import CommandType
from ironbook.drills import html
from ironbook.drills.canary_log import NO_END, CanaryLog, LogWriter, read_log, writer_of
from ironbook.drills.report import JournalOrder, Target, build
from ironbook.errors import CommandError
from ironbook.order_entry import PATIENCE_SECONDS, NoPrimaryError, OrderEntry, add_endpoints
from ironbook.service import deadline_ticks, read_secret, write_json

MISSED = 2  # exit status
_SIDES = {1: "B", 2: "S"}  # enum ib_side (ironbook.h)


def add_parser(subparsers: Any) -> None:
    """Add `ironbook drill` to the command line."""
    parser = subparsers.add_parser("drill", help="mark a fault in a canary's log, and report what it did to clients")
    actions = parser.add_subparsers(dest="action", required=True)
    mark = actions.add_parser("mark", help="write into the canary's log what happens now")
    mark.add_argument("text", help="what it is, in a few words")
    mark.add_argument("--fault", action="store_true", help="it is the fault: RTO and RPO are reckoned from here")
    mark.set_defaults(function=run_mark)
    wait = actions.add_parser("wait", help="wait until the canary has orders accepted again")
    wait.add_argument("--orders", type=int, default=10, help="so many since the last mark (default %(default)d)")
    wait.add_argument("--seconds", type=float, default=60.0, help="how long to wait at most (default %(default)g)")
    wait.set_defaults(function=run_wait)
    end = actions.add_parser("end", help="end the canary whose log it is, and wait until it has")
    end.add_argument("--seconds", type=float, default=60.0, help="how long to wait at most (default %(default)g)")
    end.set_defaults(function=run_end)
    report = actions.add_parser("report", help="compare, measure, judge: one JSON and one HTML file")
    add_endpoints(report)
    report.add_argument("--password-file", type=Path, required=True, metavar="FILE", help="of the canary's session")
    report.add_argument("--journal", type=Path, metavar="DIRECTORY", help="the journal of the primary, if it is here")
    report.add_argument("--drill", required=True, metavar="NAME", help="the exercise, as dr_targets calls it")
    report.add_argument("--rto-below", type=float, required=True, metavar="SECONDS", help="its RTO target")
    report.add_argument("--rpo-below", type=float, required=True, metavar="SECONDS", help="its RPO target; 0: nothing")
    report.add_argument("--json", type=Path, required=True, metavar="FILE", help="the report for programs")
    report.add_argument("--html", type=Path, required=True, metavar="FILE", help="the report for people")
    report.add_argument("--patience", type=float, default=PATIENCE_SECONDS, metavar="SECONDS", help="as the canary's")
    report.set_defaults(function=run_report)
    for each in (mark, wait, end, report):
        each.add_argument("--log", type=Path, required=True, metavar="FILE", help="the canary's log")


def run_mark(arguments: argparse.Namespace) -> int:
    """Write a line into the log, of this moment."""
    log = LogWriter(arguments.log, new=False)
    log.write("mark", text=arguments.text, fault=arguments.fault)
    log.close()
    return 0


def run_wait(arguments: argparse.Namespace) -> int:
    """Wait until enough orders that were sent after the last mark are accepted. CommandError where none are in time."""
    count = 0
    for _ in deadline_ticks(arguments.seconds):
        if arguments.log.exists() and arguments.log.stat().st_size:
            count = _accepted_since_mark(read_log(arguments.log))
            if count >= arguments.orders:
                print(json.dumps({"result": {"accepted": count}}))
                return 0
    raise CommandError(
        f"{arguments.log}: {count} of {arguments.orders} orders were accepted since the last mark, "
        f"{arguments.seconds:g} s long: is the canary running, and does anybody serve?"
    )


def run_end(arguments: argparse.Namespace) -> int:
    """End the process that writes the log, and no other one; say whether there was any. CommandError: it stays."""
    _take_from_who_comes_late(arguments.log)
    pid = writer_of(arguments.log)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            process = os.pidfd_open(pid)
            try:
                if writer_of(arguments.log) == pid:  # what was opened is the canary, and no later process of its number
                    signal.pidfd_send_signal(process, signal.SIGTERM)
            finally:
                os.close(process)
        if all(writer_of(arguments.log) == pid for _ in deadline_ticks(arguments.seconds)):
            raise CommandError(f"{arguments.log}: the canary (process {pid}) does not end: kill it")
    print(json.dumps({"result": {"changed": pid is not None}}))
    return 0


def _take_from_who_comes_late(path: Path) -> None:
    """Write into a log that is made and begun by nobody, so that a canary which was started for it refuses it."""
    if path.exists() and not path.stat().st_size:
        with contextlib.suppress(CommandError):  # there is a canary by now
            log = LogWriter(path, new=True)
            log.write("end", reason="it was asked to end before there was a canary")
            log.close()


def _accepted_since_mark(log: CanaryLog) -> int:
    since = max((mark.at_ns for mark in [*log.faults, *log.marks]), default=0)
    return sum(log.sent[ref] > since for ref in log.accepted())


def run_report(arguments: argparse.Namespace) -> int:
    """Compare, write both files, print the verdict as the last line."""
    log = read_log(arguments.log)
    target = Target(arguments.drill, arguments.rto_below, arguments.rpo_below)
    try:
        stream = all_reports(arguments, log.begin["session"])
    except NoPrimaryError as error:
        if log.ended != NO_END:
            raise
        raise CommandError(f"{error}; {arguments.log} has no end: end the canary first, it has the session") from error
    journal = journal_orders(arguments.journal, log.begin["session"]) if arguments.journal else None
    report = build(log, stream, journal, target)
    report["log_sha256"] = hashlib.sha256(arguments.log.read_bytes()).hexdigest()
    write_json(arguments.json, report)
    try:
        arguments.html.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        arguments.html.write_text(html.render(report), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{arguments.html}: cannot be written: {error.strerror}") from error
    said = {"drill": report["drill"], "verdict": report["verdict"], **report["measured"]}
    print(json.dumps({"result": {**said, "json": str(arguments.json), "html": str(arguments.html)}}), flush=True)
    if report["failures"]:
        print(f"ironbook: drill: {target.drill} failed: {'; '.join(report['failures'])}", file=sys.stderr)
        return MISSED
    return 0


def all_reports(arguments: argparse.Namespace, session: str) -> list[bytes]:
    """Return every report of the session, from its first one, as the primary tells them now."""
    password = read_secret(arguments.password_file)
    reports: list[bytes] = []
    with OrderEntry(arguments.endpoint, session, password, sequence=1, patience=arguments.patience) as entry:
        entry.next_user_ref()  # answered behind all reports that there are
        while more := entry.receive(0.0):
            reports += more
    return reports


def journal_orders(directory: Path, session: str) -> Mapping[int, list[JournalOrder]]:
    """Return what a journal has of a session's orders, by UserRefNum: each command that entered one."""
    names: list[str] = []
    orders: dict[int, list[JournalOrder]] = {}
    try:
        for command in core.journal_dump(directory, None):
            if command.type == CommandType.SESSION_ADD:
                names.append(command.client_data[:6].decode("ascii", "replace").strip("\0 "))
            elif command.type == CommandType.ENTER and names[command.session : command.session + 1] == [session]:
                order = JournalOrder(_SIDES.get(command.side, "?"), command.quantity, command.price)
                orders.setdefault(command.user_ref, []).append(order)
    except core.CoreError as error:
        raise CommandError(f"{directory}: {error}") from error
    if session not in names:
        raise CommandError(f"{directory}: this journal has no session {session}: it is not the shard's of the canary")
    return orders
