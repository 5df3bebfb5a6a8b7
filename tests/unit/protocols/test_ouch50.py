# SPDX-License-Identifier: GPL-3.0-or-later
"""OUCH 5.0 from the client's side: bytes laid out by the specification's tables, and by a client that is not ours."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from ironbook.protocols import ouch50
from links_connect.callbacks import MemoryStoreCallback  # type: ignore[import-untyped]
from ouch_connect import CltManual


def test_sizes_are_those_of_the_specification() -> None:
    assert len(ouch50.enter_order(1, ouch50.BUY, 100, b"AAPL", 1_500_000)) == 47
    assert len(ouch50.replace_order(1, 2, 100, 1_500_000)) == 40
    assert len(ouch50.cancel_order(1)) == 9
    assert len(ouch50.modify_order(1, ouch50.SELL_SHORT, 50)) == 10
    assert ouch50.account_query() == b"Q"


def foreign_bytes(message: dict[str, Any]) -> bytes:
    """Let ouch_connect send one message and return its payload, without SoupBinTCP's three bytes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        received: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                while True:
                    data = connection.recv(1000)
                    if not data or len(data) > 3:  # a heartbeat has three bytes
                        received.append(data)
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with CltManual(address, MemoryStoreCallback(), name="client") as client:
            client.send(message)
            thread.join(timeout=10)
    (length,) = struct.unpack(">H", received[0][:2])
    return received[0][3 : 2 + length]


def test_cancel_is_what_ouch_connect_sends() -> None:
    message = {"UPayload": {"CancelOrder": {"user_ref_number": 7, "quantity": 40}}}
    assert foreign_bytes(message) == ouch50.cancel_order(7, 40)


# A short sale that is exempt is E by the specification; this client writes U for it.
@pytest.mark.parametrize(
    ("side", "theirs"), [(ouch50.BUY, "BUY"), (ouch50.SELL, "SELL"), (ouch50.SELL_SHORT, "SELL_SHORT")]
)
def test_modify_is_what_ouch_connect_sends(side: bytes, theirs: str) -> None:
    message = {"UPayload": {"ModifyOrder": {"user_ref_number": 7, "side": theirs, "quantity": 40}}}
    assert foreign_bytes(message) == ouch50.modify_order(7, side, 40)


def test_account_query_is_what_ouch_connect_sends() -> None:
    assert foreign_bytes({"UPayload": {"AccountQueryRequest": {}}}) == ouch50.account_query()


def test_replace_is_what_ouch_connect_sends() -> None:
    message = {
        "orig_user_ref_number": 3,
        "user_ref_number": 4,
        "quantity": 250,
        "price": 12.5,
        "time_in_force": "MARKET_HOURS",
        "display": "VISIBLE",
        "int_mkt_sweep_eligibility": "NOT_ELIGIBLE",
        "clt_order_id": "ORDER4",
        "appendages": {},
    }
    ours = ouch50.replace_order(3, 4, 250, 125_000, client_order_id=b"ORDER4")
    assert foreign_bytes({"UPayload": {"ReplaceOrder": message}}) == ours


def test_enter_is_what_ouch_connect_sends() -> None:
    message = {
        "user_ref_number": 9,
        "side": "SELL",
        "quantity": 300,
        "symbol": "AAPL",
        "price": 585.33,
        "time_in_force": "IMMEDIATE_OR_CANCEL",
        "display": "VISIBLE",
        "capacity": "AGENCY",
        "int_mkt_sweep_eligibility": "NOT_ELIGIBLE",
        "cross_type": "CONTINUOUS_MARKET",
        "clt_order_id": "ORDER9",
        "appendages": {},
    }
    ours = ouch50.enter_order(
        9, ouch50.SELL, 300, b"AAPL", 5_853_300, ouch50.IMMEDIATE_OR_CANCEL, client_order_id=b"ORDER9"
    )
    theirs = foreign_bytes({"UPayload": {"EnterOrder": message}})
    # ouch_connect 5.0.1 gives the symbol nine bytes; the specification, and tshark's dissectors, have eight.
    assert theirs[18:19] == b" "
    assert theirs[:18] + theirs[19:] == ours


