# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's threads are moved off the isolated CPUs, those that can be moved and no others."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/host_tuning/files/kernel_threads.py"
spec = importlib.util.spec_from_file_location("kernel_threads", SCRIPT)
assert spec and spec.loader
kernel_threads = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kernel_threads)

NO_SETAFFINITY = 0x04000000
THREADS = {
    88: ("kswapd1", 2, 0x20A40, {2, 3}),
    12: ("ksoftirqd/2", 2, NO_SETAFFINITY, {2}),
    14: ("rcu_preempt", 2, 0x208040, {0, 1}),
    700: ("a (b) c", 1, 0x400100, {0, 1, 2, 3}),
}


@pytest.mark.parametrize("isolated", ["2-3\n", "\n"])
def test_those_of_a_node_are_moved(
    isolated: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {f"{kernel_threads.CPU}/isolated": isolated, f"{kernel_threads.CPU}/online": "0-3\n"}
    for number, (name, parent, flags, _cpus) in THREADS.items():
        files[f"/proc/{number}/stat"] = f"{number} ({name}) S {parent} 0 0 0 -1 {flags} 0 0\n"
    moved = {}
    monkeypatch.setattr(kernel_threads, "read", lambda path: files.get(path, ""))
    monkeypatch.setattr(kernel_threads.glob, "glob", lambda _pattern: [name for name in files if "stat" in name])
    monkeypatch.setattr(os, "sched_getaffinity", lambda number: THREADS[number][3])
    monkeypatch.setattr(os, "sched_setaffinity", moved.__setitem__)
    kernel_threads.main()
    assert moved == ({88: {0, 1}} if isolated.strip() else {})
    assert capsys.readouterr().out == ("kswapd1\n" if isolated.strip() else "")
