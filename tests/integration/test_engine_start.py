# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that cannot start: one line that names the thing and the remedy, and nothing that stays open."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from integration import engine_process
from integration.engine_process import Engine, enter, used
from ironbook.engine import _to_core, load_core, serve
from ironbook.engine_config import EngineConfig, parse
from ironbook.errors import CommandError

pytestmark = pytest.mark.integration

FILE_BYTES = 65536  # far below what the event log reserves
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24  # linux/capability.h, linux/prctl.h


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that is not started yet, over a journal of some orders."""
    process = Engine(tmp_path, instruments=[{"symbol": "AAPL", "tick": 1}]).start()
    client = process.login()
    client.send(b"".join(enter(ref, "B", 1, 100) for ref in range(1, 101)))
    client.next_user_ref()
    process.kill()
    yield process
    process.kill()


def only_segment(engine: Engine) -> Path:
    """Its journal's one file."""
    (segment,) = engine.journal.glob("*.journal")
    return segment


def cut(engine: Engine) -> None:
    """The file ends before its first record's end."""
    segment = only_segment(engine)
    segment.write_bytes(segment.read_bytes()[:40])


def flip(engine: Engine) -> None:
    """One bit, in the middle."""
    segment = only_segment(engine)
    data = bytearray(used(segment))
    data[len(data) // 2] ^= 4
    segment.write_bytes(data)


def move(engine: Engine) -> None:
    """Another shard's engine on this journal."""
    engine.config["shard"] = 3


def lose_first(engine: Engine) -> None:
    """A segment is missing before the one that is there."""
    only_segment(engine).rename(engine.journal / f"{50:020}.journal")


def hide(engine: Engine) -> None:
    """The journal's directory is a file."""
    engine.config["journal_directory"] = str(engine.config_file)


def take_port(engine: Engine) -> socket.socket:
    """Somebody listens there."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", engine.port))
    listener.listen()
    return listener


def change_orders(engine: Engine) -> None:
    """A capacity that the journal was not begun with."""
    engine.config["limits"]["orders"] = 1000


def long_path(engine: Engine) -> None:
    """No socket may be there."""
    engine.config["run_directory"] = str(engine.directory / ("x" * 100))


FAILURES: dict[Callable[[Engine], Any], tuple[str, str]] = {
    cut: ("journal", "restore"),
    flip: ("journal", "restore"),
    lose_first: (f"{50:020}.journal", "Restore"),
    move: ("shard 0", "journal_directory"),
    hide: ("engine.json", "journal_directory"),
    take_port: ("127.0.0.1:", "order_entry.port"),
    change_orders: ("limits.orders", "set limits.orders to"),
    long_path: ("admin.sock", "IRONBOOK_STATE"),
}


def open_files() -> list[str]:
    """What this process has open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:  # that of the listing itself
            continue
    return sorted(found)


@pytest.mark.parametrize("spoil", FAILURES, ids=lambda spoil: spoil.__name__)
def test_a_failed_start_is_one_line_and_leaves_nothing_open(engine: Engine, spoil: Callable[[Engine], Any]) -> None:
    """In the real process the line; in this one, where nothing ends with the process, the descriptors."""
    held = spoil(engine)
    line = engine.refused()
    for part in FAILURES[spoil]:
        assert part in line
    umask = os.umask(0o077)
    try:
        before = open_files()
        with pytest.raises(CommandError):
            serve(parse(engine.config, "engine.json"))
        assert open_files() == before
    finally:
        os.umask(umask)
    del held


def _run_with(config: EngineConfig, descriptors: int) -> str:
    """Open and run an engine with that many descriptors at most; what it said, or 'runs' where it had enough."""
    ffi, lib = load_core()
    keep: list[Any] = []
    engine, error = ffi.new("struct ib_engine **"), ffi.new("char[]", int(lib.IB_ERROR_TEXT_SIZE))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, limits[1]))
    try:
        if lib.ib_engine_open(engine, _to_core(ffi, lib, config, keep), error) != lib.IB_OK:
            return str(ffi.string(error).decode())
        lib.ib_engine_stop(engine[0])
        if lib.ib_engine_run(engine[0]) != lib.IB_OK:
            text: str = ffi.string(lib.ib_engine_error(engine[0])).decode()
            lib.ib_engine_close(engine[0])
            return text
        lib.ib_engine_close(engine[0])
        return "runs"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_no_step_of_a_start_leaks_a_descriptor(engine: Engine) -> None:
    """One descriptor more each time, so that each step fails once, until it runs: nothing stays open, ever."""
    config = parse(engine.config, "engine.json")
    before = open_files()
    said = []
    for descriptors in range(3, 256):
        said.append(_run_with(config, descriptors))
        assert open_files() == before, said[-1]
        if said[-1] == "runs":
            break
    assert said[-1] == "runs"
    assert len(set(said)) > 4  # lock, event log, journal, sockets, the threads' own: each said so
    assert "" not in said


def test_a_full_disk_at_the_start(engine: Engine) -> None:
    """No room for the event log; for the journal, see test_engine_recovery.py."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, limits[1]))
    umask = os.umask(0o077)
    try:
        with pytest.raises(
            CommandError, match=r"events.log: cannot size the event log: File too large: see to run_directory"
        ):
            serve(parse(engine.config, "engine.json"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        os.umask(umask)


def test_a_directory_that_cannot_be_written(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal's directory without write permission, also where the engine is root's."""
    locked = engine.directory / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    engine.config["journal_directory"] = str(locked)

    def bow() -> None:  # root gives up its right to ignore permissions; for others this does nothing
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)

    monkeypatch.setattr(engine_process.subprocess, "Popen", partial(subprocess.Popen, preexec_fn=bow))
    line = engine.refused()
    assert str(locked) in line
    assert "Permission denied: see to journal_directory" in line
    assert os.listdir(locked) == []


def test_a_run_directory_that_others_may_write_to_is_refused(engine: Engine) -> None:
    """Another user could put a link in the place of the event log, and a socket in that of ours."""
    victim = engine.directory / "victim"
    victim.write_text("precious")
    (engine.run / "events.log").unlink(missing_ok=True)
    (engine.run / "events.log").symlink_to(victim)
    for mode in (0o777, 0o1777, 0o770):
        engine.run.chmod(mode)
        assert engine.refused().endswith("can be written to by others: make it the engine's own user's, with mode 0700")
    engine.run.chmod(0o700)
    assert "events.log: cannot make the event log" in engine.refused()
    assert victim.read_text() == "precious"
    (engine.run / "events.log").unlink()
    engine.start()
