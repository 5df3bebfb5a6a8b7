# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds what clients were told against the journals that are there afterwards: the invariants I1 to I8 of a shard.

It shares no code with the engine. Times are of one monotonic clock, in nanoseconds. Each fault is one line that begins
with the invariant:

  I1 each acknowledged order is in the surviving journal, once, as it was sent, with the result that was acknowledged
  I2 no two acknowledged orders share a number, numbers rise with the journal, and members agree on all that was
     acknowledged
  I3 states that were told for one sequence number are equal, whoever told them
  I4 each trade has two sides of one price and quantity, and no order trades more than it was for
  I5 each fill that a client saw is in the replay, the same
  I6 epochs never fall; each command is of the epoch that had begun, by the EPOCH commands and by what the primaries
     said of themselves; and in each epoch one member led and acknowledged
  I7 an order that was sent after another's acknowledgement has a higher number

An order's number is the venue's reference of it, in the order of its acceptance (docs/matching.md, order_ref).
  I8 nobody waited longer than the budget for the next acknowledgement
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from history.journal_bytes import ENTER, EPOCH, Command, Journal

ACCEPTED, EXECUTED = 1, 3


@dataclass(frozen=True)
class Fill:
    """One execution as a client or a replay tells it."""

    match: int
    session: str
    ref: int
    price: int
    quantity: int


@dataclass(frozen=True)
class Order:
    """One order as its client knows it: what it sent, when, and what it was told. `acked_ns` None: nothing."""

    session: str
    ref: int
    side: str
    quantity: int
    price: int
    invoked_ns: int
    acked_ns: int | None = None
    result: str = ""  # "accepted" or "rejected"
    order_ref: int = 0  # of an accepted one: its number
    member: str = ""  # who acknowledged it
    fills: tuple[Fill, ...] = ()


@dataclass(frozen=True)
class Acceptance:
    """What a replay says of an order: its number."""

    session: str
    ref: int
    order_ref: int


@dataclass(frozen=True)
class StateTold:
    """A state hash, as a member told it, or a replay of its journal."""

    who: str
    seq: int
    state_hash: str


@dataclass(frozen=True)
class Led:
    """What a primary said of itself: its epoch, and up to which command everything was committed then."""

    who: str
    epoch: int
    commit_seq: int


@dataclass
class History:
    """Everything that a run left behind. `survivor` names the journal that the shard goes on with."""

    orders: list[Order]
    journals: Mapping[str, Journal]
    survivor: str
    states: list[StateTold] = field(default_factory=list)
    replayed: list[Fill | Acceptance] | None = None
    budget_ns: int | None = None
    led: list[Led] = field(default_factory=list)


def read_log(path: Path) -> list[Order]:
    """Read a client's log: a JSON object a line, with the names of Order's fields; ValueError for anything else."""
    orders = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            value = json.loads(line)
            fills = tuple(Fill(**fill) for fill in value.pop("fills", ()))
            orders.append(Order(**value, fills=fills))
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}:{number}: no order: {error}") from error
    return orders


def check(history: History) -> list[str]:
    """Every fault that is found, in the invariants' order; an empty list where all hold."""
    acked = [order for order in history.orders if order.acked_ns is not None]
    survivor = history.journals[history.survivor]
    places = _places(survivor)
    rules: Sequence[Iterable[str]] = (
        _acked_orders_are_there(acked, places, history),
        _numbers_are_one_orders(acked, places),
        _members_agree(acked, places, history),
        _states_agree(history.states),
        _trades_have_two_sides(history.orders),
        _fills_are_replayed(history),
        _epochs_began(history),
        _one_member_an_epoch(acked, survivor, places),
        _later_is_higher(history.orders),
        _nobody_waits(history),
    )
    return [line for lines in rules for line in lines]


def _places(journal: Journal) -> dict[tuple[str, int], Command]:
    """Where each order entered; what is repeated is ignored by the venue, so the first one counts."""
    sessions = journal.sessions()
    first: dict[tuple[str, int], Command] = {}
    for command in journal.commands:
        if command.type == ENTER and command.session < len(sessions):
            first.setdefault((sessions[command.session], command.user_ref), command)
    return first


