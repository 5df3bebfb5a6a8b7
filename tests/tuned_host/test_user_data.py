# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that has nothing but cloud-init, made ready at its first boot by the user data that the role's page names.

It has no network but that of the tuned host, whose database it asks: what its script installs lies on its disk.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_processes import ROOT, wait_for

IMAGE = ROOT / ".cache/bare_host"
README = ROOT / "roles/host_bootstrap/README.md"
NAME, OTHER = "ironbook-bare-host", "ironbook-tuned-host"
FIRST_BOOT_SECONDS = 400
"""It takes half a minute; a machine that is busy takes as long as it takes."""
PASSWORD = "of-the-test"
Inside = Callable[[str], str]
pytestmark = pytest.mark.timeout(2 * FIRST_BOOT_SECONDS)  # pytest's own would end it first


def user_data(directory: Path) -> str:
    """Render what the page of the role says, as the variable that it says, in a play of a collection."""
    (expression,) = re.findall(r"```yaml\n(aws_compute_user_data: >-\n.*?)```", README.read_text(), re.DOTALL)
    (directory / "variables.yml").write_text(expression)
    (directory / "roles").symlink_to(ROOT / "roles")
    play = directory / "playbooks/play.yml"
    play.parent.mkdir()
    task = {"ansible.builtin.copy": {"content": "{{ aws_compute_user_data }}", "dest": str(directory / "user-data")}}
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"here": host}}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(directory / "hosts.json")]
    done = subprocess.run(
        [*command, "-e", f"@{directory / 'variables.yml'}", str(play)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (directory / "user-data").read_text()


def podman(*words: str) -> str:
    done = subprocess.run(["podman", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The disk of the bare host before its first boot, which keeps what is written over a reboot."""
    layers = {name: IMAGE / "layers" / name for name in ("upper", "work", "merged")}
    subprocess.run(["rm", "-rf", str(IMAGE / "layers")], check=True)
    for directory in layers.values():
        directory.mkdir(parents=True)
    options = f"lowerdir={IMAGE / 'root'},upperdir={layers['upper']},workdir={layers['work']}"
    merged = layers["merged"]
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], check=True)
    try:
        seed = merged / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True)
        (seed / "user-data").write_text(user_data(tmp_path_factory.mktemp("rendered")))
        (seed / "meta-data").write_text("instance-id: i-of-the-test\n")
        subprocess.run(["cp", "-r", str(IMAGE / "wheels"), str(merged / "opt/wheels")], check=True)
        (merged / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /opt/wheels\n")
        yield merged
    finally:
        subprocess.run(["umount", "--lazy", str(merged)], check=True)
        subprocess.run(["rm", "-rf", str(IMAGE / "layers")], check=True)


@pytest.fixture(scope="module")
def bare(disk: Path) -> Iterator[Inside]:
    """The bare host after its first boot; what runs a shell's line in it."""
    lacks = ("usr/bin/psql", "usr/bin/pip3", "usr/lib/python3/dist-packages/boto3", "opt/trading_engine")
    assert [name for name in lacks if (disk / name).exists()] == [], "it is bare"
    options = ("--detach", "--replace", f"--name={NAME}", "--systemd=always", f"--network=container:{OTHER}")
    podman("run", *options, "--rootfs", str(disk), "/sbin/init")
    try:
        instances = disk / "var/lib/cloud/instances"  # not by the link to one of them: it is the host's own
        finished = "*/boot-finished"
        wait_for(lambda: any(instances.glob(finished)), "the end of cloud-init", FIRST_BOOT_SECONDS)
        yield lambda line: podman("exec", NAME, "sh", "-c", line)
    finally:
        podman("rm", "--force", "--time=0", NAME)


def journal(inside: Inside) -> str:
    """What the service has said since this boot began."""
    begun = podman("inspect", "--format", "{{.State.StartedAt.Unix}}", NAME)
    return inside(f"journalctl --unit=trading-engine --since=@{begun} --output=cat")


def output(inside: Inside) -> list[str]:
    """What the script has said that it has changed, at any boot."""
    return [line for line in inside("cat /var/log/cloud-init-output.log").splitlines() if line.startswith("changed:")]


@pytest.mark.feature("HFT-11", by="G")
def test_user_data_makes_a_bare_host_ready(bare: Inside) -> None:
    """Debian's own packages and pip's modules, by cloud-init."""
    assert "changed: installed python3-venv python3-pip postgresql-client" in output(bare)
    assert "changed: installed boto3 psycopg2-binary" in output(bare)
    bare("/opt/trading_engine/bin/python3 -c 'import boto3, psycopg2'")
    assert bare("psql --version").startswith("psql (PostgreSQL) 1")
    assert "psycopg2-binary" in bare("/opt/trading_engine/bin/pip list --format=freeze 2>/dev/null")


@pytest.mark.feature("HFT-12", by="G")
def test_its_service_reaches_a_database_and_is_there_after_a_reboot_and_a_kill(bare: Inside) -> None:
    """Over TCP with a password that is in no script; refused before it is there."""
    assert bare("systemctl is-enabled trading-engine; systemctl is-active trading-engine").split() == [
        "enabled",
        "active",
    ]
    wait_for(lambda: "not connected" in journal(bare), "its refusal", 30)
    role = f"DROP ROLE IF EXISTS trading; CREATE ROLE trading LOGIN PASSWORD '{PASSWORD}'"
    podman("exec", OTHER, "runuser", "-u", "postgres", "--", "psql", "-qc", role)
    bare(f"umask 077; echo 'localhost:5432:trading:trading:{PASSWORD}' >/etc/trading_engine.pgpass; "
         "chown trading /etc/trading_engine.pgpass")  # fmt: skip
    wait_for(lambda: "connected to the database trading of PostgreSQL 1" in journal(bare), "a connection", 30)

    changed = output(bare)
    podman("restart", "--time=20", NAME)
    wait_for(lambda: "connected to the database trading of PostgreSQL 1" in journal(bare), "a connection", 60)
    bare("cloud-init status --wait >/dev/null || true")
    assert output(bare) == changed, "cloud-init runs user data at the first boot alone"

    before = bare("systemctl show --value --property=MainPID trading-engine")
    bare("systemctl kill --signal=KILL trading-engine")
    wait_for(
        lambda: bare("systemctl show --value --property=MainPID trading-engine") not in ("0", before),
        "its next process",
        20,
    )
