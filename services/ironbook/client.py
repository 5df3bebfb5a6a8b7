# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook client`: orders from the command line, of every kind through the command stream of a running engine.

With `--endpoint` in place of `--socket`: plain ones through order entry, wherever the shard is served (client_ouch.py).
Each command waits until the engine has dealt with it and prints the reports that came of it, one a line. A rejected
order is exit status 2, a mistake on the command line or an engine that does not answer 1. A session whose configuration
says `cancel_on_disconnect` loses its orders when the command ends; keep it connected with `watch`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ironbook import client_ouch
from ironbook.core.records import (
    INSTRUMENT_ALL,
    Command,
    CommandType,
    Event,
    EventFlag,
    EventType,
    OrderFlag,
    OrderType,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from ironbook.errors import CommandError
from ironbook.order_entry import PATIENCE_SECONDS, endpoint
from ironbook.protocols import ouch50
from ironbook.protocols.commands import INSTRUMENT_UNKNOWN, ONLY_NEW, CommandStream

REJECTED = 2
_QUANTITY_MAX, _PRICE_MAX, _NUMBER_MAX = 2**40 - 1, 2**63 - 1, 2**32 - 1
_CLIENT_DATA = 14
_NS = 10**9
_SLICES = 64  # IB_SLICES_MAX (ironbook.h)
# Sales by their side mark, which follows what is the client's own of `client_data` (ouch50.h).
_SALES = {"sell": b"S", "sell-short": b"T", "sell-short-exempt": b"E"}
_SIDES = ("buy", *_SALES)
_MARKED = {mark: word for word, mark in _SALES.items()}


class ClientError(CommandError):
    """What the command line asks makes no sense."""


def add_parser(subparsers: Any) -> None:
    """Add `ironbook client` to the command line."""
    parser = subparsers.add_parser("client", help="enter, replace, modify and cancel orders of every kind")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, metavar="FILE", help="commands.sock of the engine")
    where.add_argument(
        "--endpoint",
        type=endpoint,
        action="append",
        metavar="HOST:PORT",
        help="order entry of a member, once for each: whichever is primary is found",
    )
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="with --endpoint: the session's password")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help="with --endpoint: how long to look for a primary (default %(default)g)",
    )
    parser.add_argument("--session", required=True, help="whose orders: a session of the engine's configuration")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    actions = parser.add_subparsers(dest="action", required=True)
    enter = actions.add_parser("enter", help="a new order")
    enter.add_argument("side", choices=_SIDES)
    enter.add_argument("symbol")
    _terms(enter)
    replace = actions.add_parser("replace", help="other terms for a live order, all of them")
    replace.add_argument("original", type=int, help="its number")
    _terms(replace)
    cancel = actions.add_parser("cancel", help="an order, or a part of it")
    cancel.add_argument("user_ref", type=int, help="its number")
    cancel.add_argument("quantity", type=int, nargs="?", default=0, help="its new total size; 0: all is cancelled")
    modify = actions.add_parser("modify", help="another mark of a sale, a smaller size, or both: it keeps its place")
    modify.add_argument("user_ref", type=int, help="its number")
    modify.add_argument("side", choices=_SIDES, help="a buy stays one, a sale a sale")
    modify.add_argument("quantity", type=int, help="its total size, as it is or smaller")
    mass = actions.add_parser("mass-cancel", help="all orders of the session")
    mass.add_argument("--symbol", help="of this instrument alone")
    mass.add_argument("--side", choices=("buy", "sell"))
    watch = actions.add_parser("watch", help="reports as they come, until ^C")
    watch.add_argument("--after", type=int, default=0, help="number of the last report that is known; 0: all")
    watch.add_argument("--count", type=int, default=0, help="end after so many; 0: never")
    parser.set_defaults(function=run)


def _terms(parser: argparse.ArgumentParser) -> None:
    """What an order says, new or replaced."""
    parser.add_argument("quantity", type=int, help="total size, in quantity units")
    parser.add_argument("price", type=int, nargs="?", default=0, help="limit, in price units (10^-4)")
    parser.add_argument("--type", choices=_words(OrderType), default="limit")
    parser.add_argument("--time-in-force", choices=_words(TimeInForce), default="day")
    parser.add_argument("--stop-price", type=int, default=0, help="of stop and stop-limit orders")
    parser.add_argument("--displayed", type=int, default=0, help="iceberg: what is shown at a time, at most 64 times")
    parser.add_argument("--minimum", type=int, default=0, help="what must trade at once on arrival")
    parser.add_argument("--hidden", action="store_true")
    parser.add_argument("--post-only", action="store_true")
    parser.add_argument("--self-trade", choices=_words(SelfTrade), default="allowed")
    parser.add_argument("--expire-seconds", type=float, default=0.0, help="of --time-in-force gtd: to live, from now")
    parser.add_argument("--user-ref", type=int, default=0, help="its number; 0: the next free one")
    parser.add_argument("--client-data", default="", help="repeated in the reports, at most 14 characters")


