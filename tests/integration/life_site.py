# SPDX-License-Identifier: GPL-3.0-or-later
"""A local site whose environment is planned, made, listed, locked and taken down by playbooks, a run at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.platform_runs import client_of, of_site
from local_processes import ROOT, LocalSite, local_site


@dataclass
class Run:
    """How a run of ansible-playbook ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both outputs."""
        return self.out + self.err

    @property
    def lines(self) -> list[str]:
        """Standard output by lines, without the indentation."""
        return [line.strip() for line in self.out.splitlines()]


@dataclass
class Life:
    """The site and how it is reached."""

    site: LocalSite
    environment: dict[str, str]

    def client(self, service: str) -> Any:
        """A boto3 client of its emulator."""
        return client_of(self.environment, service)

    def command(self, playbook: str, *options: str, inventory: Path | str = "inventories/local") -> list[str]:
        """The command that runs a playbook of the collection."""
        name = f"ironbook.trading.{playbook}"
        return [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), name, *options]

    def play(self, playbook: str, *options: str, **more: Any) -> Run:
        """Run a playbook to its end."""
        done = subprocess.run(
            self.command(playbook, *options, **more),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def must(self, playbook: str, *options: str, **more: Any) -> Run:
        """Run a playbook that has to succeed."""
        run = self.play(playbook, *options, **more)
        assert run.code == 0, run.said
        return run


@contextmanager
def life() -> Iterator[Life]:
    """A site whose emulator runs and whose account is empty."""
    with local_site() as site:
        yield Life(site, of_site(site))
