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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError
from ironbook.phase_schedule import DAYS, Schedule, Step, is_time_of_day, is_time_zone

# Each is a limit of the core: IB_ORDERS_MAX, positions in the event log, places of connections (ironbook.h,
# gateway_internal.h).
ORDERS_MAX = 16_777_214
EVENTS_MAX = 4_294_967_295
CONNECTIONS_MAX = 4_095
SESSIONS_MAX = 1_024
INSTRUMENTS_MAX = 131_072
# IB_LATENCY_EVERY_MAX (ironbook_latency.h).
LATENCY_EVERY_MAX = 1_000_000
ACCOUNTS_MAX = 1_023
MEMBERS_MAX = 8  # IB_REPLICA_MEMBERS_MAX (replica.h)
WINDOW_MAX = 16_384  # half of the ring: all that is not committed is still in it (replication.c)
RULES_NEWEST = 3
FSYNC = ("none", "group", "write")  # enum ib_fsync_policy of ironbook_core.h, in lower case
QUANTITY_MAX = 2**40 - 1
PRICE_MAX = 2**62
# Words of the file for numbers of ironbook.h: enum ib_phase, enum ib_breach.
PHASES = {
    "continuous": 0,
    "closed": 1,
    "pre_open": 2,
    "opening_auction": 3,
    "volatility_auction": 4,
    "halted": 5,
    "closing_auction": 6,
}
BREACHES = {"volatility_auction": 0, "halt": 1}
# enum ib_risk_limit, and the greatest value that says something.
RISK_LIMITS = {
    "message_rate": (1, 2**32 - 1),
    "order_quantity": (2, QUANTITY_MAX),
    "collar": (3, 2**32 - 1),
    "order_notional": (4, 2**64 - 2),
    "position_long": (5, 2**62),
    "position_short": (6, 2**62),
    "open_orders": (7, ORDERS_MAX),
}
UNLIMITED = 2**64 - 1
UNLIMITED_WORD = "unlimited"
# A SoupBinTCP Login Request: 3 bytes of header and 46 of payload.
LOGIN_BYTES = 49

# Loopback, RFC 1918, RFC 4193 and link-local; the core checks the same again (listen.c).
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
_NAME = re.compile(r"[A-Za-z0-9_-]{1,24}\Z")
_FIRM = re.compile(r"[A-Z0-9]{1,4}\Z")
_KEY = re.compile(r"[\x21-\x7e]{16,128}\Z")  # IB_PEER_KEY_MIN, IB_PEER_KEY_MAX (replica_peer.h)
_CRYPT_HASH = re.compile(r"\$[0-9a-z]+\$[\x21-\x7e]{20,110}\Z")


class ConfigError(CommandError):
    """A configuration that the engine does not start with."""


@dataclass(frozen=True)
class InstrumentConfig:
    """An instrument; prices in its price units, bands in basis points (0 = none)."""

    symbol: str
    tick: int
    lot: int = 1
    reference_price: int = 0
    static_band: int = 0
    dynamic_band: int = 0
    schedule: int = 0  # number in EngineConfig.schedules, from 1; 0 = none
    phase: int = 0
    breach: int = 0
    price_scale: int = 4
    quantity_scale: int = 0
    removed: bool = False


@dataclass(frozen=True)
class SessionConfig:
    """A session; `account` is an index in EngineConfig.accounts. `account_named`: the file itself says whose it is."""

    username: str
    firm: str
    secret: str
    account: int
    account_named: bool = False
    cancel_on_disconnect: bool = False


@dataclass(frozen=True)
class LimitConfig:
    """A risk limit of an account (index); `symbol` None: its default for all. `value` as the core has it."""

    account: int
    limit: int
    symbol: str | None
    value: int


@dataclass(frozen=True)
class ReplicationConfig:
    """The shard's members and what they allow each other; times in milliseconds (struct ib_replica_config)."""

    members: tuple[tuple[str, int], ...]  # by replica number: address and port where each listens for the others
    key: str = field(repr=False)  # the members prove to each other that they have it
    min_in_sync: int
    window: int  # entries sequenced and not committed
    check_every: int
    heartbeat_ms: int
    silence_ms: int
    down_ms: int
    lag_ms: int
    retry_ms: int
    stagger_ms: int
    store_ms: int
    drain_ms: int


