# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of molecule's scenario tuned_host after its roles have run twice, as its own systemd and programs see it."""

from __future__ import annotations

import os
import re
import time
from typing import Any

import pytest

ENGINE = "trading-engine"
BARS = {"tuned from bare, without a boot": 30.0, "unchanged": 15.0}
"""Seconds of the role host_tuning, by the clock."""


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


def test_the_driver_is_built_for_the_kernel_and_has_its_parameter(host: Any) -> None:
    """By DKMS, of a stand-in for Amazon's sources and against Debian's headers; nobody loads it here."""
    assert re.search(r"amzn-drivers/2\.17\.0, .* installed", host.check_output("dkms status"))
    about = host.check_output("modinfo ena")
    assert re.search(r"filename: +/lib/modules/.*/updates/dkms/ena\.ko", about)
    assert re.search(r"version: +2\.17\.0g\n", about) and re.search(r"vermagic: +6\.1\.0-\d+-amd64 ", about)
    parameters = host.file("/etc/modprobe.d/90-ironbook-ena.conf").content_string
    assert "options ena phc_enable=1" in parameters.splitlines()


def test_the_tuning_took_no_longer_than_it_may(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Where more wants to run than the machine has processors, as much longer: by the load of the last minute.

    A neighbour has a quarter more of a processor for each step that we are nicer than it.
    """
    share = (os.cpu_count() or 1) / 1.25 ** os.nice(0)
    notes = [line.split() for line in host.file("/var/tmp/tuning").content_string.splitlines()]
    runs = list(zip(notes[::2], notes[1::2], strict=True))
    assert len(runs) >= 2, notes
    said = {}
    for (what, bar), (begin, end) in zip(BARS.items(), (runs[0], runs[-1]), strict=True):
        load = max(float(begin[1]), float(end[1]))
        said[what] = (
            round(float(end[0]) - float(begin[0]), 1),
            bar * (load / share if load > (os.cpu_count() or 1) else 1.0),
            load,
        )
    with capsys.disabled():
        print("".join(f"\n{what}: {took} s (load {load})" for what, (took, _may, load) in said.items()))
    assert {what: figures for what, figures in said.items() if figures[0] > figures[1]} == {}


def test_what_the_kernel_refused_is_not_said_to_be_done(host: Any) -> None:
    """Its files are read-only there: the state file lists no value of them as changed."""
    state = host.file("/var/lib/ironbook/host_tuning.json")
    assert state.mode == 0o600
    assert '"/proc/sys/vm/' not in state.content_string
