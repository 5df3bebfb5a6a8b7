# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy play against three hosts that are this machine: compiled once, and then the members of one shard."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ironbook.admin import AdminError, request
from local_processes import ROOT, LocalSite, environment, local_site, wait_for

pytestmark = pytest.mark.integration

# The group that tells discover that it has had its turn; preflight takes no group's word for it, and is run.
BEFORE_DEPLOY = ("hosts_discovered",)
LIMITS = {
    **{"orders": 1048576, "events": 8388608, "connections": 64},
    **{"bytes_before_login": 64, "login_attempts": 3, "login_seconds": 5},
}
PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))


@pytest.fixture(scope="module")
def site() -> Iterator[LocalSite]:
    """One site for the whole file: the tests build on one another, in their order."""
    with local_site() as running:
        write_inventory(running)
        make_table(running)
        copy_sources(running.state.parent / "sources")
        yield running


def copy_sources(target: Path) -> None:
    """Copy what the distribution is built from, so that nothing that is edited meanwhile comes between two runs."""
    skip = shutil.ignore_patterns("__pycache__", "build", "tests", "fuzz", "sim", "*.so", "*.o", "*.egg-info")
    for name in ("services", "engine_native", "requirements"):
        shutil.copytree(ROOT / name, target / name, ignore=skip)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)


def write_inventory(site: LocalSite) -> None:
    """Write the local inventory's variables, and the hosts that `discover` would find: it has had its turn."""
    variables: dict[str, Any] = {}
    for file in sorted((ROOT / "inventories" / "local" / "group_vars" / "all").glob("*.yml")):
        variables |= yaml.safe_load(file.read_text()) or {}
    variables["session_replay"] = False  # preflight would hold the sessions against it; what deploy says is tried here
    roles = ["primary", "standby", "standby"]
    hosts = {
        f"engine-0-{replica}": {
            f"engine_service_{name}": value for name, value in (("shard", 0), ("replica", replica), ("role", role))
        }
        for replica, role in enumerate(roles)
    }
    done = {name: {"hosts": {"localhost": {"ansible_connection": "local"}}} for name in BEFORE_DEPLOY}
    inventory = {"all": {"vars": variables, "children": {"engine_hosts": {"hosts": hosts}, **done}}}
    (site.state.parent / "hosts.yml").write_text(yaml.safe_dump(inventory))


def make_table(site: LocalSite) -> None:
    """Make what provision would have: the configuration store's table."""
    client = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{site.port}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_table(
        TableName="ironbook-local-configuration",
        KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def statuses(site: LocalSite) -> dict[int, dict[str, Any]]:
    """What each member says of itself; whoever does not answer is left out."""
    found = {}
    for replica in range(3):
        path = site.state / "run" / f"engine-0-{replica}" / "admin.sock"
        try:
            found[replica] = request(path, "status")
        except AdminError:
            continue
    return found


def primaries(site: LocalSite) -> list[int]:
    """The members that say that they are primary, with all three in sync."""
    return [
        replica
        for replica, status in statuses(site).items()
        if status["role"] == "primary" and status["replication"]["in_sync"] == [0, 1, 2]
    ]


def deploy(site: LocalSite, *options: str) -> subprocess.CompletedProcess[str]:
    printed = dict(line.split("=", 1) for line in site.local("env").stdout.splitlines())
    collections = str(ROOT / ".venv" / "collections")
    variables = environment(**printed, ANSIBLE_COLLECTIONS_PATH=collections, ANSIBLE_NOCOLOR="1")
    inventory = str(site.state.parent / "hosts.yml")
    sources = ["-e", f"engine_build_source={site.state.parent / 'sources'}"]
    command = [PLAYBOOK, "-i", inventory, "--diff", "ironbook.trading.deploy", *sources, *options]
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, cwd=site.state.parent, timeout=280
    )


