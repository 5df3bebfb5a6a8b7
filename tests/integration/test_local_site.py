# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook local up|down|status|env` with real processes: whatever is killed, it comes back and goes away whole."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_processes import IRONBOOK, ROOT, SITE_PORTS, LocalSite, free_port, is_free, local_site, wait_for

pytestmark = pytest.mark.integration

USERS = ["root", "ordinary user"] if os.geteuid() == 0 else ["ordinary user"]


@pytest.fixture(scope="module")
def ordinary_user() -> Iterator[tuple[str, ...]]:
    """Words before a command that make an ordinary user of whoever runs the tests.

    For root that is one user namespace, in which root's files belong to user 1000 and nobody is root.
    """
    if os.geteuid() != 0:
        yield ()
        return
    # `cat` of our pipe: it ends with us, whatever ends us.
    command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", "cat"]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        wait_for(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "cat\n", "a user namespace")
        yield ("nsenter", "--target", str(holder.pid), "--user", "--preserve-credentials", "--")
    finally:
        holder.kill()
        holder.communicate()


@pytest.fixture(params=USERS)
def site(request, ordinary_user) -> Iterator[LocalSite]:
    """A site of this test's own: as root, where root runs the tests, and as an ordinary user."""
    with local_site(wrapper=ordinary_user if request.param == "ordinary user" else ()) as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalSite]:
    """One site for the tests that leave it as they found it."""
    with local_site() as running:
        yield running


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_running, pids)), f"the end of {pids}")


def test_up_again_changes_nothing_and_down_leaves_nothing(site) -> None:
    before = {name: site.pid(name) for name in ("supervisord", "emulator", "postgres")}
    files = {path: path.stat().st_mtime_ns for path in [*site.state.glob("*.conf"), *site.state.glob("*.d/*")]}

    again = site.local("up")
    assert again.returncode == 0
    assert again.stdout.count("\n") == 1
    assert {name: site.pid(name) for name in before} == before
    assert {path: path.stat().st_mtime_ns for path in files} == files

    shown = site.local("status")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[-1].startswith("local site: up")

    assert site.local("down", "--remove").returncode == 0
    assert site.processes() == []
    assert is_free(site.port) and is_free(site.port + 1)
    assert not site.state.exists()
    assert site.local("status").returncode == 1


