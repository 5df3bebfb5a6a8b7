# SPDX-License-Identifier: GPL-3.0-or-later
"""The local site without a process: its variables, its files and what it refuses."""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ironbook import site_directory, supervision
from ironbook.errors import CommandError
from ironbook.local_site import Site, down, prepare_directory, print_environment, site_from_environment, status, up

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = "0123456789abcdef" * 2
OLD_MARKER = "Made by 'ironbook local up'; 'ironbook local down --remove' removes this directory.\n"


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch):
    """Set the two variables that name a site."""

    def set_both(state: object, port: object = 24000) -> None:
        monkeypatch.setenv("IRONBOOK_STATE", str(state))
        monkeypatch.setenv("IRONBOOK_PORT_BASE", str(port))

    return set_both


@pytest.mark.parametrize("port", ["", "0", "80", "1023", "32767", "65536", "-1", "21000x", "21 000", "²", "١٧٠٠٠"])
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


def test_a_relative_directory_is_made_absolute(variables, monkeypatch) -> None:
    # not in tmp_path, whose length the user's name decides: a socket's path may be 107 bytes long
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.chdir(short)
        variables(".site")
        assert site_from_environment().state == Path(short) / ".site"
        monkeypatch.chdir("/")


def test_only_an_empty_directory_or_one_of_ours_is_taken(tmp_path) -> None:
    site = Site(tmp_path / "s", 24000)
    site.state.mkdir()
    prepare_directory(site)
    prepare_directory(site)
    assert (site.state / "secrets").stat().st_mode & 0o777 == 0o700

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter").touch()
    with pytest.raises(CommandError, match="letter"):
        prepare_directory(Site(foreign, 24000))


def test_what_is_no_directory_is_refused_in_one_line(variables, tmp_path) -> None:
    (tmp_path / "file").write_text("precious")
    variables(tmp_path / "file")
    for command in (up, down):
        with pytest.raises(CommandError, match="not a directory"):
            command(argparse.Namespace(remove=True))
    assert (tmp_path / "file").read_text() == "precious"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    variables(tmp_path / "loop")
    with pytest.raises(CommandError, match=r"IRONBOOK_STATE=.*/loop"):
        site_from_environment()


def test_a_link_to_a_site_is_that_site(variables, tmp_path) -> None:
    site_that_is_up(tmp_path / "s")
    (tmp_path / "link").symlink_to(tmp_path / "s")
    variables(tmp_path / "link")
    assert site_from_environment().state == tmp_path / "s"


def site_that_is_up(state: Path, text: str | None = None) -> None:
    """What `up` leaves of itself: a directory whose marker records the first port."""
    state.mkdir()
    made = site_directory.Marker(state, state.stat().st_ino, IDENTITY, None)
    (state / ".ironbook-site").write_text(made.text(24000) if text is None else text)


def marker_text(path: object, inode: int, identity: str = IDENTITY) -> str:
    return site_directory.Marker(Path(str(path)), inode, identity, None).text(24000)


FORGED = [
    "",
    "IRONBOOK_STATE={state}\n",
    "\xff\n",
    "IRONBOOK_PORT_BASE=24000\n",
    f"IRONBOOK_SITE={IDENTITY}\n",
    marker_text("/elsewhere", 1),
]


@pytest.mark.parametrize("text", FORGED)
def test_a_marker_that_up_did_not_write_there_makes_no_directory_ours(variables, tmp_path, text) -> None:
    """Neither an empty one, nor one that was copied from another site: nothing is touched."""
    state = tmp_path / "s"
    text = text.format(state=state)
    site_that_is_up(state, text)
    (state / "log").mkdir()
    (state / "log" / "years").write_text("of work")
    variables(state)
    for command in (up, down):
        with pytest.raises(CommandError, match=re.escape(str(state))) as refused:
            command(argparse.Namespace(remove=True))
        assert "\n" not in str(refused.value)
    assert (state / "log" / "years").read_text() == "of work"
    assert (state / ".ironbook-site").read_text() == text


@pytest.mark.parametrize("entry", ["thesis.tex", "ansible.cfg", "settlement-x.json", ".git"])
def test_remove_names_what_is_not_the_sites_and_touches_nothing(variables, tmp_path, entry) -> None:
    state = tmp_path / "s"
    site_that_is_up(state)
    (state / "log").mkdir()
    (state / entry).write_text("years of work")
    variables(state)
    before = (state / ".ironbook-site").read_text()
    with pytest.raises(CommandError, match=rf"holds '{re.escape(entry)}', which no site makes"):
        down(argparse.Namespace(remove=True))
    assert sorted(path.name for path in state.iterdir()) == sorted([".ironbook-site", "log", entry])
    assert (state / ".ironbook-site").read_text() == before
    (state / entry).unlink()
    assert down(argparse.Namespace(remove=True)) == 0
    assert not state.exists()


def test_remove_follows_no_link_out_of_the_directory(variables, tmp_path) -> None:
    site_that_is_up(tmp_path / "s")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    (tmp_path / "s" / "trade").symlink_to(tmp_path / "mine")
    variables(tmp_path / "s")
    assert down(argparse.Namespace(remove=True)) == 0
    assert (tmp_path / "mine" / "letter").exists()


