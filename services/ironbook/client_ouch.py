# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook client --endpoint …`: plain orders through order entry, on whichever member of the shard is primary.

What `ironbook client --socket` does on the machine of an engine, this does from anywhere and over a failover, with the
kinds of order that its messages have fields for. The command ends when the venue has dealt with what was sent.
"""

from __future__ import annotations

import argparse
import json
import struct
from typing import Any

from ironbook.errors import CommandError
from ironbook.order_entry import OrderEntry
from ironbook.protocols import ouch50
from ironbook.service import read_secret

_SIDES = {
    "buy": ouch50.BUY,
    "sell": ouch50.SELL,
    "sell-short": ouch50.SELL_SHORT,
    "sell-short-exempt": ouch50.SELL_SHORT_EXEMPT,
}
_TIMES = {"day": ouch50.DAY, "ioc": ouch50.IMMEDIATE_OR_CANCEL}
_MARKET = 0x7FFFFFFF  # docs/protocols/ouch50.md, Price
_ONLY_SOCKET = "is not sent to an --endpoint: use --socket on the primary's machine"
_PRICE_MAX = 1_999_999_900
_MASS_CANCEL = struct.Struct(">cI4s8s")  # type, UserRefNum (echoed), Firm and Symbol (blank: any)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what these messages have no field for."""
    if arguments.action in {"enter", "replace"}:
        said = {
            f"--type {arguments.type}": arguments.type not in {"limit", "market"},
            f"--time-in-force {arguments.time_in_force}": arguments.time_in_force not in _TIMES,
            f"--self-trade {arguments.self_trade}": arguments.self_trade != "allowed",
            "--displayed": arguments.displayed,
            "--minimum": arguments.minimum,
            "--post-only": arguments.post_only,
        }
        for what, is_given in said.items():
            if is_given:
                raise CommandError(f"client: {what} {_ONLY_SOCKET}")
        for name, value, most in (
            ("quantity", arguments.quantity, ouch50.QUANTITY_MAX),
            ("price", arguments.price, _PRICE_MAX),
        ):
            if value > most:
                raise CommandError(f"client: {name} is {value}: OUCH carries up to {most}, --socket more")
    if arguments.action == "mass-cancel" and arguments.side:
        raise CommandError(f"client: --side {_ONLY_SOCKET}")
    symbol = getattr(arguments, "symbol", None) or ""
    if not symbol.isascii() or len(symbol) > 8:
        raise CommandError(f"client: {symbol!r}: a symbol has at most 8 ASCII characters")


def request(arguments: argparse.Namespace, user_ref: int) -> bytes:
    """Return the message of a command; `user_ref` for one that needs a number."""
    if arguments.action == "cancel":
        return ouch50.cancel_order(arguments.user_ref, arguments.quantity)
    if arguments.action == "modify":
        return ouch50.modify_order(arguments.user_ref, _SIDES[arguments.side], arguments.quantity)
    if arguments.action == "mass-cancel":
        return _MASS_CANCEL.pack(b"C", user_ref, b" " * 4, (arguments.symbol or "").encode("ascii").ljust(8))
    price = _MARKET if arguments.type == "market" else arguments.price
    more: dict[str, bytes] = {
        "client_order_id": arguments.client_data.encode("ascii"),
        "display": b"N" if arguments.hidden else b"Y",
    }
    time = _TIMES[arguments.time_in_force]
    if arguments.action == "replace":
        return ouch50.replace_order(arguments.original, user_ref, arguments.quantity, price, time, **more)
    symbol = arguments.symbol.encode("ascii")
    return ouch50.enter_order(user_ref, _SIDES[arguments.side], arguments.quantity, symbol, price, time, **more)


def describe(sequence: int, report: ouch50.Report) -> dict[str, Any]:
    """Return a report's fields by OUCH's names, and its number; what is zero or blank is left out."""
    words: dict[str, Any] = {"type": type(report).__name__.lower(), "session_seq": sequence}
    for name, value in report._asdict().items():
        plain = value.decode("ascii", "replace").strip(" \0") if isinstance(value, bytes) else value
        if plain:
            words[name] = plain
    return words


def show(sequence: int, report: ouch50.Report, as_json: bool) -> None:
    """Print a report, one line."""
    words = describe(sequence, report)
    kind = words.pop("type")
    line = json.dumps({"type": kind, **words}) if as_json else " ".join([kind, *(f"{k}={v}" for k, v in words.items())])
    print(line, flush=True)


def _take(entry: OrderEntry, timeout: float) -> list[tuple[int, ouch50.Report]]:
    first = entry.next_sequence
    return list(enumerate(map(ouch50.decode, entry.receive(timeout)), first))


def _watch(arguments: argparse.Namespace, entry: OrderEntry) -> None:
    count = 0
    while not entry.ended:
        for sequence, report in _take(entry, 1.0):
            show(sequence, report, arguments.json)
            count += 1
            if count == arguments.count:
                return


def run(arguments: argparse.Namespace) -> list[ouch50.Report] | None:
    """Do it, and print what came of it; None of a `watch`. Raises NoPrimaryError, CommandError."""
    _check(arguments)
    if arguments.password_file is None:
        raise CommandError("client: --endpoint wants a login: give --password-file FILE, too")
    is_watch = arguments.action == "watch"
    with OrderEntry(
        arguments.endpoint,
        arguments.session,
        read_secret(arguments.password_file),
        sequence=arguments.after + 1 if is_watch else 0,
        patience=arguments.patience,
    ) as entry:
        if is_watch:
            _watch(arguments, entry)
            return None
        following = entry.next_user_ref()
        _take(entry, 0.0)
        given = arguments.user_ref if arguments.action in {"enter", "replace"} else 0
        if following == 0 or (given and given < following):
            raise CommandError(f"client: --user-ref {given} is used up: the next free one is {following}")
        entry.send([request(arguments, given or following)])
        entry.next_user_ref()
        reports = _take(entry, 0.0)
    for sequence, report in reports:
        show(sequence, report, arguments.json)
    return [report for _, report in reports]
