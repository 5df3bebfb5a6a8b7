# SPDX-License-Identifier: GPL-3.0-or-later
"""The local site without a process: its variables, its files and what it refuses."""

from __future__ import annotations

import argparse
import configparser
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ironbook import supervision
from ironbook.errors import CommandError
from ironbook.local_site import Site, down, prepare_directory, print_environment, site_from_environment, status, up


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch):
    """Set the two variables that name a site."""

    def set_both(state: object, port: object = 24000) -> None:
        monkeypatch.setenv("IRONBOOK_STATE", str(state))
        monkeypatch.setenv("IRONBOOK_PORT_BASE", str(port))

    return set_both


@pytest.mark.parametrize("port", ["", "0", "80", "1023", "32767", "65536", "-1", "21000x", "21 000", "²"])
def test_a_port_base_that_cannot_work_is_refused(variables, port) -> None:
    variables("/tmp/site", port)
    if port == "":
        assert site_from_environment().port_base == 21000
    else:
        with pytest.raises(CommandError, match="IRONBOOK_PORT_BASE"):
            site_from_environment()


def test_a_directory_too_deep_for_unix_sockets_is_refused(variables) -> None:
    """The longest socket below it is run/supervisor.sock.<pid>, of 28 bytes with its slash; 107 bytes are allowed."""
    fits = "/" + "x" * (107 - 28 - 1)
    variables(fits)
    assert str(site_from_environment().state) == fits
    variables(fits + "x")
    with pytest.raises(CommandError, match=r"has 108 bytes.*IRONBOOK_STATE"):
        site_from_environment()
    variables("/" + "é" * 40)  # 80 bytes, though only 40 characters
    with pytest.raises(CommandError, match="IRONBOOK_STATE"):
        site_from_environment()


@pytest.mark.parametrize("path", ["/tmp/50%", "/tmp/a;b", '/tmp/"quoted"', "/tmp/it's", "/tmp/a\nb"])
def test_a_directory_that_supervisor_would_misread_is_refused(variables, path) -> None:
    variables(path)
    with pytest.raises(CommandError, match="IRONBOOK_STATE"):
        site_from_environment()


