# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's configuration file: defaults, and the one line for each mistake. The core is not needed for it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ironbook.engine_config import (
    ConfigError,
    InstrumentConfig,
    LimitConfig,
    ReplicationConfig,
    SessionConfig,
    load,
    parse,
)

HASH = "$6$saltsalt$" + "x" * 86
MINIMAL: dict[str, Any] = {
    "shard": 0,
    "replica": 1,
    "journal_directory": "/j",
    "run_directory": "/r",
    "order_entry": {"host": "127.0.0.1", "port": 21100},
    "instruments": [{"symbol": "AAPL", "tick": 1}],
    "sessions": [{"username": "MAKER1", "firm": "MAKR", "secret": HASH}],
}


def test_defaults() -> None:
    """What a file may leave out."""
    config = parse(MINIMAL, "f")
    assert (config.epoch, config.fsync, config.segment_bytes) == (1, "none", 67_108_864)
    assert (config.orders, config.events, config.connections) == (1_048_576, 8_388_608, 64)
    assert (config.bytes_before_login, config.login_attempts, config.login_ms, config.heartbeat_ms) == (
        64,
        3,
        5000,
        1000,
    )
    assert (config.latency_every, config.mass_cancel_percent) == (64, 5)
    assert config.instruments == (InstrumentConfig("AAPL", 1),)
    assert config.accounts == ("MAKR",)  # the firm's, where nobody names another
    assert config.sessions == (SessionConfig("MAKER1", "MAKR", HASH, 0),)
    assert (config.rules, config.limits, config.schedules) == (0, (), ())


@pytest.mark.parametrize("host", ["10.1.2.3", "172.31.0.1", "192.168.1.1", "::1", "fd00::1"])
def test_private_hosts_are_taken(host: str) -> None:
    """Loopback, RFC 1918 and RFC 4193."""
    assert parse({**MINIMAL, "order_entry": {"host": host, "port": 1}}, "f").host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "172.32.0.1", "1.1.1.1", "::", "2001:db8::1", "localhost", "", 5, None])
def test_other_hosts_are_refused(host: object) -> None:
    """Order entry is never bound to a public address, nor to all of them."""
    with pytest.raises(ConfigError, match=r"f: order_entry\.host"):
        parse({**MINIMAL, "order_entry": {"host": host, "port": 1}}, "f")


@pytest.mark.parametrize("key", [*MINIMAL, "order_entry.port", "instruments.0.tick", "sessions.0.secret"])
def test_each_required_key_is_missed_by_name(key: str) -> None:
    """Take one key out at a time."""
    config: Any = copy.deepcopy(MINIMAL)
    place: Any = config
    *path, last = key.split(".")
    for step in path:
        place = place[int(step)] if step.isdigit() else place[step]
    del place[last]
    with pytest.raises(ConfigError, match=rf"{last}.* (is missing: add it|is no crypt)"):
        parse(config, "f")


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_file_that_is_no_object(value: object) -> None:
    """JSON, but not a configuration."""
    with pytest.raises(ConfigError, match="f: the file must be an object"):
        parse(value, "f")


def test_a_file_that_is_no_json_or_not_there(tmp_path: Path) -> None:
    """Both name the file."""
    file = tmp_path / "engine.json"
    with pytest.raises(ConfigError, match=r"engine\.json: cannot be read"):
        load(file)
    file.write_text(json.dumps(MINIMAL)[:-1])
    with pytest.raises(ConfigError, match=r"engine\.json: is not JSON"):
        load(file)


def test_a_password_in_place_of_a_hash_is_not_repeated() -> None:
    """The message must not carry it into a log."""
    config = {**MINIMAL, "sessions": [{"username": "MAKER1", "firm": "MAKR", "secret": "hunter2"}]}
    with pytest.raises(ConfigError) as error:
        parse(config, "f")
    assert "hunter2" not in str(error.value)
    assert "ironbook secret hash" in str(error.value)


@pytest.mark.parametrize("every", [-1, 1_000_001, 1.5, "64", True])
def test_a_wrong_share_of_timed_orders_is_refused(every: object) -> None:
    """From 0, which is none, to a million; and no other key beside it."""
    with pytest.raises(ConfigError, match=r"f: latency\.every is .*: give it an integer from 0 to 1000000"):
        parse({**MINIMAL, "latency": {"every": every}}, "f")
    with pytest.raises(ConfigError, match=r"f: latency\.evry is no key of the engine: did you mean every\?"):
        parse({**MINIMAL, "latency": {"evry": 1}}, "f")
    assert parse({**MINIMAL, "latency": {"every": 0}}, "f").latency_every == 0