def test_secrets_are_the_owners_alone(shared) -> None:
    site = shared
    open_to_others = [
        path
        for path in (site.state, *site.state.glob("secrets/*"), *site.state.glob("run/*"), *site.state.glob("*.conf"))
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


def test_nothing_listens_beyond_the_loopback(shared) -> None:
    """Every listening socket of the machine on our ports is bound to 127.0.0.1 (0100007F), and none is IPv6."""
    site = shared
    addresses = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            if state == "0A" and int(port, 16) in (site.port, site.port + 1):
                addresses.setdefault(int(port, 16), []).append(address)
    assert addresses == {site.port: ["0100007F"], site.port + 1: ["0100007F"]}


def test_an_emulator_that_was_killed_comes_back(shared) -> None:
    site = shared
    old = site.pid("emulator")
    kill(old)
    site.up()
    assert site.pid("emulator") != old


def test_after_kill_9_of_supervisord_up_takes_the_orphans_place(site) -> None:
    orphans = [site.pid("emulator"), site.pid("postgres")]
    kill(site.pid("supervisord"))
    assert all(map(is_running, orphans))
    assert site.local("status").returncode == 1
    site.up()
    assert not any(map(is_running, orphans))


def test_after_kill_9_of_supervisord_down_ends_the_orphans(site) -> None:
    kill(site.pid("supervisord"))
    assert site.local("down").returncode == 0
    assert site.processes() == []
    assert is_free(site.port) and is_free(site.port + 1)


def test_after_kill_9_of_everything_up_recovers(site) -> None:
    kill(*(site.pid(name) for name in ("supervisord", "postgres", "emulator")))
    site.up()


def test_two_sites_live_side_by_side() -> None:
    with local_site() as first, local_site() as second:
        assert first.port != second.port
        second_pids = [second.pid(name) for name in ("supervisord", "emulator", "postgres")]
        assert first.local("down", "--remove").returncode == 0
        assert all(map(is_running, second_pids))
        assert second.local("status").returncode == 0


def test_a_site_keeps_its_ports_and_is_ended_whatever_they_are(shared) -> None:
    """Another IRONBOOK_PORT_BASE is refused; none means the site's own; `down` asks for none, and spares a stranger."""
    site = shared
    before = {name: site.pid(name) for name in ("supervisord", "emulator", "postgres")}
    moved, unset = LocalSite(site.state, site.port + 10), LocalSite(site.state, 0)
    for command in ("up", "status", "env"):
        done = moved.local(command)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert str(moved.port) in done.stderr and str(site.port) in done.stderr
        assert unset.local(command).returncode == 0
    assert {name: site.pid(name) for name in before} == before

    kill(before["supervisord"], before["emulator"])
    wait_for(lambda: is_free(site.port), "the emulator's last thread")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", site.port))
        stranger.listen()
        assert moved.local("down").returncode == 0
        assert site.processes() == []
        assert moved.local("up").returncode == 0, "a site that is down may come up on other ports"
        assert moved.local("down").returncode == 0
    site.up()


@pytest.mark.parametrize("offset", [0, 1, 4, 100, 102])
def test_a_port_in_use_is_refused_in_one_line(offset) -> None:
    with local_site(up=False) as site, socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        foreign.bind(("127.0.0.1", site.port + offset))
        foreign.listen()
        done = site.local("up")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert f"port {site.port + offset} " in done.stderr
        assert f"process {os.getpid()} (" in done.stderr, "whose it is"
        assert "IRONBOOK_PORT_BASE" in done.stderr
        assert site.processes() == []


def test_a_port_that_is_taken_while_the_site_runs_is_refused_too(shared) -> None:
    shared.supervisorctl("stop", "emulator")
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        foreign.bind(("127.0.0.1", shared.port))
        foreign.listen()
        done = shared.local("up")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {shared.port}" in done.stderr
    shared.up()


def test_the_port_of_the_sites_own_engine_is_no_strangers(shared) -> None:
    """What the site's supervisord runs may listen there; `up` beside it is what every second `make site` is."""
    listen = f"import socket, time; s = socket.create_server(('127.0.0.1', {shared.port + 100})); time.sleep(600)"
    with supervised(shared, "own", f"{sys.executable} -c {shlex.quote(listen)}"):
        wait_for(lambda: not is_free(shared.port + 100), "the site's own program")
        shared.up()


def test_nobody_waits_for_an_engine_that_was_given_up(shared) -> None:
    with supervised(shared, "fails", "/bin/false"):
        wait_for(lambda: "FATAL" in shared.supervisorctl("status", "fails"), "supervisord gives up")
        site = ["--supervisor", str(shared.state), "--service", "fails"]
        command = [*IRONBOOK, "engine-ready", "--socket", str(shared.state / "none"), "--seconds", "60", *site]
        begin = time.monotonic()
        done = subprocess.run(
            command, env=shared.environment(), capture_output=True, text=True, check=False, timeout=90
        )
        assert time.monotonic() - begin < 30
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "no engine serves after 0" in done.stderr


@contextlib.contextmanager
def supervised(site: LocalSite, name: str, command: str) -> Iterator[None]:
    """Have the site's supervisord run one more program."""
    definition = site.state / "supervisor.d" / f"{name}.conf"
    definition.write_text(f"[program:{name}]\ncommand = {command}\n")
    try:
        site.supervisorctl("update", name)
        yield
    finally:
        definition.unlink()
        site.supervisorctl("update", name)


def test_a_server_that_cannot_start_is_named_with_its_log(shared) -> None:
    """Its data directory is not one: PostgreSQL gives up at once, and `up` says so long before its deadline."""
    shared.supervisorctl("stop", "postgres")
    version = shared.state / "postgres" / "PG_VERSION"
    good = version.read_text()
    version.write_text("9.3\n")
    try:
        begin = time.monotonic()
        done = shared.local("up")
        assert time.monotonic() - begin < 50
    finally:
        version.write_text(good)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(shared.state / "log" / "postgres.log") in done.stderr and "'make clean-site'" in done.stderr
    shared.up()


def test_somebody_elses_directory_is_refused_and_kept(tmp_path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    site = LocalSite(tmp_path, free_port(SITE_PORTS))
    for arguments in (["up"], ["down", "--remove"]):
        done = site.local(*arguments)
        assert done.returncode == 1, arguments
        assert str(tmp_path) in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_playbook_directory_called_ansible_is_somebody_elses(tmp_path) -> None:
    """Nothing in it but `ansible`, as in many a project: `up` refuses it, and nobody removes it afterwards."""
    playbook = tmp_path / "ansible" / "site.yml"
    playbook.parent.mkdir()
    playbook.write_text("precious")
    site = LocalSite(tmp_path, free_port(SITE_PORTS))
    for arguments in (["up"], ["down", "--remove"]):
        done = site.local(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), arguments
    assert playbook.read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["ansible"]


def test_what_the_user_keeps_beside_the_site_is_named_and_kept(shared) -> None:
    """The refusal ends no process."""
    (shared.state / "notes.txt").write_text("years of work")
    try:
        done = shared.local("down", "--remove")
    finally:
        (shared.state / "notes.txt").unlink()
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "'notes.txt'" in done.stderr
    assert shared.local("status").returncode == 0


def test_a_link_to_the_directory_is_as_good_as_its_path(site) -> None:
    """Both ways of naming it end the same processes, and the link itself stays."""
    link = LocalSite(site.state.parent / "link", site.port, site.wrapper)
    link.state.symlink_to(site.state)
    assert link.local("up").returncode == 0
    assert f"IRONBOOK_STATE={site.state}\n" in link.local("env").stdout
    done = link.local("down")
    assert (done.returncode, done.stderr) == (0, "")
    assert site.processes() == []
    site.up()
    done = link.local("down", "--remove")
    assert (done.returncode, done.stderr) == (0, "")
    assert site.processes() == []
    assert not site.state.exists() and link.state.is_symlink()
    assert is_free(site.port) and is_free(site.port + 1)


def test_a_site_whose_directory_was_moved_is_ended_whole(site) -> None:
    """None of its processes is left; and a new site at the old path is not touched."""
    first = [site.pid(name) for name in ("supervisord", "emulator", "postgres")]
    moved = LocalSite(site.state.parent / "moved", 0, site.wrapper)
    site.state.rename(moved.state)
    for command in ("up", "status", "env"):
        done = moved.local(command)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), command
        assert str(site.state) in done.stderr and str(moved.state) in done.stderr
    done = moved.local("down")
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(map(is_running, first))

    site.up()
    second = [site.pid(name) for name in ("supervisord", "emulator", "postgres")]
    assert moved.local("down", "--remove").returncode == 0
    assert not moved.state.exists()
    assert all(map(is_running, second))


def test_a_copy_of_a_site_ends_nothing_and_is_not_removed(shared) -> None:
    copy = LocalSite(shared.state.parent / "copy", 0)
    copy.state.mkdir()
    (copy.state / ".ironbook-site").write_bytes((shared.state / ".ironbook-site").read_bytes())
    for arguments in (["up"], ["down"], ["down", "--remove"]):
        done = copy.local(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), arguments
    assert copy.state.exists()
    assert shared.local("status").returncode == 0


def start(site: LocalSite, *arguments: str) -> subprocess.Popen[str]:
    """Start `ironbook local ...` and go on."""
    command = [*site.wrapper, *IRONBOOK, "local", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=site.environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_up_beside_down_waits_for_it_or_is_waited_for() -> None:
    """Whoever is first: each succeeds, and what is there afterwards is whole."""
    with local_site() as site:
        for first, second in ((["down", "--remove"], ["up"]), (["up"], ["down", "--remove"])):
            beside = [start(site, *first), start(site, *second)]
            said = [process.communicate(timeout=120) for process in beside]
            assert [process.returncode for process in beside] == [0, 0], said
            assert site.local("status").returncode == (0 if site.state.exists() else 1)
            site.up()


@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.8, 3.0])
def test_an_interrupted_up_says_so_in_one_line_and_the_next_recovers(seconds) -> None:
    """^C goes to all of the terminal's foreground processes, here to the process group."""
    with local_site(up=False) as site:
        command = [*IRONBOOK, "local", "up"]
        process = subprocess.Popen(command, env=site.environment(), stdout=-1, stderr=-1, text=True, process_group=0)
        wait_for((site.state / ".ironbook-site").exists, "the marker")
        time.sleep(seconds - 0.4)
        os.killpg(process.pid, signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
        if process.returncode != 0:
            assert (process.returncode, complaint) == (130, "ironbook: interrupted\n")
        else:
            assert seconds > 1, "nothing is up so soon"
        site.up()


def test_one_make_site_at_a_time_and_none_is_removed_under_its_feet(shared) -> None:
    """`make site` is `local run`: a second one is refused at once, and so is `down --remove`; `up` may repair."""
    first = start(shared, "run", "cat")
    try:
        wait_for(lambda: (Path(f"/proc/{first.pid}/comm").read_text()) == "cat\n", "the command")
        for arguments in (["run", "true"], ["down", "--remove"]):
            begin = time.monotonic()
            done = shared.local(*arguments)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), arguments
            line = f"another make site is running on this state directory, {shared.state} (pid {first.pid})"
            assert line in done.stderr
            assert time.monotonic() - begin < 10
        shared.up()
    finally:
        said, complaint = first.communicate("traded\n", timeout=20)
    assert (first.returncode, said.splitlines()[1:], complaint) == (0, ["traded"], "")
    done = shared.local("run", "env")
    assert set(shared.local("env").stdout.splitlines()) <= set(done.stdout.splitlines())
    refused = shared.local("run", "/nonexistent").stderr
    assert refused == "ironbook: /nonexistent cannot be run: No such file or directory\n"
    makefile = (ROOT / "Makefile").read_text()
    assert "$(BIN)/ironbook local run $(BIN)/ansible-playbook -i inventories/local ironbook.trading.site" in makefile


