# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients and a dissector that no one here wrote, against the real engine process."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from integration.engine_process import PASSWORD, Client, Engine, cancel, enter, packet, replace
from integration.ouch_connect_relay import Relay
from integration.recorded_capture import Recorder

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A running engine."""
    process = Engine(tmp_path).start()
    yield process
    process.kill()


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
    callbacks = pytest.importorskip("links_connect.callbacks")
    ouch = pytest.importorskip("ouch_connect")
    store = callbacks.MemoryStoreCallback(default_find_timeout=5)

    def received(name: str, kind: str, **fields: Any) -> dict[str, Any]:
        entry = store.find_recv(name=name, filter={"SPayload": {kind: fields}})
        assert entry is not None, f"{name} never received {kind} {fields}"
        body: dict[str, Any] = entry.msg["SPayload"][kind]
        return body

    login = {"password": PASSWORD, "session_id": "", "sequence": 1, "clt_max_hbeat_interval": 1.0}
    with Relay(engine.port) as relay:
        maker = ouch.CltAuto(relay.address, store, name="maker", username="MAKER1", **login)
        taker = ouch.CltAuto(relay.address, store, name="taker", username="TAKER1", **login)
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

            maker.send({"UPayload": {"CancelOrder": {"user_ref_number": 1, "quantity": 0}}})
            canceled = received("maker", "OrderCanceled")
            assert (canceled["quantity"], canceled["cancel_reason"]) == (70, "USER_REQUESTED")

            maker.send(_ouch_order(2, "SELL", 100, 100.25, appendages={"min_qty": 50}))
            assert received("maker", "OrderRejected")["reject_reason"] == 0x0D  # Invalid Min Quantity

            maker.send({"UPayload": {"AccountQueryRequest": {}}})
            answer = store.find_recv(name="maker", filter={"UPayload": {"AccountQueryResponse": {}}})
            assert answer is not None
            assert answer.msg["UPayload"]["AccountQueryResponse"]["next_user_ref_number"] == 3

            assert maker.is_connected()
            assert taker.is_connected()
        assert relay.changed == 6  # three Enter Orders in; two Accepted and one Canceled out: nothing else was touched
    totals = engine.admin("totals")
    assert (totals["trades"], totals["quantity"], totals["notional"]) == (1, 30, str(30 * 1002500))
    assert totals["orders_open"] == 0


# ---- nasdaq-protocols: a SoupBinTCP session in asyncio ----


async def _soup(engine: Engine, sequence: int, username: str = "MAKER1", password: str = PASSWORD) -> tuple[Any, Any]:
    soup = pytest.importorskip("nasdaq_protocols.soup")
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


# ---- tshark: the dissector of Wireshark ----


class LoopbackCapture:
    """tshark on the loopback interface, as root."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self.port, self.file = engine.port, file

    def __enter__(self) -> Self:
        command = ["tshark", "-i", "lo", "-f", f"tcp port {self.port}", "-w", str(self.file)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"Capturing on" in line:
                break
        time.sleep(1)  # tshark says so a moment before its dumpcap has opened the interface
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(1)
        self._process.terminate()
        self._process.wait(20)


class RecordedCapture:
    """What went through a relay, for whoever may not capture."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self._recorder, self._file = Recorder(engine.port), file
        self.port = self._recorder.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.write(self._file)
        self._recorder.__exit__()


def _log_in(port: int, username: str) -> Client:
    client = Client(port)
    assert client.login(username)[:1] == b"A"
    return client


def _whole_session(engine: Engine, port: int) -> int:
    """Every packet and message that order entry knows, through `port`; returns how many reports there were."""
    maker, taker = _log_in(port, "MAKER1"), _log_in(port, "TAKER1")
    for ref in range(1, 51):
        maker.send(enter(ref, "S", 10, 1_000_000 + ref))
    maker.send(replace(49, 51, 20, 1_000_200))
    maker.report("U")
    taker.send(enter(1, "B", 200, 1_000_100) + enter(2, "B", 1, 0))
    taker.report("J")
    maker.send(cancel(50) + packet(b"R") + packet(b"+", b"a line for the log"))
    maker.report("C")
    assert maker.next_user_ref() == 52
    while maker.packet() != b"H":  # a heartbeat, too
        pass
    wrong = Client(port)
    assert wrong.login("MAKER1", password="wrong") == b"JA"
    engine.admin("end_of_day")
    assert list(maker.packets())[-1] == b"Z"
    assert list(taker.packets())[-1] == b"Z"
    return len(maker.sequenced) + len(taker.sequenced)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (apt-get install tshark)")
@pytest.mark.parametrize(
    "capture",
    [
        pytest.param(LoopbackCapture, marks=pytest.mark.skipif(os.geteuid() != 0, reason="a capture on lo needs root")),
        RecordedCapture,
    ],
)
def test_tshark_finds_no_malformed_frame(
    engine: Engine, tmp_path: Path, capture: type[LoopbackCapture] | type[RecordedCapture]
) -> None:
    """A whole session, from login to End of Session, as Wireshark reads it."""
    file = tmp_path / "session.pcap"
    with capture(engine, file) as running:
        port = running.port
        reports = _whole_session(engine, port)

    def decode(path: Path, *arguments: str) -> str:
        command = ["tshark", "-r", str(path), "-d", f"tcp.port=={port},soupbintcp", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    types = re.findall(r"'(.)'", decode(file, "-T", "fields", "-e", "soupbintcp.packet_type"))
    assert set("LAJUSHRZ+") <= set(types), f"tshark saw only packets of types {sorted(set(types))}"
    assert types.count("S") == reports
    assert decode(file, "-Y", "_ws.malformed || _ws.expert.severity == error") == ""

    # Negative control: one length field broken in the capture is seen.
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(file.read_bytes().replace(b"\x00\x1fA", b"\x00\x05A", 1))
    assert decode(broken, "-Y", "_ws.malformed") != ""