def test_accounts_limits_and_whose_a_session_is() -> None:
    """A default, a value for one symbol, no limit at all; a session that names its account, and one that does not."""
    config = parse(
        {
            **MINIMAL,
            "accounts": [
                {
                    "name": "desk-1",
                    "limits": {"message_rate": 100, "position_long": "unlimited"},
                    "instruments": [{"symbol": "AAPL", "limits": {"order_quantity": 500}}],
                }
            ],
            "sessions": [
                {"username": "A", "firm": "F", "secret": HASH, "account": "desk-1", "cancel_on_disconnect": True},
                {"username": "B", "firm": "F", "secret": HASH},
            ],
        },
        "f",
    )
    assert config.accounts == ("desk-1", "F")
    assert config.limits == (
        LimitConfig(0, 1, None, 100),
        LimitConfig(0, 5, None, 2**64 - 1),
        LimitConfig(0, 2, "AAPL", 500),
    )
    assert config.sessions == (
        SessionConfig("A", "F", HASH, 0, account_named=True, cancel_on_disconnect=True),
        SessionConfig("B", "F", HASH, 1),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limits": {"orders": 16_777_215}}, "limits.orders is 16777215: give it an integer from 1 to 16777214"),
        ({"rules": 4}, "f: rules is 4: give it an integer from 0 to 3"),
        ({"instruments": [{"symbol": "A", "tick": 1, "lot": 0}]}, r"instruments\[0\].lot is 0"),
        ({"instruments": [{"symbol": "A", "tick": 1, "static_band": 10001}]}, "static_band is 10001: .* 0 to 10000"),
        ({"instruments": [{"symbol": "A", "tick": 1, "phase": "open"}]}, "phase is 'open': give it one of continuous,"),
        (
            {"instruments": [{"symbol": "A", "tick": 1, "breach": "no"}]},
            "breach is 'no': give it one of volatility_auction",
        ),
        ({"instruments": [{"symbol": "A", "tick": 1, "price_scale": 9}]}, "price_scale is 9"),
        ({"instruments": [{"symbol": "A", "tick": 1, "removed": 1}]}, "removed is 1: give it true or false"),
        (
            {"instruments": [{"symbol": "A", "tick": 1, "schedule": "x"}]},
            "schedule is 'x': give it the name of a schedule",
        ),
        ({"accounts": [{"name": "a b"}]}, r"accounts\[0\].name is 'a b'"),
        ({"accounts": [{"name": "a"}, {"name": "a"}]}, "a second time: name each account once"),
        ({"accounts": [{"name": "a", "limits": {"order_quantity": -1}}]}, "order_quantity is -1: .*, or unlimited"),
        ({"accounts": [{"name": "a", "limits": {"quantity": 1}}]}, "limits.quantity is no key .*order_quantity"),
        (
            {"accounts": [{"name": "a", "instruments": [{"symbol": "AAPL", "limits": {"message_rate": 1}}]}]},
            "message_rate is of a whole account",
        ),
        ({"accounts": [{"name": "a", "instruments": [{"symbol": "X", "limits": {}}]}]}, "symbol is 'X'"),
        (
            {"sessions": [{"username": "A", "firm": "F", "secret": HASH, "account": "b"}]},
            "account is 'b': give it the name of one of accounts",
        ),
        ({"schedules": [{"name": "s", "steps": [{"at": "9:30", "phase": "closed"}]}]}, "at is '9:30': .* HH:MM:SS"),
        ({"schedules": [{"name": "s", "steps": [{"at": "09:30:00"}]}]}, "phase is missing: add it"),
        ({"schedules": [{"name": "s", "time_zone": "Mars/Base", "steps": []}]}, "time_zone is 'Mars/Base'"),
        (
            {"schedules": [{"name": "s", "steps": [{"at": "09:30:00", "phase": "closed", "days": ["monday"]}]}]},
            r"days is \['monday'\]: give it a list of mon, tue",
        ),
    ],
)
def test_each_mistake_is_one_line(change: dict[str, Any], said: str) -> None:
    """It names the key, what is there, and what may be."""
    with pytest.raises(ConfigError, match=said) as error:
        parse({**MINIMAL, **change}, "f")
    assert "\n" not in str(error.value)


MEMBERS = [{"host": "127.0.0.1", "port": 26001}, {"host": "127.0.0.1", "port": 26002}, {"host": "::1", "port": 26001}]
KEY = "k" * 16


def replicated(**change: Any) -> dict[str, Any]:
    """The section, with some of its keys changed; None takes one out."""
    section = {"members": MEMBERS, "key": KEY, **change}
    return {**MINIMAL, "replication": {name: value for name, value in section.items() if value is not None}}


