# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of molecule's scenario tuned_host after its roles have run twice, as its own systemd and programs see it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

ENGINE = "trading-engine"


def shown(host: Any, unit: str, name: str) -> str:
    """Return a property of a unit."""
    return str(host.check_output("systemctl show --value --property=%s %s", name, unit))


@pytest.mark.feature("HFT-11", by="G", part="Debian's packages of the two modules, not pip's")
def test_the_bare_host_has_what_a_host_of_the_venue_needs(host: Any) -> None:
    """The modules are imported by the service's own Python, and psql asks a real server."""
    assert host.run("/opt/trading_engine/bin/python3 -c 'import boto3, psycopg2'").rc == 0
    assert host.check_output("runuser -u postgres -- psql -At -c 'SELECT 6 * 7' trading") == "42"
    for package in ("python3", "python3-pip", "postgresql-client"):
        assert host.package(package).is_installed, package


@pytest.mark.feature("HFT-12", by="G", part="killed and started again; a boot is not in it")
def test_its_first_service_connects_and_comes_back_when_it_is_killed(host: Any) -> None:
    """Started at each boot, a real connection in the journal, and another process after a kill."""
    service = host.service(ENGINE)
    assert service.is_enabled
    assert service.is_running
    before = shown(host, ENGINE, "MainPID")
    host.check_output("systemctl kill --signal=KILL %s", ENGINE)
    end = time.monotonic() + 20
    while (now := shown(host, ENGINE, "MainPID")) in ("0", before):
        assert time.monotonic() < end, "it was not started again"
        time.sleep(0.2)
    said = f"journalctl --unit={ENGINE} _PID={now} --output=cat"
    while not re.search(r"connected to the database trading of PostgreSQL 1\d", host.check_output(said)):
        assert time.monotonic() < end, host.check_output(said)
        time.sleep(0.2)


def test_the_engines_service_alone_has_its_limits(host: Any) -> None:
    """By a drop-in that systemd has read; what the container's kernel gives is another matter."""
    assert shown(host, ENGINE, "LimitMEMLOCK") == "infinity"
    assert shown(host, ENGINE, "LimitRTPRIO") == "99"
    assert shown(host, ENGINE, "LimitNOFILE") == "1048576"
    assert shown(host, "chrony", "LimitRTPRIO") != "99"


def test_chrony_asks_the_clock_beside_the_instance(host: Any) -> None:
    """chronyd runs, and it is chronyd that says whom it asks."""
    assert host.service("chrony").is_running
    assert host.service("chrony").is_enabled
    assert re.search(r"\^\S?\s+169\.254\.169\.123\s", host.check_output("chronyc -n sources"))


def test_the_unit_that_sets_pins_again_is_one_that_systemd_takes(host: Any) -> None:
    """The program runs under the host's own Python, and ends by itself where nothing is listed for an interface."""
    verified = host.run("systemd-analyze verify ironbook-reapply@eth0.service")
    assert "ironbook-reapply" not in verified.stderr
    assert host.run("/usr/bin/python3 /usr/local/lib/ironbook/reapply.py lo").rc == 0
    rule = host.file("/etc/udev/rules.d/90-ironbook.rules").content_string
    assert 'ENV{SYSTEMD_WANTS}+="ironbook-reapply@$name.service"' in rule


def test_timers_that_wake_up_are_out_of_the_way(host: Any) -> None:
    """Masked, so that nothing starts them again."""
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer"):
        assert shown(host, unit, "LoadState") == "masked", unit
        assert shown(host, unit, "ActiveState") != "active", unit


def test_the_next_boot_sets_what_the_catalogue_wants(host: Any) -> None:
    """systemd's own reading of all its files has our lines, and ours are the last word on them."""
    ours = host.file("/etc/sysctl.d/90-ironbook.conf").content_string
    lines = [line for line in ours.splitlines() if "=" in line and not line.startswith("#")]
    assert len(lines) >= 15
    words = host.check_output("/usr/lib/systemd/systemd-sysctl --cat-config").splitlines()
    settings = [
        tuple(part.strip() for part in line.split("=", 1)) for line in words if "=" in line and line[0] not in "#;"
    ]
    last = dict(settings)  # the last one of a key counts
    for line in lines:
        key, value = (part.strip() for part in line.split("=", 1))
        assert last[key] == value
    tmpfiles = host.file("/etc/tmpfiles.d/ironbook.conf").content_string
    assert "w /sys/kernel/mm/transparent_hugepage/enabled - - - - never" in tmpfiles
    assert "transparent_hugepage/enabled" in host.check_output("systemd-tmpfiles --cat-config")


def test_the_boot_loaders_files_were_made_once(host: Any) -> None:
    """By all parts together, and not again by the second run; what they pass is what the parts want."""
    assert host.file("/var/log/update-grub").content_string == "made\n"
    line = host.file("/boot/grub/grub.cfg").content_string
    ours = host.file("/etc/default/grub.d/90-ironbook.cfg").content_string
    words = re.findall(r'DEFAULT (\S+)"', ours)
    of_three_parts = {"processor.max_cstate", "transparent_hugepage", "audit"}
    assert {word.partition("=")[0] for word in words} >= of_three_parts, ours
    assert set(words) <= set(line.split())


def test_what_the_kernel_refused_is_not_said_to_be_done(host: Any) -> None:
    """Its files are read-only there: the state file lists no value of them as changed."""
    state = host.file("/var/lib/ironbook/host_tuning.json")
    assert state.mode == 0o600
    assert '"/proc/sys/vm/' not in state.content_string