@dataclass(frozen=True)
class EngineConfig:
    """A checked configuration; times in milliseconds, as the core takes them."""

    shard: int
    replica: int
    epoch: int  # of an engine that runs alone; with `replication` the store's record says it
    journal_directory: str
    run_directory: str
    host: str
    port: int
    instruments: tuple[InstrumentConfig, ...]
    accounts: tuple[str, ...]
    limits: tuple[LimitConfig, ...]
    sessions: tuple[SessionConfig, ...]
    schedules: tuple[Schedule, ...]
    rules: int  # 0: as the journal has it
    indicate_ms: int
    volatility_auction_ms: int
    fsync: str  # one of FSYNC
    segment_bytes: int
    orders: int
    events: int
    connections: int
    bytes_before_login: int
    login_attempts: int
    login_ms: int
    mass_cancel_percent: int  # of the matcher's time, for one account
    heartbeat_ms: int
    latency_every: int  # one order in so many is timed; 0: none
    replication: ReplicationConfig | None = None  # None: it runs alone


class _Keys:
    """The keys of one object in the file, taken one by one; what is left over at the end is unknown."""

    def __init__(self, source: str, path: str, value: Any) -> None:
        self._source, self._path = source, path
        if not isinstance(value, Mapping):
            raise ConfigError(f"{source}: {path or 'the file'} must be an object of keys and values, not {value!r:.60}")
        self._values = dict(value)
        self._known: list[str] = []
        self.taken: dict[str, Any] = {}

    def fail(self, key: str, text: str) -> ConfigError:
        return ConfigError(f"{self._source}: {self._path}{key} {text}")

    def take(self, key: str, default: Any = None) -> Any:
        self._known.append(key)
        value = self._values.pop(key, default)
        if value is None:
            raise self.fail(key, "is missing: add it")
        self.taken[key] = value
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

    def boolean(self, key: str, default: bool = False) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, f"is {value!r:.60}: give it true or false")
        return value

    def choice(self, key: str, choices: Mapping[str, int], default: str | None = None) -> int:
        value = self.take(key, default)
        if not isinstance(value, str) or value not in choices:
            raise self.fail(key, f"is {value!r:.60}: give it one of {', '.join(choices)}")
        return choices[value]

    def has(self, key: str) -> bool:
        self._known.append(key)
        return self._values.get(key) is not None

    def limit(self, key: str, most: int) -> int:
        """Check the value that was just taken."""
        value = self.taken[key]
        if type(value) is not int or not 0 <= value <= most:
            raise self.fail(key, f"is {value!r:.60}: give it an integer from 0 to {most}, or {UNLIMITED_WORD}")
        return value

    def objects(self, key: str, most: int, least: int = 1) -> list[_Keys]:
        value = self.take(key, [] if least == 0 else None)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise self.fail(key, f"must be a list of {least} to {most} objects")
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
    if top.has("replication") and top.has("epoch"):
        raise top.fail("epoch", "is given together with replication, where the store's record says it: leave it out")
    order_entry = top.object("order_entry")
    journal = top.object("journal", {})
    limits = top.object("limits", {})
    latency = top.object("latency", {})
    schedules = _schedules(top)
    instruments = _instruments(top, {schedule.name: number for number, schedule in enumerate(schedules, 1)})
    accounts, risk_limits = _accounts(top, {instrument.symbol for instrument in instruments})
    sessions = _sessions(top, accounts)
    config = EngineConfig(
        shard=top.integer("shard", 0, 99),
        replica=top.integer("replica", 0, 9),
        epoch=top.integer("epoch", 1, 2**32 - 1, 1),
        journal_directory=top.text("journal_directory", _is_absolute, "an absolute path"),
        run_directory=top.text("run_directory", _is_absolute, "an absolute path"),
        host=order_entry.text("host", _is_private, "a numeric loopback or private address, for instance 127.0.0.1"),
        port=order_entry.integer("port", 1, 65535),
        instruments=instruments,
        accounts=tuple(accounts),
        limits=risk_limits,
        sessions=sessions,
        schedules=schedules,
        rules=top.integer("rules", 0, RULES_NEWEST, 0),
        indicate_ms=top.milliseconds("indicate_seconds", 0, 3600, 1),
        volatility_auction_ms=top.milliseconds("volatility_auction_seconds", 0, 86400, 300),
        fsync=journal.text("fsync", FSYNC.__contains__, "none, group or write", "none"),
        segment_bytes=journal.integer("segment_bytes", 65536, 2**34, 67_108_864),
        orders=limits.integer("orders", 1, ORDERS_MAX, 1_048_576),
        events=limits.integer("events", 65536, EVENTS_MAX, 8_388_608),
        connections=limits.integer("connections", 1, CONNECTIONS_MAX, 64),
        bytes_before_login=limits.integer("bytes_before_login", LOGIN_BYTES, 4096, 64),
        login_attempts=limits.integer("login_attempts", 1, 1000, 3),
        login_ms=limits.milliseconds("login_seconds", 0.1, 3600, 5),
        mass_cancel_percent=limits.integer("mass_cancel_percent", 1, 100, 5),
        heartbeat_ms=top.milliseconds("heartbeat_seconds", 0.05, 60, 1),
        latency_every=latency.integer("every", 0, LATENCY_EVERY_MAX, 64),
        replication=_replication(top),
    )
    for keys in (order_entry, journal, limits, latency, top):
        keys.end()
    return config


