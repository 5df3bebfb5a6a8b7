# SPDX-License-Identifier: GPL-3.0-or-later
"""The real probe for tests: compiled as the role does, run as the module does, on any host that can be entered."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe import service
from local_processes import ROOT


def compile_probe(directory: Path) -> Path:
    """The program, made in a directory of the test by what the role runs on a host."""
    for source in (ROOT / "engine_native/probe").glob("*.[ch]"):
        shutil.copy(source, directory)
    program = directory / "ironbook-probe"
    script = ROOT / "roles/probe_build/files/compile.py"
    subprocess.run([sys.executable, str(script), "gcc", str(program)], check=True, timeout=120)
    return program


class Probe:
    """The program, on a host; `enter` is what a command line begins with there."""

    def __init__(self, program: Path, enter: Sequence[str] = ()) -> None:
        self.program = program
        self.enter = list(enter)

    def run(self, *words: str, status: int = 0) -> Any:
        """Run it once: its document, or what it said where another status was expected."""
        command = [*self.enter, str(self.program), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == status, (command, done.returncode, done.stderr)
        return done.stderr if status else json.loads(done.stdout)

    def measure(self, mode: str, seconds: int = 1, repeats: int = 3, **options: Any) -> dict[str, Any]:
        """Measure as the module does."""

        def runner(words: Sequence[str]) -> tuple[int, str, str]:
            done = subprocess.run([*self.enter, *words], capture_output=True, text=True, check=False, timeout=120)
            return done.returncode, done.stdout, done.stderr

        return service.measure(runner, str(self.program), service.Asked(mode, seconds, repeats, options))

    @contextmanager
    def serving(self, address: str, port: int) -> Iterator[None]:
        """Have it answer there meanwhile."""
        words = ["serve", "--seconds", "900", "--idle-seconds", "900", "--bind", address, "--port", str(port)]
        with subprocess.Popen([*self.enter, str(self.program), *words], stdout=subprocess.DEVNULL) as echo:
            try:
                yield
            finally:
                echo.kill()
