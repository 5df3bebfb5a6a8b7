# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks against a test's own site; what they made is read back through boto3."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from local_processes import ROOT, LocalSite, local_site

RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+).*rescued=(\d+)", re.MULTILINE)
# What an inventory for AWS needs, to be tried on the emulator: its account, modules from one warm interpreter, and no
# gp3, of which the emulator does not tell the throughput.
ON_THE_EMULATOR = """
aws_account_id: "123456789012"
ironbook_warm_interpreter: true
aws_database_storage_type: gp2
"""
# The last role of playbooks/provision.yml, after what the provisioner `vpc` would have left.
ISOLATE = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.add_host: {{name: vpc, aws_network_vpc_id: {vpc_id}}}
      changed_when: false
    - ansible.builtin.include_role: {{name: ironbook.trading.aws_network}}
      vars: {{aws_network_part: isolation}}
"""


@dataclass
class Run:
    """One run of ansible-playbook."""

    returncode: int
    output: str
    changed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the recap: the hosts that changed something, and how much."""
        self.changed = {host: int(count) for host, count, *_ in RECAP.findall(self.output) if int(count)}


@dataclass
class Production:
    """inventories/production on an emulator of its own."""

    environment: dict[str, str]
    directory: Path

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return client_of(self.environment, service)

    def play(self, *playbooks: str, check: bool = False, variables: str = "") -> Run:
        """Run playbooks, of the collection or by path, with these variables in place of the inventory's."""
        copy = self.directory / f"inventory-{len(list(self.directory.iterdir()))}"
        shutil.copytree(ROOT / "inventories" / "production", copy)
        (copy / "group_vars" / "all" / "zz_test.yml").write_text(f"---\n{ON_THE_EMULATOR}{variables}\n")
        return play(self.environment, *playbooks, inventory=copy, check=check)

    def isolate(self, vpc_id: str, variables: str = "") -> Run:
        """Run the part `isolation` of the network alone, the last of provision, in a tenth of its time."""
        playbook = self.directory / "isolate.yml"
        playbook.write_text(ISOLATE.format(vpc_id=vpc_id))
        return self.play(str(playbook), variables=variables)


@contextmanager
def production(directory: Path) -> Iterator[Production]:
    """A site that is up and empty, for inventories/production."""
    with local_site() as site:
        yield Production(of_site(site), directory)


def of_site(site: LocalSite) -> dict[str, str]:
    """The environment of ansible-playbook for a site that is up."""
    environment = site.environment() | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return environment | dict(line.split("=", 1) for line in site.local("env").stdout.split())


def play(environment: dict[str, str], *playbooks: str, inventory: Path | None = None, check: bool = False) -> Run:
    """Run playbooks of the collection; `check`: as a preview, with its diff."""
    names = [name if "/" in name else f"ironbook.trading.{name}" for name in playbooks]
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory or "inventories/local"), *names]
    done = subprocess.run(
        [*command, *(["--check", "--diff"] if check else [])],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return Run(done.returncode, done.stdout + done.stderr)


def client_of(environment: dict[str, str], service: str) -> Any:
    """A boto3 client of the emulator."""
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
