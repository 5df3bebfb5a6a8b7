# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration asks and the journal does not say is sequenced, once; a second start sequences nothing."""

from __future__ import annotations

import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.engine_process import Engine, enter
from ironbook import core
from ironbook.core.records import INSTRUMENT_ALL, Command, CommandType, RiskLimit

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that is not started yet."""
    process = Engine(tmp_path)
    yield process
    process.kill()


def commands(engine: Engine) -> list[Command]:
    """What the journal holds."""
    return list(core.journal_dump(engine.journal, 0))


def restart(engine: Engine, **changes: Any) -> list[Command]:
    """Stop, change the configuration, start again; what that sequenced."""
    engine.kill(signal.SIGTERM)
    before = len(commands(engine))
    engine.config.update(changes)
    engine.start()
    return commands(engine)[before:]


def test_a_new_journal_begins_with_the_newest_rules_and_its_accounts(engine: Engine) -> None:
    """Rules, an account for each firm, instruments, sessions; then nothing more, over kills and orderly ends."""
    engine.start()
    assert commands(engine)[0].value == core.records.RULES_NEWEST
    assert [(c.type, c.account) for c in commands(engine)] == [
        (CommandType.RULES, 0),
        (CommandType.ACCOUNT_ADD, 1),
        (CommandType.ACCOUNT_ADD, 2),
        (CommandType.INSTRUMENT_ADD, 0),
        (CommandType.INSTRUMENT_ADD, 0),
        (CommandType.SESSION_ADD, 1),
        (CommandType.SESSION_ADD, 2),
    ]
    state = engine.admin("totals")["state_hash"]
    assert restart(engine) == []
    engine.kill()
    engine.start()
    assert engine.admin("totals")["state_hash"] == state
    assert f"{core.replay(str(engine.journal)).state_hash:016x}" == state


def test_a_journal_of_rules_1_goes_on_until_the_configuration_asks(engine: Engine) -> None:
    """And never back. What needs rules 2 is refused before, with the remedy."""
    engine.config["rules"] = 1
    engine.start()
    assert [c.type for c in commands(engine)] == [CommandType.INSTRUMENT_ADD] * 2 + [CommandType.SESSION_ADD] * 2
    del engine.config["rules"]
    assert restart(engine) == []
    good = engine.config["instruments"]
    engine.kill()
    engine.config["instruments"] = [{"symbol": "AAPL", "tick": 1, "lot": 100}, good[1]]
    assert "AAPL needs rules 2, and the journal goes by rules 1: set rules to 2" in engine.refused()
    engine.config["instruments"] = good
    engine.config["accounts"] = [{"name": "A", "limits": {"open_orders": 1}}]
    assert "accounts, limits and cancel_on_disconnect need rules 2" in engine.refused()
    engine.config["accounts"] = []
    engine.start()
    new = restart(engine, rules=2)
    assert [c.type for c in new] == [CommandType.RULES, CommandType.ACCOUNT_ADD, CommandType.ACCOUNT_ADD]
    assert restart(engine, rules=0) == []
    engine.kill()
    engine.config["rules"] = 1
    assert "rules never go back" in engine.refused()
    # Its sessions were nobody's, and stay so; naming an account for one is refused.
    engine.config.update(rules=0, accounts=[{"name": "MAKR"}])
    engine.config["sessions"][0]["account"] = "MAKR"
    assert "MAKER1 trades for account 0, nobody's," in engine.refused()


def test_what_differs_is_changed_and_no_more(engine: Engine) -> None:
    """Bands, lot, scales; a limit; an instrument taken out; the phase and the reference price belong to trading."""
    engine.config["instruments"][0].update(reference_price=1_000_000, phase="pre_open")
    engine.start()
    aapl, msft = engine.config["instruments"]
    # Each alone is a change.
    alone = {"tick": 5, "lot": 7, "static_band": 400, "dynamic_band": 300, "breach": "halt", "price_scale": 2}
    for key, value in {**alone, "quantity_scale": 3}.items():
        new = restart(engine, instruments=[{**aapl, key: value}, msft])
        assert [c.type for c in new] == [CommandType.INSTRUMENT_CHANGE], key
        assert len(restart(engine, instruments=[aapl, msft])) == 1, key
    changed = {**aapl, "lot": 10, "static_band": 500, "breach": "halt", "reference_price": 5, "phase": "closed"}
    new = restart(engine, instruments=[changed, msft])
    assert [c.type for c in new] == [CommandType.INSTRUMENT_CHANGE]
    assert (new[0].quantity, new[0].displayed, new[0].reason, new[0].stop_price) == (10, 500, 1, 1_000_000)
    assert restart(engine) == []
    accounts = [
        {
            "name": "MAKR",
            "limits": {"order_quantity": 500, "position_long": "unlimited"},
            "instruments": [{"symbol": "MSFT", "limits": {"order_quantity": 7}}],
        }
    ]
    new = restart(engine, accounts=accounts)
    assert [(c.type, c.account, c.instrument, c.limit, c.value) for c in new] == [
        (CommandType.RISK_LIMIT, 1, INSTRUMENT_ALL, RiskLimit.ORDER_QUANTITY, 500),
        (CommandType.RISK_LIMIT, 1, 1, RiskLimit.ORDER_QUANTITY, 7),
    ]
    assert restart(engine) == []
    client = engine.login()
    client.send(enter(1, "B", 8, 100, symbol="MSFT") + enter(2, "B", 500, 100, symbol="AAPL"))
    client.report("J")
    client.report("A")
    new = restart(engine, instruments=[changed, {**msft, "removed": True}], accounts=[])
    assert [c.type for c in new] == [CommandType.INSTRUMENT_REMOVE]
    assert restart(engine) == []
    client = engine.login(sequence=0)
    client.send(enter(3, "B", 1, 100, symbol="MSFT"))
    assert struct.unpack("!H", client.report("J")[13:15]) == (0x0017,)


def test_a_day_that_has_ended_is_not_added_to(engine: Engine) -> None:
    """One line, and not one more record, however often it is tried."""
    engine.start()
    engine.admin("end_of_day")
    engine.kill(signal.SIGTERM)
    before = commands(engine)
    good = engine.config["instruments"]
    engine.config["instruments"] = [*good, {"symbol": "TSLA", "tick": 1}]
    assert "the journal's day has ended" in engine.refused()
    assert commands(engine) == before
    engine.config["instruments"] = good
    engine.start()
    assert commands(engine) == before