def test_replication_by_default_and_none() -> None:
    """What the section may leave out; without it an engine runs alone."""
    assert parse(MINIMAL, "f").replication is None
    assert parse(replicated(), "f").replication == ReplicationConfig(
        members=(("127.0.0.1", 26001), ("127.0.0.1", 26002), ("::1", 26001)),
        key=KEY,
        min_in_sync=2,
        window=16_384,
        check_every=4096,
        heartbeat_ms=50,
        silence_ms=1000,
        down_ms=200,
        lag_ms=1000,
        retry_ms=100,
        stagger_ms=100,
        store_ms=3000,
        drain_ms=1000,
    )
    alone = parse({**replicated(members=MEMBERS[:1]), "replica": 0}, "f").replication
    assert alone is not None
    assert alone.min_in_sync == 1  # two of one cannot be
    assert KEY not in repr(alone)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": None}, "replication.members is missing: add it"),
        ({"members": []}, "replication.members must be a list of 1 to 8 objects"),
        (
            {"members": [{**MEMBERS[0], "port": port} for port in range(1, 10)]},
            "must be a list of 1 to 8 objects",
        ),
        ({"members": MEMBERS[:1]}, "f: replica is 1 and replication.members has 1: give a number from 0 to 0"),
        ({"members": [*MEMBERS, MEMBERS[0]]}, r"members\[3\].port is 26001 of 127.0.0.1 a second time: give each"),
        (
            {"members": [*MEMBERS, {"host": "0:0:0:0:0:0:0:1", "port": 26001}]},
            r"members\[3\].port is 26001 of 0:0:0:0:0:0:0:1 a second time",
        ),
        ({"members": [*MEMBERS, {"host": "8.8.8.8", "port": 1}]}, r"members\[3\].host is '8.8.8.8': give it a numeric"),
        (
            {"members": [*MEMBERS, {"host": "10.0.0.1", "port": 0}]},
            r"members\[3\].port is 0: give it an integer from 1",
        ),
        (
            {"members": [{**MEMBERS[0], "name": 1}, MEMBERS[1]]},
            r"members\[0\].name is no key of the engine: known .* host",
        ),
        (
            {"members": [MEMBERS[0], {"host": "127.0.0.1", "port": 21100}]},
            r"members\[1\] is the address of order_entry",
        ),
        ({"key": None}, "replication.key is missing: add it"),
        ({"min_in_sync": 0}, "replication.min_in_sync is 0: give it an integer from 1 to 3"),
        ({"min_in_sync": 4}, "replication.min_in_sync is 4: give it an integer from 1 to 3"),
        ({"window": 16_385}, "replication.window is 16385: give it an integer from 1 to 16384"),
        ({"window": 0}, "replication.window is 0"),
        ({"check_every": 0}, "replication.check_every is 0"),
        ({"silence_ms": 50}, "replication.silence_ms is 50 and heartbeat_ms 50: give it several heartbeats"),
        ({"heartbeat_ms": 1000}, "replication.silence_ms is 1000 and heartbeat_ms 1000"),
        ({"lag_ms": 1.5}, "replication.lag_ms is 1.5: give it an integer from 1"),
        ({"heart_beat_ms": 50}, "replication.heart_beat_ms is no key of the engine: did you mean heartbeat_ms?"),
        *[
            ({name: 0}, f"replication.{name} is 0: give it an integer")
            for name in (
                "heartbeat_ms",
                "silence_ms",
                "down_ms",
                "lag_ms",
                "retry_ms",
                "stagger_ms",
                "store_ms",
                "drain_ms",
            )
        ],
    ],
)
def test_each_mistake_of_replication_is_one_line(change: dict[str, Any], said: str) -> None:
    """Members, their number, the key, the times."""
    with pytest.raises(ConfigError, match=said) as error:
        parse(replicated(**change), "f")
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    "key", ["k" * 15, "k" * 129, "k k" * 8, "schl\u00fcssel" * 2, "k" * 16 + "\n", "k" * 16 + "\0", 5]
)
def test_a_wrong_key_is_refused_and_not_repeated(key: object) -> None:
    """Too short, too long, with a space, with what is no ASCII, with what cannot be seen, and no text at all."""
    with pytest.raises(ConfigError, match=r"replication\.key is not right: give it 16 to 128") as error:
        parse(replicated(key=key), "f")
    assert str(key) not in str(error.value).replace("replication.key", "")


def test_the_epoch_of_a_replicated_engine_is_in_the_store() -> None:
    """Even the one that would be its default."""
    with pytest.raises(ConfigError, match=r"f: epoch is given together with replication, .*: leave it out"):
        parse({**replicated(), "epoch": 1}, "f")