def _schedules(top: _Keys) -> tuple[Schedule, ...]:
    found: dict[str, Schedule] = {}
    for item in top.objects("schedules", 64, least=0):
        name = item.text("name", _NAME.match, "1 to 24 letters, digits, - or _")
        if name in found:
            raise item.fail("name", f"is {name!r} a second time: name each schedule once")
        zone = item.text("time_zone", is_time_zone, "a time zone of this machine, for instance America/New_York", "UTC")
        steps = []
        for step in item.objects("steps", 64):
            at = step.text("at", is_time_of_day, "a time of day as HH:MM:SS")
            phase = step.choice("phase", PHASES)
            days = step.take("days", list(DAYS))
            if not isinstance(days, list) or not days or not set(days) <= set(DAYS):
                raise step.fail("days", f"is {days!r:.60}: give it a list of {', '.join(DAYS)}")
            steps.append(Step(at, phase, frozenset(DAYS.index(day) for day in days)))
            step.end()
        found[name] = Schedule(name, zone, tuple(steps))
        item.end()
    return tuple(found.values())


def _instruments(top: _Keys, schedules: Mapping[str, int]) -> tuple[InstrumentConfig, ...]:
    found: dict[str, InstrumentConfig] = {}
    for item in top.objects("instruments", INSTRUMENTS_MAX):
        symbol = item.text("symbol", _SYMBOL.match, "1 to 8 capital letters or digits")
        if symbol in found:
            raise item.fail("symbol", f"is {symbol!r} a second time: name each symbol once")
        schedule = item.text("schedule", lambda name: name == "" or name in schedules, "the name of a schedule", "")
        found[symbol] = InstrumentConfig(
            symbol=symbol,
            tick=item.integer("tick", 1, PRICE_MAX),
            lot=item.integer("lot", 1, QUANTITY_MAX, 1),
            reference_price=item.integer("reference_price", 0, PRICE_MAX, 0),
            static_band=item.integer("static_band", 0, 10_000, 0),
            dynamic_band=item.integer("dynamic_band", 0, 10_000, 0),
            schedule=schedules.get(schedule, 0),
            phase=item.choice("phase", PHASES, "continuous"),
            breach=item.choice("breach", BREACHES, "volatility_auction"),
            price_scale=item.integer("price_scale", 1, 8, 4),
            quantity_scale=item.integer("quantity_scale", 0, 8, 0),
            removed=item.boolean("removed"),
        )
        item.end()
    return tuple(found.values())


def _accounts(top: _Keys, symbols: set[str]) -> tuple[list[str], tuple[LimitConfig, ...]]:
    names: list[str] = []
    limits: list[LimitConfig] = []
    for item in top.objects("accounts", ACCOUNTS_MAX, least=0):
        name = item.text("name", _NAME.match, "1 to 24 letters, digits, - or _")
        if name in names:
            raise item.fail("name", f"is {name!r} a second time: name each account once")
        names.append(name)
        limits += _limits(item.object("limits", {}), len(names) - 1, None)
        for own in item.objects("instruments", INSTRUMENTS_MAX, least=0):
            symbol = own.text("symbol", symbols.__contains__, "a symbol of instruments")
            limits += _limits(own.object("limits"), len(names) - 1, symbol)
            own.end()
        item.end()
    return names, tuple(limits)


