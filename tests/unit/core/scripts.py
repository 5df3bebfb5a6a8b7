# SPDX-License-Identifier: GPL-3.0-or-later
"""Short scripts of every command of rules 3, as Hypothesis draws and shrinks them, and how to run one.

A script is a list of (command, fields). What a client would count on is relative, so that it shrinks well: `step` is
added to the session's last user_ref, `back` taken from it, `life_ns` added to the time of the command. Attributes that
an order need not have are optional keys: shrinking leaves out what does not matter.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from unit.core import oracle_book as o
from unit.core.differential import Pair
from unit.core.flow import Flow

Step = tuple[str, dict[str, int]]
CAPACITY, SESSIONS, ACCOUNTS, INSTRUMENTS = 5, 3, 2, 2
KINDS = {
    "INSTRUMENT_ADD": 1, "SESSION_ADD": 2, "ENTER": 3, "REPLACE": 4, "CANCEL": 5, "HALT": 6, "RESUME": 7,
    "END_OF_DAY": 8, "RULES": 9, "ACCOUNT_ADD": 10, "INSTRUMENT_CHANGE": 11, "INSTRUMENT_REMOVE": 12, "PHASE": 13,
    "INDICATE": 14, "MASS_CANCEL": 15, "EXPIRE": 16, "RISK_LIMIT": 17, "KILL": 18, "MODIFY": 20,
}  # fmt: skip

# Of each field mostly what a venue sees; a value that cannot be is rare, or nothing else would ever be reached.
price = st.sampled_from([100, 99, 101, 98, 102] * 8 + [95, 105, 0, -1, 2**63 - 1, 2**62])
quantity = st.sampled_from([*range(1, 13)] * 4 + [20, 70, 0, 2**40 - 1, 2**40, 2**64 - 1])
side = st.sampled_from([1, 2] * 15 + [3])
session = st.sampled_from([0, 1, 2] * 9 + [7])
instrument = st.sampled_from([0] * 20 + [1] * 6 + [9])
anywhere = st.sampled_from([o.ANY_INSTRUMENT, 0, 0, o.ANY_INSTRUMENT, 1, 9])
account = st.sampled_from([1, 1, 1, 2, 0, 3])
value = st.one_of(st.integers(0, 12), st.sampled_from([1000, 2**62, o.UNLIMITED]))
good_till = st.sampled_from([0, 1, 10**9])
attributes: dict[str, st.SearchStrategy[int]] = {
    "order_type": st.sampled_from([o.LIMIT, o.MARKET, o.STOP, o.STOP_LIMIT, 9]),
    "time_in_force": st.integers(0, 8),
    "self_trade": st.integers(0, 5),
    "flags": st.sampled_from([o.HIDDEN, o.POST_ONLY, 3, 4]),
    "displayed": st.integers(1, 4),
    "minimum": st.integers(1, 6),
    "stop_price": price,
    "life_ns": good_till,
}


def fields(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, int]]:
    """Return a strategy for the fields of one command."""
    return st.fixed_dictionaries(required, optional=optional or {})


terms = {"price": price, "quantity": quantity}
step = {"session": session, "step": st.sampled_from([1] * 20 + [0, 2])}
plain: st.SearchStrategy[dict[str, int]] = st.just({})
# What an order has beside price and quantity: nothing, one thing that makes sense, two, or anything at all.
shape = st.one_of(
    plain,
    plain,
    fields({"time_in_force": st.sampled_from([o.GTC, o.IOC, o.FOK, o.AT_OPEN, o.AT_CLOSE])}),
    fields({"order_type": st.just(o.MARKET)}, {"time_in_force": st.sampled_from([o.IOC, o.FOK, o.AT_CLOSE])}),
    fields({"order_type": st.sampled_from([o.STOP, o.STOP_LIMIT]), "stop_price": price}),
    fields({"time_in_force": st.just(o.GTD), "life_ns": good_till}),
    fields({"displayed": st.integers(1, 4)}),
    fields({"flags": st.sampled_from([o.HIDDEN, o.POST_ONLY])}),
    fields({"minimum": st.integers(1, 6)}),
    fields({"self_trade": st.integers(1, 4)}),
    fields({}, attributes),
)


def with_shape(order: st.SearchStrategy[dict[str, int]]) -> st.SearchStrategy[dict[str, int]]:
    """Return orders with up to two shapes laid over them."""
    return st.tuples(order, shape, st.one_of(plain, plain, shape)).map(
        lambda parts: {**parts[2], **parts[1], **parts[0]}
    )


of_instrument = {
    "price": st.sampled_from([1, 1, 2, 0, -5]),
    "quantity": st.sampled_from([0, 1, 2]),
    "displayed": st.sampled_from([0, 100, 10_001]),
    "minimum": st.sampled_from([0, 100]),
    "reason": st.integers(0, 2),
    "stop_price": st.sampled_from([0, 100, -1]),
}
FIELDS_OF: dict[str, st.SearchStrategy[dict[str, int]]] = {
    "ENTER": with_shape(fields({**step, "instrument": instrument, "side": side, **terms})),
    "REPLACE": with_shape(fields({**step, "back": st.integers(0, 3), **terms})),
    "CANCEL": fields({"session": session, "back": st.integers(0, 3)}, {"quantity": st.integers(0, 12)}),
    "MODIFY": fields(
        {"session": session, "back": st.integers(0, 3), "side": side, "quantity": st.integers(0, 12)},
        {"mark": st.sampled_from([*b"STE"])},
    ),
    "PHASE": fields({"instrument": instrument, "phase": st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 7])}),
    "INDICATE": fields({"instrument": instrument}),
    "EXPIRE": fields({}),
    "RISK_LIMIT": fields({"account": account, "instrument": anywhere, "limit": st.integers(0, 8), "value": value}),
    "KILL": fields({"account": account, "value": st.integers(0, 1)}),
    "MASS_CANCEL": fields({
        "session": st.sampled_from([o.NOBODY, 0, 1, 9]), "account": st.sampled_from([o.ANY_ACCOUNT, 0, 1, 9]),
        "instrument": anywhere, "side": st.integers(0, 3),
    }),
    "INSTRUMENT_ADD": fields({
        "instrument": st.sampled_from([2, 1, 9]), "order_type": st.integers(0, 7), **of_instrument,
    }),
    "INSTRUMENT_CHANGE": fields({"instrument": instrument, **of_instrument}),
    "INSTRUMENT_REMOVE": fields({"instrument": instrument}),
    "ACCOUNT_ADD": fields({"account": st.sampled_from([3, 1])}),
    "SESSION_ADD": fields({"session": st.sampled_from([3, 1]), "account": account}),
    "RULES": fields({"value": st.integers(0, 4)}),
    "HALT": fields({}),
    "RESUME": fields({}),
    "END_OF_DAY": fields({}),
}  # fmt: skip
OFTEN = (
    *(("ENTER",) * 100 + ("REPLACE", "CANCEL", "MODIFY", "PHASE", "RESUME") * 10),
    *(("RISK_LIMIT", "MASS_CANCEL", "EXPIRE") * 4),
)


def of_kind(kind: str) -> st.SearchStrategy[Step]:
    """Return a strategy for one command."""
    return st.tuples(st.just(kind), FIELDS_OF[kind])


one_command = st.one_of(*map(of_kind, OFTEN), *map(of_kind, KINDS))
# Lists of lists: Hypothesis draws about five of each, and shrinks them to what is needed.
scripts = st.lists(st.lists(one_command, max_size=12), max_size=8).map(
    lambda parts: [step for part in parts for step in part]
)


def definitions(flow: Flow) -> list[dict[str, Any]]:
    """Rules 3; two accounts; sessions of accounts 0, 1 and 1; one plain instrument, and one with lots and bands."""
    made = [flow.command(9, value=3)]
    made += [flow.command(10, account=i, client_data=b"ACCOUNT%d" % i) for i in range(1, ACCOUNTS + 1)]
    made += [flow.command(2, session=i, account=min(i, 1), client_data=b"USER%d FIRM" % i) for i in range(SESSIONS)]
    made.append(flow.command(1, instrument=0, price=1, client_data=b"PLAIN"))
    made.append(
        flow.command(
            1, instrument=1, price=1, quantity=2, displayed=100, minimum=100, stop_price=100, client_data=b"BANDS"
        )
    )
    return made


def complete(flow: Flow, used: list[int], kind: str, drawn: dict[str, int]) -> dict[str, Any]:
    """Return the command of one step; `used` is the last user_ref of each session."""
    c: dict[str, Any] = dict(drawn)
    seen = used[c.get("session", 0) % SESSIONS]
    back, life = c.pop("back", 0), c.pop("life_ns", None)
    if kind in ("ENTER", "REPLACE"):
        c["user_ref"] = seen + c.pop("step")
        c.setdefault("order_type", o.LIMIT)
        used[c["session"] % SESSIONS] = max(seen, c["user_ref"])
    if kind in ("REPLACE", "CANCEL", "MODIFY"):
        c["user_ref_original" if kind == "REPLACE" else "user_ref"] = max(0, seen - back)
    if "mark" in c:
        c["client_data"] = bytes(14) + bytes([c.pop("mark")])
    if kind in ("INSTRUMENT_ADD", "SESSION_ADD"):
        c["client_data"] = b"NEW"
    command = flow.command(KINDS[kind], **c)
    if life is not None:
        command["expire_time_ns"] = command["time_ns"] + life
    return command


def compare(script: list[Step]) -> Pair:
    """Run a script through core and oracle; compare every event, and the whole state after each command."""
    pair = Pair(CAPACITY)
    used = [0] * SESSIONS
    with pair.core:
        flow = Flow(0, pair.oracle)
        pair.run(definitions(flow))
        pair.run((complete(flow, used, kind, drawn) for kind, drawn in script), every=1)
    return pair


def differs(script: list[Step]) -> bool:
    """Whether core and oracle disagree on a script."""
    try:
        compare(script)
    except AssertionError:
        return True
    return False