def changed(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    return {host: int(n) for host, n in re.findall(r"^(engine-\S+) .* changed=(\d+)", done.stdout, re.MULTILINE)}


def test_a_preview_of_new_hosts_changes_nothing(site) -> None:
    done = deploy(site, "--check", "-e", "ironbook_shard_map_version=1")
    assert done.returncode == 0, done.stdout
    assert not (site.state / "hosts").exists()
    assert not (site.state / "install").exists()
    assert not list((site.state / "secrets").glob("session_*"))


def test_the_members_of_a_shard_serve(site) -> None:
    done = deploy(site)
    assert done.returncode == 0, done.stdout
    assert primaries(site) == [0], "the preferred member is there first when the shard begins"
    status = statuses(site)[0]
    assert (status["state"], status["shard"], status["replica"]) == ("serving", 0, 0)
    assert [other["role"] for replica, other in statuses(site).items() if replica] == ["standby", "standby"]
    states = dict(line.split()[:2] for line in site.supervisorctl("status").splitlines())
    for name in (f"{kind}-0-{replica}" for kind in ("engine", "agent") for replica in range(3)):
        # It serves before supervisord, which looks on for a second, calls it running.
        assert states[name] in {"RUNNING", "STARTING"}, name
    for replica in range(3):
        configuration = site.state / "hosts" / f"engine-0-{replica}" / "engine.json"
        assert configuration.stat().st_mode & 0o777 == 0o600
        assert json.loads(configuration.read_text())["replica"] == replica

    installed = [path for path in (site.state / "install").iterdir() if path.is_dir()]
    assert len(installed) == 1, "three hosts that are one machine share what the first one built"
    running = (Path("/proc") / str(site.pid("engine-0-0")) / "maps").read_text()
    assert str(installed[0]) in running, "the engine runs the core that was compiled for its host"


def test_no_secret_is_shown(site) -> None:
    done = deploy(site, "-e", "engine_service_heartbeat_seconds=2")
    assert done.returncode == 0, done.stdout
    assert changed(done)["engine-0-0"] == 4  # its file, the digest of it, the handing over, and the restart
    secrets = [path.read_text().strip() for path in (site.state / "secrets").glob("session_*")]
    configuration = json.loads((site.state / "hosts" / "engine-0-0" / "engine.json").read_text())
    secrets += [session["secret"] for session in configuration["sessions"]]
    secrets.append((site.state / "secrets" / "replication_key_0").read_text().strip())
    assert len(secrets) == 10 and configuration["replication"]["key"] == secrets[-1]
    everything = done.stdout + done.stderr + "".join(path.read_text() for path in (site.state / "log").iterdir())
    assert not [secret for secret in secrets if secret in everything]


def test_a_configuration_that_the_engine_refuses_does_not_replace_the_good_one(site) -> None:
    configuration = site.state / "hosts" / "engine-0-0" / "engine.json"
    good, pid = configuration.read_text(), site.pid("engine-0-0")
    done = deploy(site, "-e", "engine_service_listen_address=192.0.2.1")  # TEST-NET-1 (RFC 5737): no private address
    assert done.returncode != 0
    assert "order_entry.host is '192.0.2.1'" in done.stdout
    assert configuration.read_text() == good
    assert site.pid("engine-0-0") == pid


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"engine_service_sessions": []}, "give at least one session"),
        ({"engine_service_sessions": [{"username": "TOOLONGNAME", "firm": "A"}]}, "1 to 6 capital letters"),
        ({"engine_service_limits": LIMITS | {"orders": 0}}, "has the key orders, which is 0; the least is 1"),
        ({"engine_service_symbols": []}, "no symbols"),
        (
            {"engine_service_instruments": [{"symbol": "AAPL", "static_band": 10001}]},
            "static_band, which is 10001; the most is 10000",
        ),
        ({"engine_service_instruments": [{"symbol": "AAPL", "phase": "open"}]}, "pre_open"),
        ({"engine_service_instruments": [{"symbol": "AAPL", "schedule": "day"}]}, "add it to engine_service_schedules"),
        (
            {"engine_service_schedules": [{"name": "day", "steps": [{"at": "9:30", "phase": "closed"}]}]},
            "at, which is '9:30'",
        ),
        ({"engine_service_accounts": [{"name": "A", "limits": {"collar": -1}}]}, "collar, which is '-1'"),
        (
            {"engine_service_sessions": [{"username": "A", "firm": "A", "account": "B"}]},
            "engine_service_sessions names the account B: add it",
        ),
        ({"engine_service_rules": 3}, "is 3; the most is 2"),
        ({"engine_service_run_directory": "/tmp/" + "x" * 100}, "a Unix socket's path"),
        ({"engine_service_role": "boss"}, "boss"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(site, variables, message) -> None:
    before = (site.state / "hosts" / "engine-0-0" / "engine.json").read_text()
    done = deploy(site, "-e", json.dumps(variables), "--limit", "engine-0-0,localhost")
    assert done.returncode != 0
    assert message in " ".join(done.stdout.split())  # a long line is broken
    assert (site.state / "hosts" / "engine-0-0" / "engine.json").read_text() == before


def test_sources_that_do_not_compile_leave_the_running_version_alone(site, tmp_path) -> None:
    copy_sources(tmp_path / "sources")
    broken = tmp_path / "sources" / "engine_native" / "src" / "book.c"
    broken.write_text(broken.read_text() + "\nthis is not C\n")
    before = {path.name for path in (site.state / "install").iterdir() if path.is_dir()}
    pid = site.pid("engine-0-0")

    done = deploy(site, "-e", f"engine_build_source={tmp_path / 'sources'}")
    assert done.returncode != 0
    named = re.search(r"cannot be compiled and installed \(exit status 1\): see (\S+?)\"", done.stdout)
    assert named, done.stdout
    assert "this is not C" in Path(named.group(1)).read_text()
    assert {path.name for path in (site.state / "install").iterdir() if path.is_dir()} == before
    assert site.pid("engine-0-0") == pid


def test_again_changes_nothing(site) -> None:
    done = deploy(site, "-e", "engine_service_heartbeat_seconds=2")  # as the last one that succeeded
    assert done.returncode == 0, done.stdout
    assert changed(done) == {"engine-0-0": 0, "engine-0-1": 0, "engine-0-2": 0}


def test_a_host_refuses_another_map_of_the_version_that_it_has(site) -> None:
    options = ["-e", "engine_service_heartbeat_seconds=2", "-e", "ironbook_shard_map_version=4"]
    done = deploy(site, *options)
    assert done.returncode == 0, done.stdout
    assert changed(done) == {"engine-0-0": 1, "engine-0-1": 1, "engine-0-2": 1}  # each remembers the map
    configuration = site.state / "hosts" / "engine-0-0" / "engine.json"
    remembered = configuration.with_name("shard_map.json").read_text()
    assert json.loads(remembered)["version"] == 4
    before = configuration.read_text()
    moved = {"ironbook_shards": [{"shard": 0, "symbols": ["AAPL", "MSFT"]}]}
    done = deploy(site, *options, "-e", json.dumps(moved))
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "the map of version 4 is another one than is deployed" in said
    assert "raise the version to 5 if the change is meant" in said
    assert configuration.read_text() == before
    assert configuration.with_name("shard_map.json").read_text() == remembered


def test_a_killed_primary_is_replaced_and_the_next_run_changes_nothing(site) -> None:
    (before,) = primaries(site)
    os.kill(site.pid(f"engine-0-{before}"), signal.SIGKILL)
    wait_for(lambda: len(primaries(site)) == 1 and primaries(site) != [before], "another primary, with all in sync")
    done = deploy(site, "-e", "engine_service_heartbeat_seconds=2", "-e", "ironbook_shard_map_version=4")
    assert done.returncode == 0, done.stdout
    assert changed(done) == {"engine-0-0": 0, "engine-0-1": 0, "engine-0-2": 0}
