# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are only asked, on this machine and of a captured tree; and where the audit itself runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import runner as running
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import (
    AbsentError,
    Host,
    UnreadableError,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.runner import (
    NO_COMMANDS,
    CapturedRunner,
    LiveRunner,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.service import on_housekeeping


def test_a_command_is_started_once_and_without_a_shell(tmp_path: Path) -> None:
    live = LiveRunner()
    assert live.run("uname", "-s") == "Linux\n"
    assert live.run("uname", "-s") is live.run("uname", "-s")
    assert live.run("echo", f"$(touch {tmp_path}/made); >{tmp_path}/made") and list(tmp_path.iterdir()) == []


def test_what_is_missing_fails_or_hangs_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveRunner()
    with pytest.raises(AbsentError, match="command no-such-command"):
        live.run("no-such-command")
    with pytest.raises(UnreadableError, match="false: exit 1"):
        live.run("false")
    monkeypatch.setattr(running, "SECONDS", 0.05)
    with pytest.raises(UnreadableError, match=r"sleep 9: .*timed out"):
        live.run("sleep", "9")
    with pytest.raises(UnreadableError, match="no command is asked here"):
        NO_COMMANDS.run("uname")


def test_of_a_captured_tree_the_output_is_read(tmp_path: Path) -> None:
    (tmp_path / "_cmd").mkdir()
    (tmp_path / "_cmd/chronyc_-n_tracking.txt").write_text("Reference ID")
    captured = CapturedRunner(Host(str(tmp_path)))
    assert captured.run("chronyc", "-n", "tracking") == "Reference ID"
    with pytest.raises(UnreadableError, match="tc qdisc: no output was captured"):
        captured.run("tc", "qdisc")


def test_the_audit_stays_on_housekeeping_cpus_and_goes_back() -> None:
    before = os.sched_getaffinity(0)
    chosen = frozenset({min(before)})
    with on_housekeeping(chosen):
        assert os.sched_getaffinity(0) == chosen
    assert os.sched_getaffinity(0) == before
    with on_housekeeping(frozenset({4095})):  # no such CPU: it runs where it is
        assert os.sched_getaffinity(0) == before
    with on_housekeeping(frozenset()):
        assert os.sched_getaffinity(0) == before