REPORTS: list[tuple[bytes, ouch50.Report]] = [
    (struct.pack(">cQc", b"S", 1, b"S"), ouch50.SystemEvent(1, b"S")),
    (
        struct.pack(
            ">cQIcI8sQccQcccc14sH",
            b"A",
            2,
            3,
            b"B",
            4,
            b"AAPL    ",
            5,
            b"0",
            b"Y",
            6,
            b"A",
            b"N",
            b"N",
            b"L",
            b"x" * 14,
            0,
        ),
        ouch50.Accepted(2, 3, b"B", 4, b"AAPL    ", 5, b"0", b"Y", 6, b"A", b"N", b"N", b"L", b"x" * 14),
    ),
    (
        struct.pack(
            ">cQIIcI8sQccQcccc14sH",
            b"U",
            2,
            3,
            4,
            b"S",
            5,
            b"AAPL    ",
            6,
            b"0",
            b"Y",
            7,
            b"A",
            b"N",
            b"N",
            b"L",
            b"x" * 14,
            0,
        ),
        ouch50.Replaced(2, 3, 4, b"S", 5, b"AAPL    ", 6, b"0", b"Y", 7, b"A", b"N", b"N", b"L", b"x" * 14),
    ),
    (struct.pack(">cQIIc", b"C", 1, 2, 3, b"U"), ouch50.Canceled(1, 2, 3, b"U")),
    (struct.pack(">cQIIcIQc", b"D", 1, 2, 3, b"Q", 4, 5, b"A"), ouch50.AiqCanceled(1, 2, 3, b"Q", 4, 5, b"A")),
    (struct.pack(">cQIIQcQH", b"E", 1, 2, 3, 4, b"A", 5, 0), ouch50.Executed(1, 2, 3, 4, b"A", 5)),
    (struct.pack(">cQIQc14s", b"B", 1, 2, 3, b"E", b"y" * 14), ouch50.BrokenTrade(1, 2, 3, b"E", b"y" * 14)),
    (struct.pack(">cQIH14s", b"J", 1, 2, 3, b"y" * 14), ouch50.Rejected(1, 2, 3, b"y" * 14)),
    (struct.pack(">cQI", b"P", 1, 2), ouch50.CancelPending(1, 2)),
    (struct.pack(">cQI", b"I", 1, 2), ouch50.CancelReject(1, 2)),
    (struct.pack(">cQIQcQ", b"T", 1, 2, 3, b"Y", 4), ouch50.PriorityUpdate(1, 2, 3, b"Y", 4)),
    (struct.pack(">cQIcI", b"M", 1, 2, b"B", 3), ouch50.Modified(1, 2, b"B", 3)),
    (struct.pack(">cQIcH", b"R", 1, 2, b"R", 0), ouch50.Restated(1, 2, b"R")),
    (struct.pack(">cQI", b"Q", 1, 2), ouch50.AccountQueryResponse(1, 2)),
]


@pytest.mark.parametrize(("message", "report"), REPORTS, ids=[type(report).__name__ for _, report in REPORTS])
def test_each_report_is_decoded(message: bytes, report: ouch50.Report) -> None:
    decoded = ouch50.decode(message)
    assert decoded == report
    assert type(decoded) is type(report)


def test_appendage_is_kept() -> None:
    message = REPORTS[5][0][:-2] + b"\x00\x04\x03\x01AB"
    assert ouch50.decode(message).appendage == b"\x03\x01AB"  # type: ignore[union-attr]


@pytest.mark.parametrize("message", [b"", b"?", b"A", REPORTS[1][0][:-4], b"E" + b"\0" * 20])
def test_what_is_no_report_is_refused(message: bytes) -> None:
    with pytest.raises(ouch50.OuchError, match=r"not an OUCH 5\.0 message"):
        ouch50.decode(message)
