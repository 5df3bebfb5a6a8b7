# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's configuration file: defaults, and the one line for each mistake. The core is not needed for it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ironbook.engine_config import ConfigError, load, parse

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
    assert (config.epoch, config.fsync_group, config.segment_bytes) == (1, False, 67_108_864)
    assert (config.orders, config.events, config.connections) == (1_048_576, 8_388_608, 64)
    assert (config.bytes_before_login, config.login_attempts, config.login_ms, config.heartbeat_ms) == (
        64,
        3,
        5000,
        1000,
    )
    assert config.latency_every == 64
    assert config.instruments == (("AAPL", 1),)
    assert config.sessions == (("MAKER1", "MAKR", HASH),)


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