def _words(names: Any) -> list[str]:
    return [name.lower().replace("_", "-") for name in names.__members__]


def _value(names: Any, word: str) -> int:
    return int(names[word.upper().replace("-", "_")])


def _side(word: str) -> Side:
    return Side.BUY if word == "buy" else Side.SELL


def _marked(word: str, data: bytes = b"") -> bytes:
    """Return client data with the mark of a sale behind it."""
    return data.ljust(_CLIENT_DATA, b"\0") + _SALES[word] if word in _SALES else data


def _within(name: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ClientError(f"client: {name} is {value}: give it a number from {least} to {most}")


def _order(arguments: argparse.Namespace, user_ref: int, instrument: int) -> Command:
    replaced = arguments.action == "replace"
    data = arguments.client_data.encode("ascii", "replace")
    if not replaced and arguments.side != "sell":  # a plain sale needs no mark
        data = _marked(arguments.side, data)
    expires = arguments.time_in_force == "gtd"
    return Command(
        0,
        0,
        CommandType.REPLACE if replaced else CommandType.ENTER,
        instrument=instrument,
        user_ref=user_ref,
        user_ref_original=arguments.original if replaced else 0,
        price=arguments.price,
        quantity=arguments.quantity,
        side=0 if replaced else _side(arguments.side),
        time_in_force=_value(TimeInForce, arguments.time_in_force),
        order_type=_value(OrderType, arguments.type),
        self_trade=_value(SelfTrade, arguments.self_trade),
        flags=OrderFlag.HIDDEN * arguments.hidden + OrderFlag.POST_ONLY * arguments.post_only,
        displayed=arguments.displayed,
        minimum=arguments.minimum,
        client_data=data,
        stop_price=arguments.stop_price,
        expire_time_ns=time.time_ns() + round(arguments.expire_seconds * _NS) if expires else 0,
    )


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what no field can hold, or contradicts itself, before anything is sent."""
    if arguments.action in {"enter", "replace"}:
        needs_price, needs_stop = arguments.type in {"limit", "stop-limit"}, arguments.type in {"stop", "stop-limit"}
        _within("quantity", arguments.quantity, 1, _QUANTITY_MAX)
        for name, value, needed in (
            ("price", arguments.price, needs_price),
            ("--stop-price", arguments.stop_price, needs_stop),
        ):
            if value and not needed:
                raise ClientError(f"client: {name} is {value}: a {arguments.type} order has none, leave it out")
            _within(name, value, 1 if needed else 0, _PRICE_MAX)
        _within("--displayed", arguments.displayed, 0, arguments.quantity)
        least = -(-arguments.quantity // _SLICES)
        if arguments.action == "enter" and 0 < arguments.displayed < least:
            raise ClientError(
                f"client: --displayed is {arguments.displayed}: an iceberg shows itself at most {_SLICES} times, "
                f"give it at least {least}"
            )
        _within("--minimum", arguments.minimum, 0, arguments.quantity)
        _within("--user-ref", arguments.user_ref, 0, _NUMBER_MAX)
        gtd = arguments.time_in_force == "gtd"
        if arguments.expire_seconds and not gtd:
            raise ClientError("client: --expire-seconds is of gtd orders: give --time-in-force gtd, too")
        _within("--expire-seconds", arguments.expire_seconds, 0, 10**9)
        if gtd and arguments.expire_seconds == 0:
            raise ClientError("client: gtd lives until when? give --expire-seconds")
        if not arguments.client_data.isascii() or len(arguments.client_data) > _CLIENT_DATA:
            raise ClientError(f"client: --client-data has at most {_CLIENT_DATA} ASCII characters")
    if arguments.action == "replace":
        _within("original", arguments.original, 1, _NUMBER_MAX)
    if arguments.action in {"cancel", "modify"}:
        _within("user_ref", arguments.user_ref, 1, _NUMBER_MAX)
        _within("quantity", arguments.quantity, 0 if arguments.action == "cancel" else 1, _QUANTITY_MAX)
    if arguments.action == "watch":
        _within("--after", arguments.after, 0, _NUMBER_MAX - 1)


def _instrument(stream: CommandStream, symbol: str) -> int:
    found = stream.ask(symbol)[1].instrument
    if found == INSTRUMENT_UNKNOWN:
        raise ClientError(f"client: {symbol} is not traded here")
    return found


def _command(arguments: argparse.Namespace, stream: CommandStream) -> Command:
    if arguments.action == "cancel":
        return Command(0, 0, CommandType.CANCEL, user_ref=arguments.user_ref, quantity=arguments.quantity)
    if arguments.action == "modify":
        return Command(
            0,
            0,
            CommandType.MODIFY,
            user_ref=arguments.user_ref,
            side=_side(arguments.side),
            quantity=arguments.quantity,
            client_data=_marked(arguments.side),
        )
    if arguments.action == "mass-cancel":
        instrument = _instrument(stream, arguments.symbol) if arguments.symbol else INSTRUMENT_ALL
        side = _value(Side, arguments.side) if arguments.side else 0
        return Command(0, 0, CommandType.MASS_CANCEL, instrument=instrument, side=side)
    user_ref = arguments.user_ref or stream.next_user_ref
    if user_ref < stream.next_user_ref or stream.next_user_ref == 0:
        raise ClientError(f"client: --user-ref {user_ref} is used up: the next free one is {stream.next_user_ref}")
    return _order(arguments, user_ref, _instrument(stream, arguments.symbol) if arguments.action == "enter" else 0)


def describe(event: Event) -> dict[str, Any]:
    """Return a report's fields by name, numbers of enumerations as words; what is zero and says nothing is left out."""
    words: dict[str, Any] = {
        "type": EventType(event.type).name.lower(),
        "session_seq": event.session_seq,
        "seq": event.seq,
        "time_ns": event.time_ns,
        "user_ref": event.user_ref,
    }
    for name in ("user_ref_original", "order_ref", "match_ref", "price", "quantity", "remaining", "displayed"):
        if getattr(event, name):
            words[name] = getattr(event, name)
    if event.side in set(Side):
        words["side"] = _MARKED.get(event.client_data[_CLIENT_DATA : _CLIENT_DATA + 1], Side(event.side).name.lower())
    if event.reason:
        words["reason"] = Reason(event.reason).name.lower()
    if event.flags:
        words["flags"] = [str(flag.name).lower() for flag in EventFlag if flag in EventFlag(event.flags)]
    data = event.client_data[:_CLIENT_DATA].rstrip(b"\0")
    return {**words, "client_data": data.decode("ascii", "replace")} if data else words


def show(event: Event, as_json: bool, sent: Command | None = None) -> None:
    """Print a report. Of the command that was `sent`: what its acceptance does not repeat is said again."""
    words = describe(event)
    accepted = event.type in {EventType.ACCEPTED, EventType.REPLACED}
    if sent is not None and accepted and event.user_ref == sent.user_ref and sent.stop_price:
        words["stop_price"] = sent.stop_price
    kind = words.pop("type")
    line = (
        json.dumps({"type": kind, **words})
        if as_json
        else " ".join(
            [
                kind,
                *(f"{name}={','.join(value) if isinstance(value, list) else value}" for name, value in words.items()),
            ]
        )
    )
    print(line, flush=True)


def _watch(arguments: argparse.Namespace) -> int:
    with CommandStream(arguments.socket, arguments.session, arguments.after, timeout=None) as stream:
        for number, event in enumerate(stream.events(), 1):
            show(event, arguments.json)
            if number == arguments.count or event.type == EventType.END_OF_DAY:
                break
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Do it, and print what came of it; 2 where it was rejected or changed nothing."""
    _check(arguments)
    if arguments.endpoint:
        told = client_ouch.run(arguments)
        rejected = told is not None and any(isinstance(report, ouch50.Rejected) for report in told)
        return _status(arguments.action, told is None or bool(told), rejected)
    if arguments.action == "watch":
        return _watch(arguments)
    with CommandStream(arguments.socket, arguments.session, ONLY_NEW) as stream:
        command = _command(arguments, stream)
        stream.send(command)
        reports, _ = stream.ask()
    for event in reports:
        show(event, arguments.json, command)
    return _status(arguments.action, bool(reports), any(event.type == EventType.REJECTED for event in reports))


def _status(action: str, has_reports: bool, is_rejected: bool) -> int:
    """Return the exit status, and say so where nothing came of it."""
    if not has_reports:
        print(f"ironbook: client: {action} changed nothing", file=sys.stderr)
    return REJECTED if is_rejected or not has_reports else 0