def test_remove_knows_all_that_the_roles_and_services_make(variables, tmp_path) -> None:
    """Every name that stands behind ironbook_state_directory in our roles, and the files of settlement."""
    text = "".join(path.read_text() for path in ROOT.glob("roles/*/*/*.yml"))
    names = set(re.findall(r"ironbook_state_directory(?: ~ '| \}\})/([\w.-]+)", text))
    assert {"secrets", "hosts", "build", "install", "trade", "run", "reports"} <= names
    for name in names | {"settlement-0.json", "postgres", "publisher", "supervisor.d", "supervisord.conf", "ansible"}:
        (tmp_path / name).touch()
    assert site_directory.foreign(tmp_path) == []


def test_a_directory_that_was_moved_is_told_from_one_that_was_copied(variables, tmp_path) -> None:
    """Moved: refused, with both paths, until it is ended.  Copied: not ours.  Moved back: as if nothing had been."""
    old, new = tmp_path / "old", tmp_path / "new"
    site_that_is_up(old)
    shutil.copytree(old, tmp_path / "copy")
    old.rename(new)
    variables(new)
    for command in (up, status, print_environment):
        with pytest.raises(CommandError, match=rf"{new} was made as {old}, and moved since: move it back"):
            command(argparse.Namespace())
    variables(tmp_path / "copy")
    with pytest.raises(CommandError, match=r"where it is a copy, remove it yourself"):
        down(argparse.Namespace(remove=True))
    new.rename(old)
    variables(old)
    assert site_from_environment().port_base == 24000
    old.rename(new)
    variables(new)
    assert down(argparse.Namespace(remove=True)) == 0
    assert not new.exists()


def test_a_site_that_was_restored_from_a_backup_is_still_one(variables, tmp_path) -> None:
    """It has its path and another inode; the next `up` records that."""
    state = tmp_path / "s"
    site_that_is_up(state, marker_text(state, 1))
    variables(state)
    assert site_from_environment().port_base == 24000
    assert prepare_directory(Site(state, 24000)).inode == state.stat().st_ino
    marker = site_directory.read_marker(state)
    assert marker is not None
    assert (marker.identity, marker.inode, marker.port_base) == (IDENTITY, state.stat().st_ino, 24000)


def test_a_site_of_an_older_version_is_taken_over(variables, tmp_path) -> None:
    state = tmp_path / "s"
    site_that_is_up(state, OLD_MARKER + "IRONBOOK_PORT_BASE=24000\n")
    variables(state)
    assert site_from_environment().port_base == 24000
    assert re.fullmatch("[0-9a-f]{32}", prepare_directory(Site(state, 24000)).identity)
    assert site_from_environment().port_base == 24000


def test_a_first_up_that_was_killed_leaves_an_empty_directory(tmp_path) -> None:
    (tmp_path / "..ironbook-site.4711").touch()
    assert prepare_directory(Site(tmp_path, 24000)).path == tmp_path


def test_whoever_waits_for_a_directory_that_is_removed_begins_anew(tmp_path) -> None:
    """The lock is that of the directory itself, and is held until it is gone; the second makes a new one."""
    state = tmp_path / "s"
    script = (
        "import sys, pathlib; from ironbook.site_directory import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), make=True): print(pathlib.Path(sys.argv[1]).stat().st_ino, flush=True)"
    )
    with site_directory.locked(state, make=True):
        other = subprocess.Popen([sys.executable, "-c", script, str(state)], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=1)
        assert site_directory.remove(state) == f"{state} removed"
    said, _ = other.communicate(timeout=20)
    assert int(said) == state.stat().st_ino
    with site_directory.locked(tmp_path / "none", make=False) as exists:
        assert not exists


def test_one_make_site_at_a_time(tmp_path) -> None:
    """The second is refused in one line that names the first; a lock whose holder is gone refuses nobody."""
    site_directory.require_no_run(tmp_path)
    held = site_directory.hold_for_run(tmp_path)
    line = rf"another make site is running on this state directory, {tmp_path} \(pid {os.getpid()}\): wait"
    for taking in (site_directory.require_no_run, site_directory.hold_for_run):
        with pytest.raises(CommandError, match=line):
            taking(tmp_path)
    os.close(held)
    site_directory.require_no_run(tmp_path)
    os.close(site_directory.hold_for_run(tmp_path))


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


@pytest.mark.parametrize("text", ["", "IRONBOOK_PORT_BASE=x\n", "IRONBOOK_PORT_BASE=٢٤٠٠٠\n"])
def test_a_marker_that_records_no_port_goes_by_the_variable(variables, tmp_path, text) -> None:
    """As that of a site that is down: the next `up` records it."""
    site_that_is_up(tmp_path / "s", OLD_MARKER + text)
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
    """A playbook makes its home where the site is not up; with a file of anybody's in it the directory is his."""
    (tmp_path / "s" / "ansible" / "tmp").mkdir(parents=True)
    (tmp_path / "theirs" / "ansible").mkdir(parents=True)
    (tmp_path / "theirs" / "ansible" / "site.yml").write_text("precious")
    prepare_directory(Site(tmp_path / "s", 24000))
    with pytest.raises(CommandError, match=r"holds 'ansible/site\.yml'"):
        prepare_directory(Site(tmp_path / "theirs", 24000))


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
