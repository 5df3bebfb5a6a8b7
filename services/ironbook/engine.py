# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook engine run`: one shard's engine in the foreground.

Python reads the configuration, hands it to the core and waits; it never sees an order.  SIGTERM and SIGINT end the
engine in order: what was sequenced is in the journal, and its reports have left; a shard's primary hands over first.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from ironbook.engine_config import EngineConfig, ReplicationConfig, load
from ironbook.errors import CommandError
from ironbook.seals import Sealer

# Of struct ib_engine_instrument, but for its symbol: of the same names in InstrumentConfig.
_INSTRUMENT_FIELDS = (
    "tick",
    "lot",
    "reference_price",
    "static_band",
    "dynamic_band",
    "schedule",
    "phase",
    "breach",
    "price_scale",
    "quantity_scale",
    "removed",
)
# Of struct ib_engine_replication, of the same names in ReplicationConfig; those two are pointers there.
_REPLICATION_FIELDS = tuple(each.name for each in fields(ReplicationConfig) if each.name not in {"members", "key"})


def add_parser(subparsers: Any) -> None:
    """Add `ironbook engine` to the command line."""
    parser = subparsers.add_parser("engine", help="run a matching engine")
    actions = parser.add_subparsers(dest="action", required=True)
    run_parser = actions.add_parser("run", help="run one shard in the foreground until SIGTERM")
    run_parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the engine's JSON file")
    run_parser.set_defaults(function=run)
    check_parser = actions.add_parser("check", help="check a configuration file and start nothing")
    check_parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the engine's JSON file")
    check_parser.set_defaults(function=check)


