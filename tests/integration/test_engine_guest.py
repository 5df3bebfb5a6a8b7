# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own: the role compiles the core there; and orders are timed there before and after it is tuned.

Ansible runs outside and reaches the guest as it would reach any host, through a connection plugin. The guest's address
is a private one, its client sits at the other end of a cable.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.engine_process import PASSWORD, hash_of
from integration.guest_host import ADDRESS, INTERFACE, Guest, running_guest
from local_processes import ROOT, wait_for

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="a guest with a root and a network of its own needs root"),
]

COLLECTIONS = ROOT / ".venv" / "collections"
INSTALLED = "/opt/ironbook"
ORDER_ENTRY = 7001
IMPORT = "import json, ironbook.core as c; print(json.dumps([c.__file__, c._core.__file__]))"


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """One guest for the whole file."""
    with running_guest(tmp_path_factory.mktemp("guest")) as running:
        yield running


def play(guest: Guest, directory: Path, *flags: str) -> tuple[str, int]:
    """Run the role engine_build on the guest; the output, and how many tasks changed something there."""
    # The plugin would change the root directory alone: this enters all of the guest.
    enter = directory / "enter"
    enter.write_text(f'#!/bin/sh\nshift\nexec {" ".join(guest.enter)} "$@"\n')
    enter.chmod(0o700)
    host = {
        "ansible_connection": "community.general.chroot",
        "ansible_host": str(guest.root),
        "ansible_chroot_exe": str(enter),
        "ansible_python_interpreter": sys.executable,
        "engine_build_virtualenv": "",
        "ironbook_state_directory": str(directory / "state"),
        "service_manager": "systemd",
    }
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"guest": host}}}))
    book = [{"hosts": "all", "gather_facts": False, "roles": ["ironbook.trading.engine_build"]}]
    (directory / "play.json").write_text(json.dumps(book))
    paths = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_HOME": str(directory / "ansible")}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "-i", str(directory / "hosts.json"), *flags, str(directory / "play.json")],
        cwd=directory,
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, int(done.stdout.split("changed=")[1].split()[0])


@pytest.fixture(scope="module")
def installed(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the role has installed the distribution in the guest, which had none."""
    said = guest.run(sys.executable, "-c", IMPORT, status=1)
    assert "No module named 'ironbook.core'" in said, said
    directory = tmp_path_factory.mktemp("controller")
    _output, changed = play(guest, directory)
    assert changed > 0
    (version,) = [path.name for path in (guest.root / INSTALLED.lstrip("/")).iterdir() if path.is_dir()]
    _output, changed = play(guest, directory)
    assert changed == 0, "a second run builds nothing"
    return f"{INSTALLED}/{version}"


@pytest.mark.feature("USR-05", by="G")
def test_the_role_compiles_the_core_on_the_guest_and_it_agrees_with_the_oracle(guest: Guest, installed: str) -> None:
    """What is imported is what was compiled there; the same sources under the sanitizers say the same as the oracle."""
    package, extension = guest.python(IMPORT, PYTHONPATH=installed)
    assert package.startswith(installed) and extension.startswith(installed)
    made = guest.root / extension.lstrip("/")
    assert made.read_bytes()[:4] == b"\x7fELF"
    assert not Path(INSTALLED, Path(installed).name).exists(), "it is the guest's, not this machine's"

    # API mode: the C compiler has seen the header, and compiled what cffi generated from it with the core's sources.
    assert guest.run("sh", "-c", f"nm -D --defined-only {extension} | grep -c PyInit__core").strip() == "1"
    flow = [sys.executable, str(ROOT / "tests/core_flow.py"), "--steps", "100000"]
    said = guest.run(*flow, PYTHONPATH=installed)
    assert said.startswith("core-flow: 100000 commands") and said.endswith("no difference\n"), said

    said = guest.run(sys.executable, "-c", SANITIZED, str(ROOT / "engine_native"), PYTHONPATH=installed)
    assert said == "3 flows, no difference\nan event differs\n"


# The core's sources with the sanitizers and its own checks, fed with flows that the oracle has written; and once with an
# event that the oracle did not say.
SANITIZED = """
import pathlib, subprocess, sys, tempfile
home = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(home / "sim"))
from flows import write_flows
from mutants import CORE, FLAGS
build = pathlib.Path(tempfile.mkdtemp())
sources = [str(home / "sim/flow.c"), *(str(home / f"src/{name}.c") for name in CORE)]
options = [*FLAGS, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
subprocess.run(["gcc", *options, *sources, "-lpthread", "-o", str(build / "flow")], check=True)
flows = write_flows(build)
for flow in flows:
    subprocess.run([str(build / "flow"), str(flow.capacity), str(flow.commands), str(flow.events)], check=True)
print(len(flows), "flows, no difference")
said = bytearray(flows[0].events.read_bytes())
said[-1] ^= 1
flows[0].events.write_bytes(said)
done = subprocess.run([str(build / "flow"), str(flows[0].capacity), str(flows[0].commands), str(flows[0].events)],
                      capture_output=True, text=True)
assert done.returncode == 1, done
print(done.stdout.split(": ")[-1].strip())
"""
