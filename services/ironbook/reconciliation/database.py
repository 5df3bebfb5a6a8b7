# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL against the journal: each trade's row, each position, the ledger's checkpoint, and what nobody wrote."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from ironbook import settlement
from ironbook.event_log import START, Position
from ironbook.reconciliation.figures import Differences, Figures
from ironbook.reconciliation.journal import Truth
from ironbook.settlement import CONSUMER, PUBLISHER, Config
from ironbook.trades import AVERAGE_UNIT, PRICE_UNIT, Trade, average_text

_TRADES = """SELECT id, shard, sequence, index, match_ref, symbol, quantity, price * %s,
    extract(epoch FROM "timestamp") * 1000000, maker_client_id, taker_client_id, maker_user_ref,
    taker_user_ref, taker_side FROM public.trades WHERE shard = %s ORDER BY sequence, index"""
_OTHER_TRADES = """SELECT shard, symbol, count(*), min(id) FROM public.trades WHERE shard IS DISTINCT FROM %s
    GROUP BY shard, symbol ORDER BY min(id)"""
_PORTFOLIOS = "SELECT id, client_id, symbol, position, avg_cost * %s FROM public.portfolios ORDER BY id"
_NO_TABLES = """SELECT oid::regclass::text FROM pg_class WHERE relkind NOT IN ('r', 'p')
    AND oid IN ('public.trades'::regclass, 'public.portfolios'::regclass, 'public.ledger_checkpoint'::regclass)"""
_CHECKPOINTS = "SELECT consumer, shard, sequence, index FROM public.ledger_checkpoint ORDER BY consumer, shard"


def database_figures(config: Config, truth: Truth, differences: Differences) -> Figures:
    """Return what PostgreSQL's rows add up to, each compared with the journal's trade and position.

    Rows of other shards are those shards' to reconcile; here they only have to be of a shard that the venue has.
    """
    figures = Figures("PostgreSQL", positions={})
    with settlement.reading(config.database) as connection:
        # All at one moment: a row that comes meanwhile is in none of them.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for (name,) in connection.execute(_NO_TABLES):
            differences.add(f"PostgreSQL: {name} is no table: a view shows to each what it likes")
        trades = connection.execute(_TRADES, (PRICE_UNIT, config.shard)).fetchall()
        others = connection.execute(_OTHER_TRADES, (config.shard,)).fetchall()
        held = connection.execute(_PORTFOLIOS, (AVERAGE_UNIT,)).fetchall()
        checkpoints = connection.execute(_CHECKPOINTS).fetchall()
    _check_trades(trades, truth, figures, differences)
    _check_others(others, config, differences)
    _check_holdings(held, config, truth, figures, differences)
    _check_checkpoints(checkpoints, config, truth, differences)
    return figures


def _exact(value: Any) -> Any:
    """Return a whole numeric as an integer, and any other, infinity too, as it is: no fraction is rounded away."""
    whole = isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value()
    return int(value) if whole else value


