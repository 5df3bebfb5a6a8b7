# SPDX-License-Identifier: GPL-3.0-or-later
"""The real probe on the kernel that runs this test: it sees what the test disturbs, listens where it is told, and ends.

The machine is shared with other tests: so a disturbance here is far larger than they are, and what is quiet is not.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe.compare import compare
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe.measurement import summarize
from integration.delayed_cable import ADDRESSES, delayed_cable
from integration.probe_process import Probe, compile_probe
from local_processes import free_port, wait_for

pytestmark = pytest.mark.integration
CPU = str(max(os.sched_getaffinity(0)))


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """The probe, here."""
    return Probe(compile_probe(tmp_path_factory.mktemp("probe")))


def counted(measured: dict[str, Any], what: str) -> int:
    """How often something was counted on the measured CPU."""
    (causes,) = measured["causes"].values()
    return sum(row["count"] for row in causes["counted"] if row["what"].startswith(what))


# ---- noise ----


def test_a_process_that_wants_the_same_cpu_is_seen_and_named(probe: Probe) -> None:
    """Two spinning processes share a CPU: each has half of it, in slices, and is switched out for the other's."""
    spin = ["taskset", "--cpu-list", CPU, sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(spin) as rival:
        try:
            disturbed = probe.measure("noise", cpus=CPU)
        finally:
            rival.kill()
    (causes,) = disturbed["causes"].values()
    assert min(disturbed["metrics"]["lost_ppm"]["values"]) > 300_000, "it had about half of the CPU"
    assert counted(disturbed, "context switches: involuntary") >= 3 * 20
    # It could have run, and did not: nearly all of what it lost, and it is the scheduler that says so.
    assert causes["waited_ns"] > 0.8 * causes["lost_ns"]


def test_a_process_that_is_stopped_sees_how_long(probe: Probe) -> None:
    """SIGSTOP and SIGCONT, 50 ms apart, ten times in two seconds: ten gaps so long, ten voluntary switches."""
    command = [str(probe.program), "noise", "--seconds", "2", "--cpus", CPU, "--warm-up-ms", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as spinning:
        time.sleep(0.4)  # it gauges its clock first
        for _pause in range(10):
            os.kill(spinning.pid, signal.SIGSTOP)
            time.sleep(0.05)
            os.kill(spinning.pid, signal.SIGCONT)
            time.sleep(0.05)
        said, _nothing = spinning.communicate(timeout=30)
    document = json.loads(said)
    (cpu,) = document["cpus"]
    long = sum(count for upper, count in cpu["histogram"]["buckets"] if upper >= 45_000_000)
    assert long >= 9, cpu["histogram"]["buckets"][-20:]
    assert cpu["attribution"]["voluntary_switches"] >= 9, "who only spins does not sleep: it was stopped"
    assert cpu["histogram"]["max_ns"] >= 50_000_000 and cpu["lost_ns"] >= 450_000_000
    causes = summarize([document] * 3, "noise", {})["causes"][f"cpu{CPU}"]
    assert "context switches: voluntary" in [row["what"] for row in causes["counted"]]


def test_what_it_counts_of_interrupts_is_what_the_kernel_says(probe: Probe) -> None:
    """The timer ticks on a CPU that is busy, at least a hundred times a second on any kernel that has ticks there."""

    def ticks() -> int:
        lines = Path("/proc/interrupts").read_text().splitlines()
        column = lines[0].split().index(f"CPU{CPU}")
        row = next((line for line in lines if line.split()[0] in ("LOC:", "arch_timer")), "")
        return int(row.split()[1 + column]) if row else 0

    before = ticks()
    measured = probe.measure("noise", cpus=CPU)
    after = ticks()
    assert 3 * 90 <= counted(measured, "interrupts: LOC") <= after - before


def test_both_clocks_see_a_rival(probe: Probe) -> None:
    """The kernel's clock is coarser, and its own step is the threshold; but it is no other world."""
    spin = ["taskset", "--cpu-list", CPU, sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(spin) as rival:
        try:
            documents = [
                probe.run("noise", "--seconds", "1", "--cpus", CPU, "--clock", clock) for clock in ("auto", "kernel")
            ]
        finally:
            rival.kill()
    assert documents[1]["clock"]["source"] == "clock_gettime"
    for document in documents:
        (cpu,) = document["cpus"]
        assert cpu["threshold_ns"] == pytest.approx(8 * cpu["step_ns"], rel=0.2)
        assert 300_000_000 < cpu["lost_ns"] < 950_000_000


# ---- wakes ----

RIVAL = """
import time
while True:
    until = time.monotonic() + 0.02
    while time.monotonic() < until:
        pass
    time.sleep(0.02)
"""


def test_a_wake_is_late_where_the_cpu_belongs_to_somebody_else(probe: Probe) -> None:
    """A rival of real-time priority takes the CPU for 20 ms in every 40: half of all wakes are late."""
    if os.geteuid() != 0:
        pytest.skip("a real-time priority needs root")
    spin = ["taskset", "--cpu-list", CPU, "chrt", "--fifo", "10", sys.executable, "-c", RIVAL]
    with subprocess.Popen(spin) as rival:
        try:
            time.sleep(0.3)
            document = probe.run("wake", "--seconds", "3", "--cpus", CPU)
        finally:
            rival.kill()
    timer = document["wakes"]["timer"]["histogram"]
    late = sum(count for upper, count in timer["buckets"] if upper > 5_000_000)
    # Due every millisecond: who sleeps through 20 ms has missed 20 of them, and each counts.
    assert late > 0.2 * timer["count"], (late, timer["count"])
    assert set(document["wakes"]) == {"timer", "eventfd", "futex"}
    assert all(part["histogram"]["count"] > 100 for part in document["wakes"].values())


# ---- round trips ----


def test_messages_that_never_come_back_are_no_good_times(probe: Probe) -> None:
    """A peer that answers the first 100 and no more: by UDP what is lost is counted, by nothing is it forgotten."""
    port = free_port()

    def answering() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            door.bind(("127.0.0.1", port))
            for _message in range(101):  # and the first, which asks whether somebody is there
                packet, sender = door.recvfrom(2048)
                door.sendto(packet, sender)
            ready.wait(20)

    ready = threading.Event()
    thread = threading.Thread(target=answering)
    thread.start()
    words = ["--seconds", "1", "--warm-up-ms", "0", "--timeout-ms", "100", "--interval-us", "5000"]
    began = time.monotonic()
    document = probe.run("pingpong", "--peer", "127.0.0.1", "--port", str(port), *words)
    assert time.monotonic() - began < 6, "it ends by itself, a second after the time that was given"
    ready.set()
    thread.join()
    assert document["histogram"]["count"] == 100 and document["lost"] > 5
    assert document["histogram"]["count"] + document["lost"] + document["unsent"] == 200
    measured = summarize([document] * 3, "pingpong", {})
    assert measured["metrics"]["p99_ns"]["mean"] is None, "half of them never came: no quantile up there is known"


def test_a_stall_counts_for_all_that_was_due_meanwhile(probe: Probe) -> None:
    """An echo that is stopped for 300 ms: at one a millisecond some 300 messages were due in it, and one was sent."""
    port = free_port()
    words = ["serve", "--seconds", "60", "--bind", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen([str(probe.program), *words], stdout=subprocess.DEVNULL) as echo:
        timer = threading.Timer(1.0, lambda: os.kill(echo.pid, signal.SIGSTOP))
        goes_on = threading.Timer(1.3, lambda: os.kill(echo.pid, signal.SIGCONT))
        timer.start()
        goes_on.start()
        document = probe.run("pingpong", "--seconds", "2", "--peer", "127.0.0.1", "--port", str(port))
        timer.join()
        goes_on.join()
        echo.kill()

    def slow(name: str) -> int:
        return sum(count for upper, count in document[name]["buckets"] if upper > 50_000_000)

    assert slow("histogram") >= 200
    assert slow("from_sent") <= 20


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_it_listens_at_one_address_answers_who_knows_how_to_ask_and_ends(probe: Probe, protocol: str) -> None:
    port = free_port()
    words = ["serve", "--seconds", "60", "--idle-seconds", "1", "--bind", "127.0.0.3", "--port", str(port)]
    with subprocess.Popen([str(probe.program), *words], stdout=subprocess.PIPE, text=True) as echo:
        path = Path(f"/proc/net/{protocol}").read_text
        wait_for(lambda: f"0300007F:{port:04X}" in path(), "an echo")
        assert f"00000000:{port:04X}" not in path()
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as stranger:
            stranger.settimeout(0.5)
            stranger.connect(("127.0.0.3", port))
            stranger.send(b"x" * 64)
            with pytest.raises((TimeoutError, ConnectionError)):
                if stranger.recv(64) == b"":
                    raise ConnectionResetError
        document = probe.run(
            "pingpong", "--seconds", "1", "--peer", "127.0.0.3", "--port", str(port), "--protocol", protocol,
            "--busy-poll-us", "50",
        )  # fmt: skip
        began = time.monotonic()
        said, _nothing = echo.communicate(timeout=10)
        assert time.monotonic() - began < 5, "a second after the last message it ends"
    assert document["histogram"]["count"] > 900 and document["lost"] == 0
    assert document["busy_poll"]["asked_us"] == 50 and document["busy_poll"]["has_queue"] is False
    assert '"strange": 1' in said, said


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["noise", "--seconds", "1", "--cpus", "1023"], 2, "this process may not use CPU 1023"),
        (["serve", "--seconds", "1", "--bind", "0.0.0.0", "--port", "7"], 2, "the IPv4 address of one host"),
        (["serve", "--seconds", "1", "--bind", "192.0.2.1", "--port", "7"], 1, "cannot listen at 192.0.2.1 port 7"),
        (["pingpong", "--seconds", "0"], 2, "--seconds 0: a number from 1 to 3600"),
    ],
)
def test_bad_input_is_one_line(probe: Probe, words: list[str], status: int, said: str) -> None:
    line = probe.run(*words, status=status)
    assert said in line and line.count("\n") == 1


def test_who_does_not_answer_is_named_with_the_remedy(probe: Probe) -> None:
    port = str(free_port())
    for protocol in ("udp", "tcp"):
        line = probe.run("pingpong", "--seconds", "1", "--peer", "127.0.0.1", "--port", port, "--protocol", protocol,
                         "--wait-seconds", "0", status=1)  # fmt: skip
        assert f"{protocol.upper()} port {port} (Connection refused): serve has to run there" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="networks of their own need root")
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_cable_of_two_milliseconds_is_in_the_round_trip_and_the_verdict(probe: Probe, protocol: str) -> None:
    """Two hosts with a network each; packets take 2 ms each way: worse. Without: better. Quiet by quiet: the same."""
    port = free_port()
    measured = []
    with delayed_cable() as cable:
        caller, echo = (Probe(probe.program, enter) for enter in cable.enter)
        options = {"peer": ADDRESSES[1], "port": port, "protocol": protocol, "interval_us": 10000}
        for delay_ms in (0.0, 2.0, 0.0):
            with cable.carrying(delay_ms), echo.serving(ADDRESSES[1], port):
                measured.append(caller.measure("pingpong", 1, 4, **options))
    near, far, again = measured
    p50 = [each["metrics"]["p50_ns"]["mean"] for each in measured]
    assert 4.0e6 <= p50[1] <= 5.5e6 and max(p50[0], p50[2]) < 1.5e6, p50
    assert compare(near, far)["metrics"]["p50_ns"]["verdict"] == "worse"
    assert compare(far, again)["metrics"]["p50_ns"]["verdict"] == "better"
    # What is looked for is milliseconds: two quiet ones differ by less than one of them, and that is known.
    assert compare(near, again, relevant=1e6 / p50[0])["metrics"]["p50_ns"]["verdict"] == "no_difference"
    assert far["path"]["local"] == ADDRESSES[0] and far["series"]["round_trip"]["histogram"]["missing"] == 0
