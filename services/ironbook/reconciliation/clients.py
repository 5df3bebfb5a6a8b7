# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients' execution reports, each session read from its first one, against the journal."""

from __future__ import annotations

import time

from ironbook.core.records import Event, EventType
from ironbook.errors import CommandError
from ironbook.protocols import ouch50, soupbintcp
from ironbook.reconciliation.figures import Differences, Figures
from ironbook.reconciliation.journal import Truth
from ironbook.service import read_secret
from ironbook.settlement import Config
from ironbook.trades import price_text

_EXECUTED = int(EventType.EXECUTED)
_ANSWER_SECONDS = 30.0


def session_reports(config: Config, number: int) -> list[ouch50.Report]:
    """Return every report of one session, from its first one."""
    session = config.sessions[number]
    assert session.password_file is not None, "only sessions with a password are read"
    host, port = config.order_entry
    reports: list[ouch50.Report] = []
    with soupbintcp.SoupClient.connect(
        host, port, session.username, read_secret(session.password_file), sequence=1
    ) as client:
        # The venue answers an Account Query behind all reports that it has: then we have them all.
        client.send([ouch50.account_query()])
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not client.unsequenced and not client.ended:
            if time.monotonic() > deadline:
                raise CommandError(f"{client.peer} did not send all reports of {session.username} in time")
            reports += map(ouch50.decode, client.receive(0.2))
    return reports


def client_figures(config: Config, truth: Truth, differences: Differences) -> Figures:
    """Return what the clients' reports add up to, each compared with the journal's event."""
    figures = Figures("client reports", positions={})
    assert figures.positions is not None
    matches: dict[int, tuple[int, int]] = {}
    for number, session in enumerate(config.sessions):
        if session.password_file is None:
            figures.unread.append(session.username)
            continue
        executions = [e for e in truth.view.events if e.type == _EXECUTED and e.session == number]
        wanted = {(event.match_ref, event.user_ref): event for event in executions}
        orders: dict[int, tuple[bytes, str]] = {}
        for report in session_reports(config, number):
            if isinstance(report, ouch50.Accepted | ouch50.Replaced):
                orders[report.user_ref] = (report.side, report.symbol.decode("ascii").strip())
            elif isinstance(report, ouch50.Executed):
                matches[report.match_ref] = (report.quantity, report.price)
                event = wanted.pop((report.match_ref, report.user_ref), None)
                _check_execution(session.username, report, event, differences)
                side, symbol = orders[report.user_ref]
                key = (session.firm, symbol)
                change = report.quantity if side == ouch50.BUY else -report.quantity
                figures.positions[key] = figures.positions.get(key, 0) + change
        for event in wanted.values():
            differences.add(
                f"client reports: {session.username} has no report of match {event.match_ref} "
                f"(sequence {event.seq}, order {event.user_ref})"
            )
    for quantity, price in matches.values():
        figures.add(quantity, price)
    return figures


def _check_execution(username: str, report: ouch50.Executed, event: Event | None, differences: Differences) -> None:
    if event is None:
        differences.add(f"client reports: {username} has match {report.match_ref}, which the journal has not")
    elif (report.quantity, report.price) != (event.quantity, event.price):
        differences.add(
            f"client reports: {username} has match {report.match_ref} as {report.quantity} at "
            f"{price_text(report.price)}, the journal as {event.quantity} at {price_text(event.price)}"
        )