def _check_trades(rows: list[tuple[Any, ...]], truth: Truth, figures: Figures, differences: Differences) -> None:
    wanted = {(trade.sequence, trade.index): trade._replace(time_ns=trade.time_ns // 1000) for trade in truth.trades}
    for number, *row in rows:
        trade = Trade(*map(_exact, row))
        empty = [name for name in Trade._fields if getattr(trade, name) is None]
        if empty:
            differences.add(f"PostgreSQL: the trade with id {number} has no {empty[0]}")
            continue
        if isinstance(trade.price, int):  # what is none differs from the journal's, and is named for it
            figures.add(trade.quantity, trade.price)
        expected = wanted.pop((trade.sequence, trade.index), None)
        place = f"PostgreSQL: trade ({trade.shard}, {trade.sequence}, {trade.index})"
        if expected is None:
            differences.add(f"{place} is not in the journal, or here twice (id {number})")
        elif trade != expected:
            name = next(name for name in Trade._fields if getattr(trade, name) != getattr(expected, name))
            differences.add(f"{place}: {name} {getattr(trade, name)}, the journal says {getattr(expected, name)}")
    for trade in wanted.values():
        differences.add(f"PostgreSQL: trade ({trade.shard}, {trade.sequence}, {trade.index}) is missing")


def _check_others(rows: list[tuple[Any, ...]], config: Config, differences: Differences) -> None:
    """Name trades that no shard of this venue can have made."""
    for shard, symbol, count, first in rows:
        trades = f"{count} trade{'s' if count > 1 else ''} (first id {first})"
        if shard is None:
            differences.add(f"PostgreSQL: {trades} of no shard: no engine made {'them' if count > 1 else 'it'}")
        elif shard not in config.shards:
            differences.add(f"PostgreSQL: {trades} of shard {shard}, which is not configured")
        elif symbol not in config.shards[shard]:
            differences.add(f"PostgreSQL: {trades} of shard {shard} in {symbol}, which it is not configured to trade")


def _check_holdings(
    rows: list[tuple[Any, ...]], config: Config, truth: Truth, figures: Figures, differences: Differences
) -> None:
    """Compare this shard's positions and average costs, and name positions in what no shard trades."""
    own = {*config.instruments, *truth.view.names.symbols}  # what the configuration has no more keeps its positions
    configured = own.union(*config.shards.values())
    figures.positions = {}
    keys = Counter((client, symbol) for _number, client, symbol, *_rest in rows)
    for number, client, symbol, position, average in rows:
        if symbol is not None and symbol not in configured:
            differences.add(f"PostgreSQL: position of {client} in {symbol} (id {number}): no shard trades {symbol}")
        elif None in (client, symbol, position, average):
            differences.add(f"PostgreSQL: the position with id {number} has an empty column")
        elif symbol in own:
            key = (client, symbol)
            if keys[key] > 1:
                differences.add(f"PostgreSQL: position of {client} in {symbol} has {keys[key]} rows (id {number})")
            figures.positions[key] = position
            expected = truth.holdings.get(key)
            if expected is None:
                differences.add(f"PostgreSQL: position of {client} in {symbol}: it never traded, by the journal")
            elif _exact(average) != expected.average:
                differences.add(
                    f"PostgreSQL: average cost of {client} in {symbol} {average / AVERAGE_UNIT}, "
                    f"the journal gives {average_text(expected.average)}"
                )
    for client, symbol in sorted(set(truth.holdings) - set(figures.positions)):
        differences.add(f"PostgreSQL: the position of {client} in {symbol} has no row")


def _check_checkpoints(rows: list[tuple[Any, ...]], config: Config, truth: Truth, differences: Differences) -> None:
    """Compare where the ledger goes on from with the journal's end: moved, it loses trades or writes them twice."""
    found = START
    present = False
    keys = Counter((consumer, shard) for consumer, shard, *_place in rows)
    for consumer, shard, *place in rows:
        if keys[consumer, shard] > 1:
            differences.add(f"PostgreSQL: checkpoint of {consumer} in shard {shard} has {keys[consumer, shard]} rows")
        is_publisher = consumer.startswith(PUBLISHER)
        if (consumer != CONSUMER and not is_publisher) or shard not in config.shards:
            differences.add(f"PostgreSQL: checkpoint of {consumer} in shard {shard}, which is not configured")
        elif is_publisher:
            if shard == config.shard and Position(*place) > truth.last:
                differences.add(
                    f"PostgreSQL: checkpoint of {consumer} in shard {shard} is at {tuple(place)}, ahead of the "
                    f"journal's last event {tuple(truth.last)}: what is between is not published by anybody else"
                )
        elif shard == config.shard:
            found, present = Position(*place), True
    if not present and truth.last != START:
        differences.add(
            f"PostgreSQL: the ledger's checkpoint of shard {config.shard} is missing, "
            f"the journal's last event is {tuple(truth.last)}"
        )
    elif found != truth.last:
        side = "ahead of" if found > truth.last else "behind"
        differences.add(
            f"PostgreSQL: the ledger's checkpoint of shard {config.shard} is at {tuple(found)}, {side} the journal's "
            f"last event {tuple(truth.last)}"
        )