Places = Mapping[tuple[str, int], Command]


def _acked_orders_are_there(acked: Sequence[Order], places: Places, history: History) -> Iterator[str]:
    replayed = {(one.session, one.ref): one for one in history.replayed or () if isinstance(one, Acceptance)}
    for order in acked:
        name = f"I1: order {order.ref} of {order.session}"
        found = places.get((order.session, order.ref))
        accepted = order.result == "accepted"
        if found is None:
            yield f"{name} was acknowledged ({order.result}) and is not in the journal of {history.survivor}"
        elif accepted and (found.side, found.quantity, found.price) != (order.side, order.quantity, order.price):
            yield (
                f"{name} was sent as {order.side} {order.quantity} at {order.price}, and the journal has "
                f"{found.side} {found.quantity} at {found.price}"
            )
        elif history.replayed is not None:
            again = replayed.get((order.session, order.ref))
            if (again.order_ref if again else 0) != order.order_ref:
                yield (
                    f"{name} was {order.result} as {order.order_ref}, and is "
                    f"{f'accepted as {again.order_ref}' if again else 'not accepted'} in the replay"
                )


def _numbers_are_one_orders(acked: Sequence[Order], places: Places) -> Iterator[str]:
    numbered = [order for order in acked if order.order_ref and (order.session, order.ref) in places]
    numbered.sort(key=lambda order: places[order.session, order.ref].seq)
    for before, after in pairwise(numbered):
        if after.order_ref == before.order_ref:
            yield f"I2: two orders were acknowledged as {after.order_ref}"
        elif after.order_ref < before.order_ref:
            yield (
                f"I2: order {after.ref} of {after.session} has number {after.order_ref}, and stands in the journal "
                f"behind {before.order_ref}"
            )


def _members_agree(acked: Sequence[Order], places: Places, history: History) -> Iterator[str]:
    last = max((places[key].seq for order in acked if (key := (order.session, order.ref)) in places), default=0)
    survivor = history.journals[history.survivor].commands
    for member, journal in sorted(history.journals.items()):
        for mine, theirs in zip(survivor[:last], journal.commands[:last], strict=False):
            if (mine.payload, mine.epoch) != (theirs.payload, theirs.epoch):
                both = f"{member} and {history.survivor}"
                yield f"I2: {both} have different commands {mine.seq}, acknowledged up to {last}"
                break


def _states_agree(states: Sequence[StateTold]) -> Iterator[str]:
    told: dict[int, StateTold] = {}
    for state in states:
        other = told.setdefault(state.seq, state)
        if other.state_hash != state.state_hash:
            yield f"I3: at {state.seq} {other.who} has the state {other.state_hash}, and {state.who} {state.state_hash}"


def _trades_have_two_sides(orders: Sequence[Order]) -> Iterator[str]:
    trades: dict[int, list[tuple[Order, Fill]]] = defaultdict(list)
    for order in orders:
        for fill in order.fills:
            trades[fill.match].append((order, fill))
        if (filled := sum(fill.quantity for fill in order.fills)) > order.quantity:
            yield f"I4: order {order.ref} of {order.session} was for {order.quantity}, and {filled} of it were traded"
    for match, sides in sorted(trades.items()):
        terms = {(fill.price, fill.quantity) for _, fill in sides}
        if sorted(order.side for order, _ in sides) != ["B", "S"]:
            yield f"I4: trade {match} has the sides {', '.join(sorted(order.side for order, _ in sides))}"
        elif len(terms) > 1:
            yield f"I4: trade {match} has two sides of different terms: {sorted(terms)}"


def _fills_are_replayed(history: History) -> Iterator[str]:
    if history.replayed is None:
        return
    replayed = Counter(history.replayed)
    for order in history.orders:
        for fill in order.fills:
            if replayed[fill] != 1:
                yield f"I5: {order.session} saw {fill}, which the replay has {replayed[fill]} times"


