# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's configuration file: what each key means, its type, its range and its default.

The file is JSON.  Every key is checked before anything is opened, and a mistake is one line that names the file, the
key and the remedy.  Unknown keys are refused: a misspelt limit must not become a default in silence.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError

# Each is a limit of the core: IB_ORDERS_MAX, positions in the event log, places of connections (ironbook.h,
# gateway_internal.h).
ORDERS_MAX = 16_777_215
EVENTS_MAX = 4_294_967_295
CONNECTIONS_MAX = 4_095
SESSIONS_MAX = 1_024
INSTRUMENTS_MAX = 131_072
# IB_LATENCY_EVERY_MAX (ironbook_latency.h).
LATENCY_EVERY_MAX = 1_000_000
# A SoupBinTCP Login Request: 3 bytes of header and 46 of payload.
LOGIN_BYTES = 49

# Loopback, RFC 1918, RFC 4193 and link-local; the core checks the same again (gateway_listen.c).
_PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
]

_SYMBOL = re.compile(r"[A-Z0-9.+=*^#-]{1,8}\Z")
_USERNAME = re.compile(r"[A-Z0-9]{1,6}\Z")
_FIRM = re.compile(r"[A-Z0-9]{1,4}\Z")
_CRYPT_HASH = re.compile(r"\$[0-9a-z]+\$[\x21-\x7e]{20,110}\Z")


class ConfigError(CommandError):
    """A configuration that the engine does not start with."""


@dataclass(frozen=True)
class EngineConfig:
    """A checked configuration; times in milliseconds, as the core takes them."""

    shard: int
    replica: int
    epoch: int
    journal_directory: str
    run_directory: str
    host: str
    port: int
    instruments: tuple[tuple[str, int], ...]  # symbol, tick in units of 10^-4
    sessions: tuple[tuple[str, str, str], ...]  # username, firm, crypt(3) hash
    fsync_group: bool
    segment_bytes: int
    orders: int
    events: int
    connections: int
    bytes_before_login: int
    login_attempts: int
    login_ms: int
    heartbeat_ms: int
    latency_every: int  # one order in so many is timed; 0: none


class _Keys:
    """The keys of one object in the file, taken one by one; what is left over at the end is unknown."""

    def __init__(self, source: str, path: str, value: Any) -> None:
        self._source, self._path = source, path
        if not isinstance(value, Mapping):
            raise ConfigError(f"{source}: {path or 'the file'} must be an object of keys and values, not {value!r:.60}")
        self._values = dict(value)
        self._known: list[str] = []

    def fail(self, key: str, text: str) -> ConfigError:
        return ConfigError(f"{self._source}: {self._path}{key} {text}")

    def take(self, key: str, default: Any = None) -> Any:
        self._known.append(key)
        value = self._values.pop(key, default)
        if value is None:
            raise self.fail(key, "is missing: add it")
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.take(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self.fail(key, f"is {value!r:.60}: give it an integer from {low} to {high}")
        return value

    def milliseconds(self, key: str, low: float, high: float, default: float | None = None) -> int:
        value = self.take(key, default)
        if type(value) not in (int, float) or not low <= value <= high:
            raise self.fail(key, f"is {value!r:.60}: give it a number of seconds from {low} to {high}")
        return round(value * 1000)

    def text(self, key: str, accepts: Callable[[str], object], wanted: str, default: str | None = None) -> str:
        value = self.take(key, default)
        if not isinstance(value, str) or not accepts(value):
            raise self.fail(key, f"is {value!r:.60}: give it {wanted}")
        return value

    def objects(self, key: str, most: int) -> list[_Keys]:
        value = self.take(key)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise self.fail(key, f"must be a list of 1 to {most} objects")
        return [_Keys(self._source, f"{self._path}{key}[{i}].", item) for i, item in enumerate(value)]

    def object(self, key: str, default: Mapping[str, Any] | None = None) -> _Keys:
        return _Keys(self._source, f"{self._path}{key}.", self.take(key, default))

    def end(self) -> None:
        for key in self._values:
            near = difflib.get_close_matches(key, self._known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(sorted(self._known))}"
            raise self.fail(key, f"is no key of the engine: {hint}")


def load(path: Path) -> EngineConfig:
    """Read and check a configuration file; raises ConfigError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; give --config the engine's JSON file") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON: {error}") from error
    return parse(value, str(path))


def parse(value: Any, source: str) -> EngineConfig:
    """Check a configuration; `source` is the name of its file, for the messages."""
    top = _Keys(source, "", value)
    order_entry = top.object("order_entry")
    journal = top.object("journal", {})
    limits = top.object("limits", {})
    latency = top.object("latency", {})
    config = EngineConfig(
        shard=top.integer("shard", 0, 99),
        replica=top.integer("replica", 0, 9),
        epoch=top.integer("epoch", 1, 2**32 - 1, 1),
        journal_directory=top.text("journal_directory", _is_absolute, "an absolute path"),
        run_directory=top.text("run_directory", _is_absolute, "an absolute path"),
        host=order_entry.text("host", _is_private, "a numeric loopback or private address, for instance 127.0.0.1"),
        port=order_entry.integer("port", 1, 65535),
        instruments=_instruments(top),
        sessions=_sessions(top),
        fsync_group=journal.text("fsync", ("none", "group").__contains__, "none or group", "none") == "group",
        segment_bytes=journal.integer("segment_bytes", 65536, 2**34, 67_108_864),
        orders=limits.integer("orders", 1, ORDERS_MAX, 1_048_576),
        events=limits.integer("events", 65536, EVENTS_MAX, 8_388_608),
        connections=limits.integer("connections", 1, CONNECTIONS_MAX, 64),
        bytes_before_login=limits.integer("bytes_before_login", LOGIN_BYTES, 4096, 64),
        login_attempts=limits.integer("login_attempts", 1, 1000, 3),
        login_ms=limits.milliseconds("login_seconds", 0.1, 3600, 5),
        heartbeat_ms=top.milliseconds("heartbeat_seconds", 0.05, 60, 1),
        latency_every=latency.integer("every", 0, LATENCY_EVERY_MAX, 64),
    )
    for keys in (order_entry, journal, limits, latency, top):
        keys.end()
    return config


def _instruments(top: _Keys) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for item in top.objects("instruments", INSTRUMENTS_MAX):
        symbol = item.text("symbol", _SYMBOL.match, "1 to 8 capital letters or digits")
        if symbol in found:
            raise item.fail("symbol", f"is {symbol!r} a second time: name each symbol once")
        found[symbol] = item.integer("tick", 1, 1_999_999_900)
        item.end()
    return tuple(found.items())


def _sessions(top: _Keys) -> tuple[tuple[str, str, str], ...]:
    found: dict[str, tuple[str, str, str]] = {}
    for item in top.objects("sessions", SESSIONS_MAX):
        username = item.text("username", _USERNAME.match, "1 to 6 capital letters or digits")
        if username in found:
            raise item.fail("username", f"is {username!r} a second time: name each user once")
        firm = item.text("firm", _FIRM.match, "1 to 4 capital letters or digits")
        secret = item.take("secret")
        if not isinstance(secret, str) or not _CRYPT_HASH.match(secret):
            # The value is not repeated: it may be a password that was put here by mistake.
            raise item.fail("secret", "is no crypt(3) hash: make one with `ironbook secret hash`")
        found[username] = (username, firm, secret)
        item.end()
    return tuple(found.values())


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and "\0" not in path


def _is_private(host: str) -> bool:
    """Whether order entry may be bound there."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE if network.version == address.version)
