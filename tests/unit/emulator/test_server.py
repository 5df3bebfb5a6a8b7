# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's process: it ends when it is told to, whatever it is at, and costs next to nothing in doing so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from emulated_aws import emulator
from local_processes import wait_for


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_while_a_service_is_being_loaded(tmp_path: Path, number: signal.Signals) -> None:
    """Measured in seconds of a processor: on a busy machine a second of that is as many as there are others."""
    with emulator(tmp_path) as (process, _):
        served = cpu_seconds(process.pid)
        wait_for(lambda: cpu_seconds(process.pid) > served + 0.2, "an emulator that loads EC2")
        before = cpu_seconds(process.pid)
        process.send_signal(number)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        assert usage.ru_utime + usage.ru_stime - before < 0.15, usage


def cpu_seconds(pid: int) -> float:
    """What a process has had of the processors, proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
