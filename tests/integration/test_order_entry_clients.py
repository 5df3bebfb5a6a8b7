# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that no one here wrote, against the real engine process."""

from __future__ import annotations

import asyncio
from typing import Any

import ouch_connect
import pytest
from integration.engine_process import PASSWORD, Engine, cancel, enter
from integration.ouch_connect_relay import Relay
from links_connect.callbacks import MemoryStoreCallback
from nasdaq_protocols import soup

pytestmark = pytest.mark.integration


# ---- ouch_connect: OUCH 5.0 over SoupBinTCP, in Rust ----


def _ouch_order(ref: int, side: str, quantity: int, price: float, **fields: Any) -> dict[str, Any]:
    order = {
        "user_ref_number": ref,
        "side": side,
        "quantity": quantity,
        "symbol": "AAPL",
        "price": price,
        "time_in_force": "MARKET_HOURS",
        "display": "VISIBLE",
        "capacity": "AGENCY",
        "int_mkt_sweep_eligibility": "NOT_ELIGIBLE",
        "cross_type": "CONTINUOUS_MARKET",
        "clt_order_id": f"X{ref}",
        "appendages": {},
        **fields,
    }
    return {"UPayload": {"EnterOrder": order}}


@pytest.mark.feature("ENG-01", by="U", part="a foreign OUCH 5.0 client places, is filled and cancels")
def test_ouch_connect_places_cancels_and_is_filled(engine: Engine) -> None:
    """Two Rust clients trade with each other; see ouch_connect_relay.py for the two places where they err."""
    store = MemoryStoreCallback(default_find_timeout=5)

    def received(name: str, kind: str, **fields: Any) -> dict[str, Any]:
        entry = store.find_recv(name=name, filter={"SPayload": {kind: fields}})
        assert entry is not None, f"{name} never received {kind} {fields}"
        body: dict[str, Any] = entry.msg["SPayload"][kind]
        return body

    login = {"password": PASSWORD, "session_id": "", "sequence": 1, "clt_max_hbeat_interval": 1.0}
    with Relay(engine.port) as relay:
        maker = ouch_connect.CltAuto(relay.address, store, name="maker", username="MAKER1", **login)
        taker = ouch_connect.CltAuto(relay.address, store, name="taker", username="TAKER1", **login)
        with maker, taker:
            harmless = {"min_qty": 0, "customer_type": "PORT_DEFAULT", "max_floor": 0, "price_type": "LIMIT"}
            maker.send(_ouch_order(1, "SELL", 100, 100.25, appendages=harmless))
            accepted = received("maker", "OrderAccepted")
            assert (accepted["quantity"], accepted["price"], accepted["symbol"]) == (100, 100.25, "AAPL")
            assert (accepted["order_state"], accepted["clt_order_id"]) == ("LIVE", "X1")

            taker.send(_ouch_order(1, "BUY", 30, 100.5, time_in_force="IMMEDIATE_OR_CANCEL"))
            bought = received("taker", "OrderExecuted")
            sold = received("maker", "OrderExecuted")
            assert (bought["quantity"], bought["price"], bought["liquidity_flag"]) == (30, 100.25, "REMOVED")
            assert (sold["quantity"], sold["price"], sold["liquidity_flag"]) == (30, 100.25, "ADDED")
            assert bought["match_number"] == sold["match_number"]

            maker.send({"UPayload": {"ModifyOrder": {"user_ref_number": 1, "side": "SELL_SHORT", "quantity": 90}}})
            modified = received("maker", "OrderModified")
            assert (modified["user_ref_number"], modified["side"], modified["quantity"]) == (1, "SELL_SHORT", 60)

            maker.send({"UPayload": {"CancelOrder": {"user_ref_number": 1, "quantity": 0}}})
            canceled = received("maker", "OrderCanceled")
            assert (canceled["quantity"], canceled["cancel_reason"]) == (60, "USER_REQUESTED")

            maker.send(_ouch_order(2, "SELL", 100, 100.25, appendages={"min_qty": 50}))
            assert received("maker", "OrderCanceled", user_ref_number=2)["quantity"] == 100  # nobody to trade 50 with

            maker.send({"UPayload": {"AccountQueryRequest": {}}})
            answer = store.find_recv(name="maker", filter={"UPayload": {"AccountQueryResponse": {}}})
            assert answer is not None
            assert answer.msg["UPayload"]["AccountQueryResponse"]["next_user_ref_number"] == 3

            assert maker.is_connected()
            assert taker.is_connected()
        assert relay.changed == 8  # three Enter Orders in; three Accepted and two Canceled out, nothing else
    totals = engine.admin("totals")
    assert (totals["trades"], totals["quantity"], totals["notional"]) == (1, 30, str(30 * 1002500))
    assert totals["orders_open"] == 0


# ---- nasdaq-protocols: a SoupBinTCP session in asyncio ----


async def _soup(engine: Engine, sequence: int, username: str = "MAKER1", password: str = PASSWORD) -> tuple[Any, Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    session = await soup.connect_async(
        ("127.0.0.1", engine.port),
        username,
        password,
        "",
        sequence=sequence,
        on_msg_coro=queue.put,
        client_heartbeat_interval=1,
        server_heartbeat_interval=2,
    )
    return session, queue


async def _sequenced(queue: asyncio.Queue[Any], count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        message = await asyncio.wait_for(queue.get(), 10)
        if type(message).__name__ == "SequencedData":
            found.append(bytes(message.data))
    return found


def test_nasdaq_protocols_logs_in_is_heartbeaten_and_resumes(engine: Engine) -> None:
    """The session lives through silence by heartbeats alone, and after a restart goes on at the number it asks for."""

    async def scenario() -> None:
        session, queue = await _soup(engine, 1)
        for ref in (1, 2, 3):
            session.send_unseq_data(enter(ref, "B", 10, 1_000_000 + ref)[3:])
        first = await _sequenced(queue, 3)
        assert [report[:1] for report in first] == [b"A"] * 3
        # Silence: this client ends a session that it does not hear from for its interval of 2 s.
        await asyncio.sleep(5)
        assert not session.is_closed()
        await session.close()

        engine.kill()
        engine.start()
        session, queue = await _soup(engine, 2)
        assert await _sequenced(queue, 2) == first[1:]
        session.send_unseq_data(cancel(1)[3:])
        assert (await _sequenced(queue, 1))[0][:1] == b"C"
        assert session.sequence == 4
        await session.close()

        with pytest.raises(ConnectionRefusedError):
            await _soup(engine, 1, password="wrong")

    asyncio.run(scenario())
    assert engine.disconnects("idle", 0) == 0
    assert engine.disconnects("login_rejected") == 1
