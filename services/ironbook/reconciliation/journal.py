# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal says of a shard, which decides.

Positions and average costs are reckoned here in another way than the ledger reckons them, and from the events' own
sides: an error in the ledger's arithmetic would otherwise agree with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ironbook.core.records import Event, EventFlag, EventType, Side
from ironbook.errors import CommandError
from ironbook.event_log import START, Position
from ironbook.journal_view import JournalView
from ironbook.reconciliation.figures import Differences, Figures
from ironbook.settlement import Config
from ironbook.trades import AVERAGE_UNIT, PRICE_UNIT, Holding, Names, Trade, TradeBuilder

# Plain integers: comparing with an enumeration costs more than all else here.
_EXECUTED, _RESTING, _BUY = int(EventType.EXECUTED), int(EventFlag.RESTING), int(Side.BUY)


@dataclass
class Truth:
    """What the journal says, in the forms in which the others are compared with it."""

    view: JournalView
    trades: list[Trade]
    holdings: dict[tuple[str, str], Holding]
    figures: Figures

    @property
    def last(self) -> Position:
        """The last event of the shard."""
        events = self.view.events
        return Position(events[-1].seq, events[-1].index) if events else START


def journal_truth(config: Config, view: JournalView) -> Truth:
    """Return the trades and positions of a journal."""
    figures = Figures("journal")
    trades = list(TradeBuilder(config.shard, view.names).add(view.events))
    for trade in trades:
        figures.add(trade.quantity, trade.price)
    held = holdings(view.events, view.names)
    figures.positions = {key: holding.position for key, holding in held.items()}
    return Truth(view, trades, held, figures)


def holdings(events: list[Event], names: Names) -> dict[tuple[str, str], Holding]:
    """Return what each firm holds of each symbol after all executions among `events`, in their order."""
    held: dict[tuple[str, str], Holding] = {}
    maker: Event | None = None
    for event in events:
        if event.type != _EXECUTED:
            continue
        if maker is None and event.flags & _RESTING:
            maker = event
            continue
        if maker is None:
            raise CommandError(f"journal: match {event.match_ref} at sequence {event.seq} has no maker")
        # A firm that trades with itself buys first: which comes first shows in its average cost.
        for half in sorted((maker, event), key=lambda half: half.side != _BUY):
            key = names.firms[half.session], names.symbols[half.instrument]
            change = half.quantity if half.side == _BUY else -half.quantity
            held[key] = _after(held.get(key, Holding()), change, half.price)
        maker = None
    return held


def _after(held: Holding, change: int, price: int) -> Holding:
    """Split the execution into what closes and what opens; the average cost is book value over position, as a fraction.

    What closes leaves at the average, what opens comes in at the price. `round` of a fraction is half to even.
    """
    sign = 1 if change > 0 else -1
    closes = min(abs(change), abs(held.position)) if held.position * sign < 0 else 0
    opens = abs(change) - closes
    kept = held.position + sign * closes
    value = kept * held.average + sign * opens * price * (AVERAGE_UNIT // PRICE_UNIT)
    position = held.position + change
    return Holding(position, round(Fraction(value, position)) if position else 0)


def check_totals(truth: Truth, differences: Differences) -> None:
    """Compare the trades counted here with the core's own sums over the same journal."""
    totals = truth.view.totals
    core = Figures("the core's own sums", totals.trades, totals.quantity, totals.notional)
    differences.compare(core, truth.figures)


def check_names(config: Config, truth: Truth, differences: Differences) -> None:
    """Compare what the configuration calls sessions and instruments with what the journal itself defines.

    Where an instrument stands in the configuration does not matter, and the journal may have more of them.
    """
    named = list(zip(truth.view.usernames, truth.view.names.firms, strict=True))
    if named != [(session.username, session.firm) for session in config.sessions]:
        differences.add(f"configuration: its sessions are not the journal's, which are {named}")
    lacking = [symbol for symbol in config.instruments if symbol not in truth.view.names.symbols]
    if lacking:
        differences.add(
            f"configuration: the journal does not have its instruments {lacking}: start the engine with them"
        )