def test_a_relative_directory_is_made_absolute(variables, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    variables(".site")
    assert site_from_environment().state == tmp_path / ".site"


def test_only_an_empty_directory_or_one_of_ours_is_taken(tmp_path) -> None:
    site = Site(tmp_path / "s", 24000)
    prepare_directory(site)
    prepare_directory(site)
    assert (site.state / "secrets").stat().st_mode & 0o777 == 0o700

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter").touch()
    with pytest.raises(CommandError, match="letter"):
        prepare_directory(Site(foreign, 24000))

    (tmp_path / "link").symlink_to(site.state)
    with pytest.raises(CommandError, match="not a directory"):
        prepare_directory(Site(tmp_path / "link", 24000))


def site_that_is_up(state: Path, text: str = "Made by us.\nIRONBOOK_PORT_BASE=24000\n") -> None:
    """What `up` leaves of itself: a directory whose marker records the first port."""
    state.mkdir()
    (state / ".ironbook-site").write_text(text)


@pytest.mark.parametrize("command", [up, status, print_environment])
def test_a_port_base_that_is_not_the_sites_is_refused_before_anything_is_touched(variables, tmp_path, command) -> None:
    """One line, with both numbers and both remedies."""
    site_that_is_up(tmp_path / "s")
    variables(tmp_path / "s", 24010)
    with pytest.raises(CommandError, match=r"^IRONBOOK_PORT_BASE=24010, but .*/s uses 24000: set .*=24000 or .* down$"):
        command(argparse.Namespace())
    assert [entry.name for entry in (tmp_path / "s").iterdir()] == [".ironbook-site"]


def test_a_site_that_is_up_needs_no_port_base(variables, monkeypatch, tmp_path) -> None:
    site_that_is_up(tmp_path / "s")
    variables(tmp_path / "s", 24000)
    assert site_from_environment().port_base == 24000
    monkeypatch.setenv("IRONBOOK_PORT_BASE", "")
    assert site_from_environment().port_base == 24000
    monkeypatch.delenv("IRONBOOK_PORT_BASE")
    assert site_from_environment().port_base == 24000


@pytest.mark.parametrize("text", ["", "Made by 'ironbook local up'.\n", "IRONBOOK_PORT_BASE=x\n", "\xff\n"])
def test_a_marker_that_records_nothing_goes_by_the_variable(variables, tmp_path, text) -> None:
    """As those of older versions: the next `up` records it."""
    site_that_is_up(tmp_path / "s", text)
    variables(tmp_path / "s", 24010)
    assert site_from_environment().port_base == 24010


def test_down_goes_by_the_directory_alone(variables, tmp_path) -> None:
    """Whatever IRONBOOK_PORT_BASE says; afterwards the site may come up on other ports."""
    site_that_is_up(tmp_path / "s")
    variables(tmp_path / "s", 24010)
    assert down(argparse.Namespace(remove=False)) == 0
    assert site_from_environment().port_base == 24010
    assert down(argparse.Namespace(remove=True)) == 0
    assert not (tmp_path / "s").exists()


def test_ansible_may_have_been_there_first(tmp_path) -> None:
    (tmp_path / "s" / "ansible" / "tmp").mkdir(parents=True)
    prepare_directory(Site(tmp_path / "s", 24000))


def test_a_program_is_written_as_supervisor_reads_it(tmp_path) -> None:
    command = ("/opt/a b/python", "-m", "x", "100%", "it's")
    text = supervision.program_section(supervision.Program("one", command), tmp_path)
    read = configparser.RawConfigParser()
    read.read_string(text)
    section = read["program:one"]
    assert tuple(shlex.split(section["command"].replace("%%", "%"))) == command
    assert section["stdout_logfile"] == str(tmp_path / "one.log")


def test_the_environment_reaches_no_real_account(tmp_path) -> None:
    environment = Site(tmp_path, 24000).environment()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:24000"
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    assert "AWS_PROFILE" not in environment


def sleeper(**variables: str) -> subprocess.Popen[bytes]:
    """Start a process that ignores SIGTERM, with these variables in its environment, and wait until it does."""
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ | variables)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_only_children_of_this_sites_supervisord_are_ended(tmp_path) -> None:
    """Ended although they ignore SIGTERM; a neighbour whose directory has the same beginning is left alone."""
    ours = sleeper(SUPERVISOR_SERVER_URL=supervision.server_url(tmp_path))
    neighbour = sleeper(SUPERVISOR_SERVER_URL=supervision.server_url(Path(f"{tmp_path}x")))
    unrelated = sleeper(IRONBOOK_STATE=str(tmp_path))
    try:

        def living() -> list[int]:
            ours.poll()  # a zombie has no environment any more, but do not rely on it
            return supervision.children_of(tmp_path)

        assert living() == [ours.pid]
        assert supervision.end(living, signal.SIGTERM, 0.2) == []
        assert ours.wait(timeout=5) == -signal.SIGKILL
        assert neighbour.poll() is None
        assert unrelated.poll() is None
    finally:
        for process in (ours, neighbour, unrelated):
            process.kill()
            process.communicate()


def test_a_process_that_is_no_longer_seen_is_still_waited_for() -> None:
    """As one of several threads, the first of which is gone: /proc has no environment of it, and it has its ports."""
    process = sleeper()
    try:
        seen = iter([[process.pid], [process.pid]])
        assert supervision.end(lambda: next(seen, []), signal.SIGTERM, 0.2) == []
        assert process.poll() == -signal.SIGKILL, "it ignores SIGTERM, so only SIGKILL ended it"
    finally:
        process.kill()
        process.communicate()
