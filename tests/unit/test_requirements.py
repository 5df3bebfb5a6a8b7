# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be on the machine before anything is installed is asked for at once, in one line."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from gates.debian import preflight

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "requirements" / "preflight.py"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
ALL = [f"{PYTHON}-venv", f"{PYTHON}-dev", "gcc", "libc6-dev", "make"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Make a machine that has these things and no others; return its root directory."""

    def make(*present: str) -> Path:
        headers = tmp_path / "usr" / "include"
        headers.mkdir(parents=True, exist_ok=True)
        for name, file in (("libc6-dev", "stdio.h"), (f"{PYTHON}-dev", "Python.h")):
            (headers / file).unlink(missing_ok=True)
            if name in present:
                (headers / file).touch()
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(headers))
        monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}" if tool in present else None)
        found = object() if f"{PYTHON}-venv" in present else None
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
        return tmp_path

    return make


@pytest.mark.parametrize("lacks", [[], *([package] for package in ALL), ["gcc", "libc6-dev"], ALL])
def test_everything_that_is_missing_is_named_at_once(machine: Callable[..., Path], lacks: list[str]) -> None:
    """Each package alone, and all together: the compiler's absence hides nothing."""
    present = [package for package in ALL if package not in lacks]
    assert preflight.missing_packages(machine(*present)) == lacks


def test_a_machine_without_a_compiler_gets_one_line(tmp_path: Path) -> None:
    """As `make` calls it, with nothing in PATH."""
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "missing on this machine: apt-get install gcc make\n"


def test_a_machine_without_python_gets_one_line(tmp_path: Path) -> None:
    """The first thing that `make` needs, and it cannot be asked what else is missing: so all is named."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("site.txt", "constraints.txt"):
        (tmp_path / "requirements" / name).touch()
    command = ["make", "--no-print-directory", ".venv/.site", "PYTHON=no-such-python"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith(("make", "find"))]
    assert said == [
        "missing on this machine: no-such-python: apt-get install python3 python3-venv python3-dev gcc libc6-dev make"
    ]