def _epochs_began(history: History) -> Iterator[str]:
    """Each command against the EPOCH commands before it, in each journal; and the survivor's against who led when."""
    for member, journal in sorted(history.journals.items()):
        begun = 0  # before its first EPOCH command a journal is of whatever epoch was configured
        for command in journal.commands:
            begun = max(begun, command.value) if command.type == EPOCH else begun
            if begun and command.epoch != begun:
                yield f"I6: command {command.seq} of {member} is of epoch {command.epoch}, and epoch {begun} had begun"
                break
    leaders: dict[int, set[str]] = defaultdict(set)
    commands = history.journals[history.survivor].commands
    for told in history.led:
        leaders[told.epoch].add(told.who)
        if told.commit_seq > len(commands):
            yield f"I6: {told.who} had committed {told.commit_seq} commands in epoch {told.epoch}, which are not there"
        elif told.commit_seq and (epoch := commands[told.commit_seq - 1].epoch) != told.epoch:
            yield f"I6: {told.who} led epoch {told.epoch} at command {told.commit_seq}, which is of epoch {epoch}"
    for epoch, members in sorted(leaders.items()):
        if len(members) > 1:
            yield f"I6: epoch {epoch} was led by {', '.join(sorted(members))}"


def _one_member_an_epoch(acked: Sequence[Order], journal: Journal, places: Places) -> Iterator[str]:
    for before, after in pairwise(journal.commands):
        if after.epoch < before.epoch:
            yield f"I6: command {after.seq} is of epoch {after.epoch}, behind one of epoch {before.epoch}"
    ackers: dict[int, set[str]] = defaultdict(set)
    for order in acked:
        if order.member and (order.session, order.ref) in places:
            ackers[places[order.session, order.ref].epoch].add(order.member)
    for epoch, members in sorted(ackers.items()):
        if len(members) > 1:
            yield f"I6: in epoch {epoch} {', '.join(sorted(members))} acknowledged"


def _later_is_higher(orders: Sequence[Order]) -> Iterator[str]:
    """Go through the moments in their order; at one and the same moment nothing precedes anything."""
    numbered = [order for order in orders if order.acked_ns is not None and order.order_ref > 0]
    by_ack = sorted(numbered, key=lambda order: order.acked_ns or 0)
    highest: Order | None = None
    position = 0
    for order in sorted(numbered, key=lambda order: order.invoked_ns):
        while position < len(by_ack) and (by_ack[position].acked_ns or 0) < order.invoked_ns:
            if highest is None or by_ack[position].order_ref > highest.order_ref:
                highest = by_ack[position]
            position += 1
        if highest is not None and order.order_ref < highest.order_ref:
            yield (
                f"I7: order {order.ref} of {order.session} has number {order.order_ref}, and was sent after the "
                f"acknowledgement of {highest.order_ref}"
            )


def _nobody_waits(history: History) -> Iterator[str]:
    """The longest time without any acknowledgement while somebody waited for one that came.

    Who never had an answer does not count here: whether an order is missing is I1's.
    """
    if history.budget_ns is None or not history.orders:
        return
    answered = [order for order in history.orders if order.acked_ns is not None]
    if not answered:
        yield "I8: nothing was acknowledged at all"
        return
    acks = sorted(order.acked_ns for order in answered if order.acked_ns is not None)
    sent = sorted(order.invoked_ns for order in answered)
    for before, after in zip([sent[0], *acks], acks, strict=False):
        is_waiting = bisect_right(sent, before) > bisect_right(acks, before)
        since = before if is_waiting else sent[min(bisect_right(sent, before), len(sent) - 1)]
        if after - since > history.budget_ns:
            yield f"I8: no acknowledgement for {(after - since) / 1e9:.3f} s, budget {history.budget_ns / 1e9:.3f} s"


def replay_of(events: Iterable[Mapping[str, Any]], sessions: Sequence[str]) -> list[Fill | Acceptance]:
    """What a replay's events, as dictionaries of the event's fields, say that a client can know.

    Types are those of enum ib_event_type (ironbook.h).
    """
    found: list[Fill | Acceptance] = []
    for event in events:
        if event["type"] == ACCEPTED:
            found.append(Acceptance(sessions[event["session"]], event["user_ref"], event["order_ref"]))
        elif event["type"] == EXECUTED:
            who = sessions[event["session"]]
            found.append(Fill(event["match_ref"], who, event["user_ref"], event["price"], event["quantity"]))
    return found
