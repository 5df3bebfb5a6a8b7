# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook reconcile`: whether all the places that hold a shard's trades hold the same ones.

The journal decides: it is read offline through the core, and what it gives is compared, one by one, with

- the running engine: its totals, its state hash at its sequence number, and every event that it released,
- the clients' execution reports: each session whose password is configured is read from its first report,
- PostgreSQL: each trade's row, each position with its average cost, and the ledger's checkpoint; nothing there may be
  of a shard or a symbol that the venue does not have,
- the Kinesis stream: each record, byte for byte, under its symbol's partition key, on that key's shard, and in the
  symbol's order; the same one twice is allowed, two that differ are a forgery.

Fills are matches, quantity is in units of 1, notional is integer price x quantity in units of 10^-4. Any difference
fails, and the first one is named. It compares a market at rest: if the engine goes on meanwhile, it says so and fails.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ironbook import settlement
from ironbook.errors import CommandError
from ironbook.journal_view import read_journal
from ironbook.reconciliation.clients import client_figures
from ironbook.reconciliation.database import database_figures
from ironbook.reconciliation.engine import engine_figures
from ironbook.reconciliation.figures import Differences, Figures
from ironbook.reconciliation.journal import check_names, check_totals, journal_truth
from ironbook.reconciliation.stream import kinesis_figures, stream_records
from ironbook.service import write_json
from ironbook.settlement import Config
from ironbook.trades import price_text


def reconcile(config: Config, client: Any) -> dict[str, Any]:
    """Compare all places; return the report."""
    differences = Differences()
    before = settlement.check_engine(config)["last_event"]
    begin = time.monotonic()
    truth = journal_truth(config, read_journal(config.journal_directory, config.shard))
    truth.figures.seconds = time.monotonic() - begin
    check_totals(truth, differences)
    check_names(config, truth, differences)
    places: list[Callable[[], Figures]] = [
        lambda: engine_figures(config, truth, differences),
        lambda: client_figures(config, truth, differences),
        lambda: database_figures(config, truth, differences),
        lambda: kinesis_figures(config, truth, differences, stream_records(client, config.stream)),
    ]
    every = [truth.figures]
    for place in places:
        begin = time.monotonic()
        figures = place()
        figures.seconds = time.monotonic() - begin
        differences.compare(figures, truth.figures)
        every.append(figures)
    after = settlement.check_engine(config)["last_event"]
    if after != before:
        differences.add(f"engine: it went on from {before} to {after} meanwhile; stop trading, then reconcile again")
    return {
        "shard": config.shard,
        "reconciled": differences.count == 0,
        "last_event": after,
        "places": [figures.as_dict() for figures in every],
        "differences": differences.found,
        "difference_count": differences.count,
    }


def table(report: dict[str, Any]) -> str:
    """Return the report for people."""
    lines = [f"{'place':<16}{'fills':>12}{'quantity':>16}{'notional':>24}{'seconds':>9}  positions"]
    for place in report["places"]:
        positions = place["positions"]
        held = "-"
        if positions is not None:
            held = ", ".join(f"{key} {amount:+,}" for key, amount in positions.items()) or "none"
        figures = f"{place['fills']:>12,}{place['quantity']:>16,}{price_text(place['notional']):>24}"
        unread = f" (not read: {', '.join(place['unread'])})" if place["unread"] else ""
        lines.append(f"{place['place']:<16}{figures}{place['seconds']:>9.2f}  {held}{unread}")
    return "\n".join(lines)


def add_parser(subparsers: Any) -> None:
    """Add `ironbook reconcile` to the command line."""
    parser = subparsers.add_parser("reconcile", help="client reports = journal = PostgreSQL = Kinesis")
    parser.add_argument("--config", type=Path, required=True, help="the shard's settlement.json")
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON, not as a table")
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Reconcile one shard, print the table, keep the report; fails with the first difference."""
    config = settlement.at_primary(settlement.read_config(arguments.config))
    report = reconcile(config, settlement.kinesis_client())
    write_json(config.report, report)
    print(json.dumps({"result": report}) if arguments.json else table(report), flush=True)
    if not report["reconciled"]:
        more = report["difference_count"] - 1
        rest = f" (and {more} more differences; see {config.report})" if more else ""
        raise CommandError(f"shard {config.shard} is not reconciled: {report['differences'][0]}{rest}")
    return 0
