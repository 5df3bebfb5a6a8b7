# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks against a test's own site; what they made is read back through boto3."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from local_processes import ROOT, LocalSite

RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+).*rescued=(\d+)", re.MULTILINE)
AS_JSON = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}


@dataclass(frozen=True)
class Run:
    """How a run of ansible-playbook ended, and what it printed."""

    returncode: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """Both outputs."""
        return self.out + self.err

    @property
    def lines(self) -> list[str]:
        """Standard output by lines, without the indentation."""
        return [line.strip() for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """What ansible.posix.json printed (AS_JSON)."""
        return json.JSONDecoder().raw_decode(self.out[self.out.index("{") :])[0]

    @property
    def changed(self) -> dict[str, int]:
        """The hosts that changed something, and how much, from the recap."""
        if self.out.lstrip().startswith("{"):
            counts = {host: stats["changed"] for host, stats in self.json["stats"].items()}
        else:
            counts = {host: int(count) for host, count, *_ in RECAP.findall(self.out)}
        return {host: count for host, count in counts.items() if count}


def of_site(site: LocalSite) -> dict[str, str]:
    """The environment of ansible-playbook for a site that is up."""
    environment = site.environment() | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return environment | dict(line.split("=", 1) for line in site.local("env").stdout.split())


def command_of(*playbooks: str, inventory: Path | str = "inventories/local", check: bool = False) -> list[str]:
    """The command that runs playbooks, of the collection or by path; `check`: as a preview, with its diff."""
    names = [name if "/" in name or name[0] == "-" or "=" in name else f"ironbook.trading.{name}" for name in playbooks]
    preview = ["--check", "--diff"] if check else []
    return [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), *names, *preview]


def play(environment: dict[str, str], *playbooks: str, **how: Any) -> Run:
    """Run playbooks to their end; an option of ansible-playbook, and its argument, may stand among them."""
    done = subprocess.run(
        command_of(*playbooks, **how),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def client_of(environment: dict[str, str], service: str, region: str = "us-east-1") -> Any:
    """A boto3 client of the emulator."""
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