def _limits(keys: _Keys, account: int, symbol: str | None) -> list[LimitConfig]:
    found = []
    for name, (number, most) in RISK_LIMITS.items():
        if symbol is not None and name == "message_rate":
            if keys.has(name):
                raise keys.fail(name, "is of a whole account: give it among the account's own limits")
        elif keys.has(name):
            unlimited = keys.take(name) == UNLIMITED_WORD
            value = UNLIMITED if unlimited else keys.limit(name, most)
            found.append(LimitConfig(account, number, symbol, value))
    keys.end()
    return found


def _sessions(top: _Keys, accounts: list[str]) -> tuple[SessionConfig, ...]:
    """Read the sessions; one that names no account trades for that of its firm, which is added to `accounts`."""
    found: dict[str, SessionConfig] = {}
    configured = set(accounts)
    for item in top.objects("sessions", SESSIONS_MAX):
        username = item.text("username", _USERNAME.match, "1 to 6 capital letters or digits")
        if username in found:
            raise item.fail("username", f"is {username!r} a second time: name each user once")
        firm = item.text("firm", _FIRM.match, "1 to 4 capital letters or digits")
        secret = item.take("secret")
        if not isinstance(secret, str) or not _CRYPT_HASH.match(secret):
            # The value is not repeated: it may be a password that was put here by mistake.
            raise item.fail("secret", "is no crypt(3) hash: make one with `ironbook secret hash`")
        named = item.has("account")
        account = item.text("account", configured.__contains__, "the name of one of accounts", firm) if named else firm
        if account not in accounts:
            accounts.append(account)
        found[username] = SessionConfig(
            username, firm, secret, accounts.index(account), named, item.boolean("cancel_on_disconnect")
        )
        item.end()
    if len(accounts) > ACCOUNTS_MAX:
        raise top.fail(
            "sessions", f"have {len(accounts)} accounts with those of their firms: {ACCOUNTS_MAX} are the most"
        )
    return tuple(found.values())


def _replication(top: _Keys) -> ReplicationConfig | None:
    """Read who the members are; after `replica` and `order_entry`, which it is held against."""
    if not top.has("replication"):
        return None
    keys = top.object("replication")
    members = _members(keys)
    own, order_entry = top.taken["replica"], top.taken["order_entry"]
    if own >= len(members):
        most = len(members) - 1
        raise top.fail("replica", f"is {own} and replication.members has {most + 1}: give a number from 0 to {most}")
    if members[own] == (str(ipaddress.ip_address(order_entry["host"])), order_entry["port"]):
        raise keys.fail(f"members[{own}]", "is the address of order_entry: give it another port")
    key = keys.take("key")
    if not isinstance(key, str) or not _KEY.match(key):
        # The value is not repeated: it is a secret.
        raise keys.fail("key", "is not right: give it 16 to 128 printable characters without a space")
    config = ReplicationConfig(
        members=members,
        key=key,
        min_in_sync=keys.integer("min_in_sync", 1, len(members), min(2, len(members))),
        window=keys.integer("window", 1, WINDOW_MAX, 16_384),
        check_every=keys.integer("check_every", 64, 2**31, 4096),
        heartbeat_ms=keys.integer("heartbeat_ms", 1, 60_000, 50),
        silence_ms=keys.integer("silence_ms", 2, 600_000, 1000),
        down_ms=keys.integer("down_ms", 1, 600_000, 200),
        lag_ms=keys.integer("lag_ms", 1, 600_000, 1000),
        retry_ms=keys.integer("retry_ms", 1, 600_000, 100),
        stagger_ms=keys.integer("stagger_ms", 1, 600_000, 100),
        store_ms=keys.integer("store_ms", 1, 600_000, 3000),
        drain_ms=keys.integer("drain_ms", 1, 600_000, 1000),
    )
    if config.heartbeat_ms >= config.silence_ms:
        raise keys.fail(
            "silence_ms", f"is {config.silence_ms} and heartbeat_ms {config.heartbeat_ms}: give it several heartbeats"
        )
    keys.end()
    return config


def _members(keys: _Keys) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for item in keys.objects("members", MEMBERS_MAX):
        host = item.text("host", _is_private, "a numeric loopback or private address, for instance 10.0.1.5")
        address = (str(ipaddress.ip_address(host)), item.integer("port", 1, 65535))
        if address in found:
            raise item.fail("port", f"is {address[1]} of {host} a second time: give each member an address of its own")
        found.append(address)
        item.end()
    return tuple(found)


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and "\0" not in path


def _is_private(host: str) -> bool:
    """Whether order entry may be bound there."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE if network.version == address.version)
