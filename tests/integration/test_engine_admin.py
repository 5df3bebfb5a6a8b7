# SPDX-License-Identifier: GPL-3.0-or-later
"""Admin requests with arguments: each is sequenced, answered by its events, and refuses nonsense with one line."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from integration.engine_process import Engine, cancel, enter, environment, same_after_a_kill, slow_journal
from ironbook import core
from ironbook.core.records import CommandType

pytestmark = pytest.mark.integration


def code(report: bytes) -> int:
    """Of a Rejected message."""
    return int(struct.unpack("!H", report[13:15])[0])


def test_a_reference_price_set_by_hand_outlasts_a_restart(engine: Engine) -> None:
    """A change of something else, after a kill, leaves it as it was set, and not as an auction before had set it."""
    client = engine.login()
    engine.admin("phase AAPL opening_auction")
    client.send(enter(1, "B", 5, 1_000_000) + enter(2, "S", 5, 1_000_000))
    client.report("A")
    client.report("A")
    assert engine.admin("phase AAPL continuous")["trades"] == 1
    engine.admin("instrument_change AAPL reference_price=2000000")
    engine.kill()
    engine.start()
    assert len(engine.admin("instrument_change AAPL dynamic_band=100")["events"]) == 1
    changes = [c for c in core.journal_dump(engine.journal) if c.type == CommandType.INSTRUMENT_CHANGE]
    assert [change.stop_price for change in changes] == [2_000_000, 2_000_000]  # where it lies (ironbook.h)


def test_phases_by_hand(engine: Engine) -> None:
    """A halt and back leave the book as it was; an auction by hand crosses it; the present phase changes nothing."""
    client = engine.login()
    client.send(enter(1, "B", 10, 1_000_000))
    client.report("A")
    answer = engine.admin("phase AAPL halted")
    assert answer["events"] == [{"type": "phase", "symbol": "AAPL", "phase": "halted"}]
    assert engine.admin("phase AAPL halted")["events"] == []
    client.send(enter(2, "B", 10, 1_000_000) + enter(3, "B", 10, 1_000_000, symbol="MSFT"))
    assert code(client.report("J")) == 0x0007
    client.report("A")
    engine.admin("phase AAPL opening_auction")
    client.send(enter(4, "S", 4, 1_000_000))
    client.report("A")
    answer = engine.admin("phase AAPL continuous")
    assert [event["type"] for event in answer["events"]] == ["phase", "executed", "executed"]
    assert (answer["trades"], answer["events"][1]["quantity"]) == (1, 4)
    same_after_a_kill(engine)


def test_instruments_come_change_and_go(engine: Engine) -> None:
    """Traded as soon as the answer is there; a lot under live orders is left alone."""
    client = engine.login()
    client.send(enter(1, "B", 10, 100, symbol="TSLA"))
    assert code(client.report("J")) == 0x0017
    assert engine.admin("instrument_add TSLA tick=5 lot=10")["events"] == [{"type": "instrument", "symbol": "TSLA"}]
    client.send(enter(2, "B", 10, 100, symbol="TSLA") + enter(3, "B", 5, 100, symbol="TSLA"))
    assert client.report("A")[18:26] == b"TSLA    "
    assert code(client.report("J")) == 0x0013
    assert engine.admin("instrument_change TSLA lot=1")["events"] == []
    assert len(engine.admin("instrument_change TSLA static_band=100 reference_price=100")["events"]) == 1
    client.send(cancel(2))
    client.report("C")
    assert len(engine.admin("instrument_change TSLA lot=1")["events"]) == 1
    client.send(enter(4, "B", 5, 100, symbol="TSLA"))
    client.report("A")
    answer = engine.admin("instrument_remove TSLA")
    assert [event["type"] for event in answer["events"]] == ["canceled", "instrument"]
    assert answer["events"][0]["session"] == "MAKER1"
    assert client.report("C")[17:] == b"Z"
    client.send(enter(5, "B", 5, 100, symbol="TSLA"))
    assert code(client.report("J")) == 0x0017
    # The symbol may come again, and is another instrument then.
    assert len(engine.admin("instrument_add TSLA tick=1")["events"]) == 1
    client.send(enter(6, "B", 5, 101, symbol="TSLA"))
    assert client.report("A")[18:26] == b"TSLA    "
    same_after_a_kill(engine)


def test_an_instrument_added_by_hand_outlasts_a_crash(engine: Engine) -> None:
    """It trades on over the configuration of before, which one line says; the configuration may name it later."""
    engine.admin("instrument_add TSLA tick=5 lot=10 static_band=400")
    engine.admin("instrument_add GONE tick=1")
    engine.admin("instrument_remove GONE")
    client = engine.login()
    client.send(enter(1, "B", 10, 100, symbol="TSLA"))
    client.report("A")
    same_after_a_kill(engine)
    (said,) = [line for line in engine.log.read_text().splitlines() if "the configuration lacks" in line]
    assert "trades 1 that the configuration lacks, and so does this engine: TSLA: add them" in said
    client = engine.login("TAKER1")
    client.send(enter(1, "S", 10, 100, symbol="TSLA"))
    client.report("E")
    assert engine.admin("instrument_change TSLA lot=1")["event_count"] == 1
    seq = engine.admin("totals")["seq"]
    engine.config["instruments"].append({"symbol": "TSLA", "tick": 5, "static_band": 400})
    same_after_a_kill(engine)
    assert engine.admin("totals")["seq"] == seq  # it is as it is configured: nothing is sequenced
    assert engine.log.read_text().count("the configuration lacks") == 1
    engine.config["instruments"][-1]["removed"] = True
    engine.kill()
    engine.start()
    client = engine.login(sequence=0)
    client.send(enter(2, "B", 1, 100, symbol="TSLA"))
    assert code(client.report("J")) == 0x0017


def test_an_instrument_that_the_configuration_loses_trades_on(engine: Engine) -> None:
    """With its orders, and its limits; many of them are counted."""
    for number in range(10):
        engine.admin(f"instrument_add T{number} tick=1")
    client = engine.login()
    client.send(enter(1, "B", 1, 100))
    client.report("A")
    engine.config["instruments"] = [{"symbol": "MSFT", "tick": 100}]
    same_after_a_kill(engine)
    assert "trades 11 that the configuration lacks, and so does this engine: AAPL T0 T1 T2 T3 T4 T5 T6 …: add" in (
        engine.log.read_text()
    )
    client = engine.login("TAKER1")
    client.send(enter(1, "S", 1, 100))
    client.report("E")


@pytest.mark.feature(
    "ENG-10", by="P", part="in the running engine: a limit that changes while it runs, and the kill switch"
)
def test_limits_and_the_kill_switch(engine: Engine) -> None:
    """Changed while it runs, refused from then on; the kill takes all orders of the account and lets none in."""
    client, other = engine.login("MAKER1"), engine.login("TAKER1")
    client.send(enter(1, "B", 500, 100))
    client.report("A")
    answer = engine.admin("risk_limit MAKR order_quantity 100")
    assert answer["events"] == [{"type": "risk", "account": "MAKR", "limit": "order_quantity", "value": 100}]
    engine.admin("risk_limit MAKR order_quantity 200 MSFT")
    client.send(enter(2, "B", 101, 100) + enter(3, "B", 101, 100, symbol="MSFT") + enter(4, "B", 100, 100))
    assert code(client.report("J")) == 0x001E  # order size limit
    client.report("A")
    client.report("A")
    other.send(enter(1, "B", 500, 100))
    other.report("A")
    answer = engine.admin("kill MAKR")
    assert (answer["canceled"], answer["events"][0]["limit"], answer["events"][0]["value"]) == (3, "kill", 1)
    assert [client.report("C")[17:] for _ in range(3)] == [b"S"] * 3
    client.send(enter(5, "B", 1, 100))
    client.report("J")
    assert engine.admin("kill MAKR")["unchanged"] == "the account is killed already"
    same_after_a_kill(engine)
    client = engine.login("MAKER1", sequence=0)
    client.send(enter(6, "B", 1, 100))
    client.report("J")
    assert engine.admin("revive MAKR")["event_count"] == 1
    client.send(enter(7, "B", 1, 100))
    client.report("A")
    assert engine.admin("risk_limit MAKR order_quantity unlimited")["events"][0]["value"] == "unlimited"
    client.send(enter(8, "B", 500, 100))
    client.report("A")


def test_mass_cancel(engine: Engine) -> None:
    """By session, symbol and side, alone and together."""
    client, other = engine.login("MAKER1"), engine.login("TAKER1")
    for who in (client, other):
        who.send(enter(1, "B", 1, 100) + enter(2, "S", 1, 900) + enter(3, "B", 1, 100, symbol="MSFT"))
        who.wait_for(3)
    assert engine.admin("mass_cancel session=MAKER1 symbol=AAPL side=buy")["canceled"] == 1
    assert client.report("C")[9:13] == struct.pack("!I", 1)
    assert engine.admin("mass_cancel account=TAKR")["canceled"] == 3
    assert engine.admin("mass_cancel symbol=MSFT")["canceled"] == 1
    assert engine.admin("mass_cancel all")["canceled"] == 1
    assert engine.admin("mass_cancel all")["events"] == []
    assert engine.admin("totals")["orders_open"] == 0
    same_after_a_kill(engine)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("phase", "the symbol is missing"),
        ("phase AAPL", "the phase is missing"),
        ("phase AAPL open", "the phase is 'open': give it one of continuous, closed,"),
        ("phase NOPE closed", "NOPE is not traded here"),
        ("phase NINELETTERS closed", "is no symbol"),
        ("phase AAPL closed now", "'now' is too much"),
        ("instrument_add AAPL tick=1", "AAPL is traded already"),
        ("instrument_add TSLA", "tick of TSLA must be at least 1"),
        ("instrument_add TSLA tick=-1", "tick is '-1': give it an integer"),
        ("instrument_add TSLA tick=1x", "tick is '1x'"),
        ("instrument_add TSLA tick=99999999999999999999", "tick is '99999999999999999999'"),
        ("instrument_add TSLA tick=1 schedule=1", "there is no schedule 1"),
        ("instrument_add TSLA tick=1 static_band=10001", "static_band is '10001'"),
        ("instrument_add TSLA tick=1 colour=red", "'colour' is nothing of an instrument"),
        ("instrument_add TSLA tick", "'tick' is no key=value"),
        ("instrument_change AAPL phase=closed", "a phase is not changed so"),
        ("instrument_remove", "the symbol is missing"),
        ("risk_limit NOBODY collar 1", "there is no account 'NOBODY'"),
        ("risk_limit MAKR colour 1", "the limit is 'colour': give it one of message_rate,"),
        ("risk_limit MAKR kill 1", "the limit is 'kill'"),
        ("risk_limit MAKR collar", "the value is missing"),
        ("risk_limit MAKR collar -5", "the value is '-5'"),
        ("risk_limit MAKR message_rate 5 AAPL", "of a whole account"),
        ("kill", "the account is missing"),
        ("revive 0", "there is no account '0'"),
        ("mass_cancel", "whose?"),
        ("mass_cancel side=both", "side is 'both': give it one of buy, sell"),
        ("mass_cancel session=", "there is no session ''"),
        ("mass_cancel AAPL", "'AAPL': give session="),
        ("status please", "this request has no arguments"),
        ("phase \\ x", "printable ASCII without quotes"),
        ('phase " x', "printable ASCII without quotes"),
        ("phase \x01 x", "printable ASCII without quotes"),
        ("kill " + "a " * 20, "at most 16 words"),
        ("phases AAPL closed", "unknown request"),
    ],
)
def test_nonsense_is_refused_and_not_sequenced(engine: Engine, request_: str, said: str) -> None:
    """One line that names the thing; the journal does not grow."""
    seq = engine.admin("totals")["seq"]
    assert said in engine.admin(request_)["error"]
    assert engine.admin("totals")["seq"] == seq


def test_any_bytes(engine: Engine) -> None:
    """A line of any bytes is answered or the connection ends; the engine serves on."""
    for value in (*range(1, 10), *range(11, 256)):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(engine.run / "admin.sock"))
            connection.sendall(b"instrument_add " + bytes([value]) * 40 + b"\n")
            assert "error" in json.loads(connection.makefile("rb").readline())
    assert engine.admin("status")["state"] == "serving"


def test_names_of_instruments_by_their_numbers(engine: Engine) -> None:
    """All of them, however many, page by page; a removed one keeps its number."""
    engine.config["instruments"] += [{"symbol": f"X{number}", "tick": 1} for number in range(5000)]
    engine.kill()
    engine.start()
    first = engine.admin("instruments 0")
    assert (first["count"], len(first["symbols"]), first["symbols"][:3]) == (5002, 4096, ["AAPL", "MSFT", "X0"])
    rest = engine.admin("instruments 4096")["symbols"]
    assert first["symbols"][2:] + rest == [f"X{number}" for number in range(5000)]
    engine.admin("instrument_remove MSFT")
    engine.admin("instrument_add NVDA tick=1")
    engine.admin("instrument_add MSFT tick=1")
    assert engine.admin("instruments 1")["symbols"][:2] == ["MSFT", "X0"]
    assert engine.admin("instruments 5002") == {"count": 5004, "symbols": ["NVDA", "MSFT"]}
    assert engine.admin("instruments 131072") == {"count": 5004, "symbols": []}
    for words in ("instruments", "instruments x", "instruments -1", "instruments 131073", "instruments 1 2"):
        assert "give it one from 0 to 131072" in engine.admin(words)["error"]


def test_how_an_instrument_is_defined(engine: Engine) -> None:
    """Enough to add it elsewhere: what is answered, as words, makes the same again; an auction moves its reference."""
    words = "tick=5 lot=10 reference_price=900 static_band=400 dynamic_band=50 breach=halt price_scale=2"
    words += " quantity_scale=1"
    wanted: dict[str, int | str] = {
        key: int(value) if value.isdigit() else value for key, value in (word.split("=") for word in words.split())
    }
    engine.admin(f"instrument_add TSLA {words} phase=opening_auction")
    told = engine.admin("instrument TSLA")
    assert told == wanted | {"instrument": 2, "symbol": "TSLA", "schedule": 0, "phase": "opening_auction"}
    client = engine.login()
    client.send(enter(1, "B", 10, 905, symbol="TSLA") + enter(2, "S", 10, 905, symbol="TSLA"))
    client.report("A")
    client.report("A")
    engine.admin("phase TSLA closed")
    assert engine.admin("instrument TSLA") == told | {"phase": "closed", "reference_price": 905}
    engine.kill()
    engine.start()
    assert engine.admin("instrument TSLA") == told | {"phase": "closed", "reference_price": 905}
    again = " ".join(f"{key}={value}" for key, value in told.items() if key not in {"instrument", "symbol"})
    engine.admin(f"instrument_add NVDA {again}")
    assert engine.admin("instrument NVDA") == told | {"instrument": 3, "symbol": "NVDA"}
    engine.admin("instrument_remove TSLA")
    assert "TSLA is not traded here" in engine.admin("instrument TSLA")["error"]
    for words, said in (("instrument", "the symbol is missing"), ("instrument AAPL MSFT", "'MSFT' is too much")):
        assert said in engine.admin(words)["error"]


def test_what_is_removed_in_the_same_moment_is_named_as_a_cause(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sequenced behind a removal that nobody knows of yet: neither live orders nor a full table were in the way."""
    engine.kill()
    slow_journal(tmp_path, monkeypatch, 500_000)
    engine.start()
    sockets = []
    for request in ("instrument_remove MSFT", "instrument_change MSFT tick=1", "risk_limit MAKR collar 5 MSFT"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(str(engine.run / "admin.sock"))
        connection.sendall(request.encode() + b"\n")
        sockets.append(connection)
        time.sleep(0.1)
    removed, changed, limited = (json.loads(connection.makefile("rb").readline()) for connection in sockets)
    for connection in sockets:
        connection.close()
    assert (removed["event_count"], changed["event_count"], limited["event_count"]) == (1, 0, 0)
    assert changed["unchanged"].endswith("or it was removed")
    assert limited["unchanged"].endswith("or the instrument was removed")
    assert "MSFT is not traded here" in engine.admin("instrument_change MSFT tick=1")["error"]


UNCHANGED = {
    "phase AAPL halted": "the instrument is in that phase already",
    "instrument_change MSFT tick=1": "tick and lot stay as they are while the instrument has live orders",
    "revive MAKR": "the account is not killed",
    "mass_cancel symbol=AAPL": "there is no live order of that kind",
}


def test_the_command_line(engine: Engine) -> None:
    """`ironbook admin`: one line of JSON; a refusal as one line, exit status 1; nothing changed: 2, and why."""
    client = engine.login()
    client.send(enter(1, "B", 1, 100, symbol="MSFT"))
    client.report("A")
    base = [sys.executable, "-m", "ironbook.cli", "admin", "--socket", str(engine.run / "admin.sock")]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*base, *words], check=False, capture_output=True, text=True, env=environment())

    done = run("phase", "AAPL", "halted")
    assert json.loads(done.stdout)["events"][0]["phase"] == "halted"
    for words, said in UNCHANGED.items():
        done = run(*words.split())
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), words
        assert f"{words} changed nothing: {said}" in done.stderr
        assert json.loads(done.stdout)["events"] == []
    done = run("phase", "AAPL", "open")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "give it one of continuous" in done.stderr
    done = run("kill", "ä")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