def check(arguments: argparse.Namespace) -> int:
    """Say that a configuration is right; CommandError where it is not."""
    config = load(arguments.config)
    print(f"{arguments.config}: shard {config.shard} replica {config.replica} at {config.host}:{config.port}")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Run the engine of a configuration file until it is told to end; CommandError where it cannot start or go on."""
    serve(load(arguments.config))
    return 0


def serve(config: EngineConfig) -> None:
    """Run an engine in this thread, which must be the main one, until a signal ends it."""
    ffi, lib = load_core()
    keep: list[Any] = []  # what the core borrows, for as long as the engine lives
    engine = ffi.new("struct ib_engine **")
    error = ffi.new("char[]", int(lib.IB_ERROR_TEXT_SIZE))
    os.umask(0o077)
    settings = _to_core(ffi, lib, config, keep)
    status = lib.IB_RESTART
    while status == lib.IB_RESTART:  # a member of a shard that had to discard its state
        if lib.ib_engine_open(engine, settings, error) != lib.IB_OK:
            raise CommandError(f"engine: {_text(ffi.string(error))}")
        sealer = Sealer(Path(config.journal_directory))
        sealer.start()
        try:
            print(
                f"ironbook: engine: shard {config.shard} replica {config.replica} {_does_what(config)}, "
                f"recovered to sequence {lib.ib_engine_recovered_seq(engine[0])}",
                file=sys.stderr,
                flush=True,
            )
            status = lib.ib_engine_run(engine[0])
            if status != lib.IB_OK:
                text = f"engine: stopped: {_text(ffi.string(lib.ib_engine_error(engine[0])))}"
                if status != lib.IB_RESTART:
                    raise CommandError(text)
                print(f"ironbook: {text}", file=sys.stderr, flush=True)
        finally:
            lib.ib_engine_close(engine[0])
            sealer.stop()
    print("ironbook: engine: ended", file=sys.stderr, flush=True)


def _does_what(config: EngineConfig) -> str:
    if config.replication is None:
        return f"serves {config.host}:{config.port}"
    host, port = config.replication.members[config.replica]
    return f"follows at {host}:{port} until it is primary"


def load_core() -> tuple[Any, Any]:
    """The binding of the C core, (ffi, lib); CommandError where it is not compiled."""
    try:
        from ironbook.core._core import ffi, lib  # noqa: PLC0415  (the command line must work before the core is built)
    except ImportError as error:
        raise CommandError(
            f"the C core is not compiled ({error}): install the ironbook distribution where gcc and Python.h are"
        ) from error
    return ffi, lib


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _to_core(ffi: Any, lib: Any, config: EngineConfig, keep: list[Any]) -> Any:
    """The configuration as the core's struct; all its memory is put into `keep`."""

    def string(text: str) -> Any:
        keep.append(ffi.new("char[]", os.fsencode(text)))
        return keep[-1]

    instruments = ffi.new("struct ib_engine_instrument[]", len(config.instruments))
    for instrument, given in zip(instruments, config.instruments, strict=True):
        for name in _INSTRUMENT_FIELDS:
            setattr(instrument, name, getattr(given, name))
        instrument.symbol = string(given.symbol)
    accounts = ffi.new("struct ib_engine_account[]", [{"name": string(name)} for name in config.accounts])
    limits = ffi.new("struct ib_engine_limit[]", len(config.limits))
    for limit, wanted in zip(limits, config.limits, strict=True):
        limit.account, limit.limit, limit.value = wanted.account, wanted.limit, wanted.value
        limit.symbol = ffi.NULL if wanted.symbol is None else string(wanted.symbol)
    sessions = ffi.new("struct ib_engine_session[]", len(config.sessions))
    for session, member in zip(sessions, config.sessions, strict=True):
        session.username, session.firm, session.secret = map(string, (member.username, member.firm, member.secret))
        session.account, session.account_named = member.account, member.account_named
        session.cancel_on_disconnect = member.cancel_on_disconnect
    schedules = ffi.new("struct ib_engine_schedule[]", len(config.schedules))
    replication = ffi.NULL if config.replication is None else _to_core_replication(ffi, config.replication, keep)
    today = datetime.datetime.now(datetime.UTC).date()
    for schedule, named in zip(schedules, config.schedules, strict=True):
        moments = [{"time_ns": time_ns, "phase": phase} for time_ns, phase in named.times(today)]
        times = ffi.new("struct ib_engine_phase_time[]", moments)
        schedule.times, schedule.count = times, len(moments)
        keep.append(times)
    struct = ffi.new(
        "struct ib_engine_config *",
        {
            "shard": config.shard,
            "replica": config.replica,
            "epoch": config.epoch,
            "replication": replication,
            "journal_directory": string(config.journal_directory),
            "run_directory": string(config.run_directory),
            "host": string(config.host),
            "port": config.port,
            "instruments": instruments,
            "instrument_count": len(config.instruments),
            "accounts": accounts,
            "account_count": len(config.accounts),
            "limits": limits,
            "limit_count": len(config.limits),
            "sessions": sessions,
            "session_count": len(config.sessions),
            "schedules": schedules,
            "schedule_count": len(config.schedules),
            "rules": config.rules,
            "indicate_ms": config.indicate_ms,
            "volatility_auction_ms": config.volatility_auction_ms,
            "fsync_policy": getattr(lib, f"IB_FSYNC_{config.fsync.upper()}"),
            "segment_bytes": config.segment_bytes,
            "orders": config.orders,
            "events": config.events,
            "connections": config.connections,
            "bytes_before_login": config.bytes_before_login,
            "login_attempts": config.login_attempts,
            "login_ms": config.login_ms,
            "mass_cancel_percent": config.mass_cancel_percent,
            "heartbeat_ms": config.heartbeat_ms,
            "latency_every": config.latency_every,
        },
    )
    keep.extend((instruments, accounts, limits, sessions, schedules, struct))
    return struct


def _to_core_replication(ffi: Any, config: ReplicationConfig, keep: list[Any]) -> Any:
    hosts = [ffi.new("char[]", os.fsencode(host)) for host, _ in config.members]
    addresses = [{"host": host, "port": port} for host, (_, port) in zip(hosts, config.members, strict=True)]
    members = ffi.new("struct ib_engine_member[]", addresses)
    key = ffi.new("char[]", os.fsencode(config.key))
    struct = ffi.new(
        "struct ib_engine_replication *",
        {"members": members, "member_count": len(config.members), "key": key}
        | {name: getattr(config, name) for name in _REPLICATION_FIELDS},
    )
    keep.extend((*hosts, members, key, struct))
    return struct
