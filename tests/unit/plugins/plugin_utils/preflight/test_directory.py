# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that cannot be written to is named before anything is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight.directory import directory_problems


def test_a_directory_that_is_there_or_can_be_made_passes(tmp_path: Path) -> None:
    assert directory_problems("x", str(tmp_path)) == []
    assert directory_problems("x", str(tmp_path / "a" / "b")) == []
    assert directory_problems("x", "") == []


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (line,) = directory_problems("x", str(tmp_path / "f" / "state"))
    assert line.startswith(f"x is {tmp_path}/f/state, and this user cannot write to {tmp_path}/f: make it (sudo ")


def test_a_directory_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda *_arguments: False)  # root may write anywhere
    (line,) = directory_problems("x", str(tmp_path))
    assert f"cannot write to {tmp_path}: " in line