def test_a_site_whose_test_was_killed_is_put_away(tmp_path) -> None:
    """A timeout of pytest's, or an impatient user: no supervisord stays, and no directory."""
    script = (
        "import time; from local_processes import local_site\n"
        "with local_site() as site: print(site.pid('supervisord'), site.state, flush=True); time.sleep(300)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment |= {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'services'}"}
    environment |= {"IRONBOOK_TEST_PORTS": str(free_port(SITE_PORTS))}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        pid, state = process.stdout.readline().split()
        assert is_running(int(pid))
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not is_running(int(pid)), "the end of its supervisord")
    wait_for(lambda: not Path(state).parent.exists(), "the end of its directory")


def test_down_where_nothing_is_succeeds(tmp_path) -> None:
    done = LocalSite(tmp_path / "none", free_port(SITE_PORTS)).local("down", "--remove")
    assert (done.returncode, done.stderr) == (0, "")


def test_env_is_what_every_process_of_the_site_gets(shared) -> None:
    site = shared
    printed = dict(line.split("=", 1) for line in site.local("env").stdout.splitlines())
    assert printed["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{site.port}"
    assert printed["IRONBOOK_STATE"] == str(site.state)
    running = (Path("/proc") / str(site.pid("emulator")) / "environ").read_bytes().split(b"\0")
    for name, value in printed.items():
        assert f"{name}={value}".encode() in running
    with urllib.request.urlopen(f"{printed['AWS_ENDPOINT_URL']}/ironbook/health", timeout=5) as answer:
        assert answer.status == 200
