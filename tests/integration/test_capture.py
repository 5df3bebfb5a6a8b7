# SPDX-License-Identifier: GPL-3.0-or-later
"""Wireshark's dissector, which no one here wrote, reads a whole session of order entry."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest
from integration.engine_process import Client, Engine, cancel, enter, packet, replace
from integration.recorded_capture import Recorder

pytestmark = pytest.mark.integration


class LoopbackCapture:
    """tshark on the loopback interface, as root."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self.port, self.file = engine.port, file

    def __enter__(self) -> Self:
        command = ["tshark", "-i", "lo", "-f", f"tcp port {self.port}", "-w", str(self.file)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"Capturing on" in line:
                break
        time.sleep(1)  # tshark says so a moment before its dumpcap has opened the interface
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(1)
        self._process.terminate()
        self._process.wait(20)


class RecordedCapture:
    """What went through a relay, for whoever may not capture."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self._recorder, self._file = Recorder(engine.port), file
        self.port = self._recorder.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.write(self._file)
        self._recorder.__exit__()


def _log_in(port: int, username: str) -> Client:
    client = Client(port)
    assert client.login(username)[:1] == b"A"
    return client


def _whole_session(engine: Engine, port: int) -> int:
    """Every packet and message that order entry knows, through `port`; returns how many reports there were."""
    maker, taker = _log_in(port, "MAKER1"), _log_in(port, "TAKER1")
    for ref in range(1, 51):
        maker.send(enter(ref, "S", 10, 1_000_000 + ref))
    maker.send(replace(49, 51, 20, 1_000_200))
    maker.report("U")
    taker.send(enter(1, "B", 200, 1_000_100) + enter(2, "B", 1, 0))
    taker.report("J")
    maker.send(cancel(50) + packet(b"R") + packet(b"+", b"a line for the log"))
    maker.report("C")
    assert maker.next_user_ref() == 52
    while maker.packet() != b"H":  # a heartbeat, too
        pass
    wrong = Client(port)
    assert wrong.login("MAKER1", password="wrong") == b"JA"
    engine.admin("end_of_day")
    assert list(maker.packets())[-1] == b"Z"
    assert list(taker.packets())[-1] == b"Z"
    return len(maker.sequenced) + len(taker.sequenced)


@pytest.mark.parametrize(
    "capture",
    [
        pytest.param(LoopbackCapture, marks=pytest.mark.skipif(os.geteuid() != 0, reason="a capture on lo needs root")),
        RecordedCapture,
    ],
)
def test_tshark_finds_no_malformed_frame(
    engine: Engine, tmp_path: Path, capture: type[LoopbackCapture] | type[RecordedCapture]
) -> None:
    """A whole session, from login to End of Session, as Wireshark reads it."""
    file = tmp_path / "session.pcap"
    with capture(engine, file) as running:
        port = running.port
        reports = _whole_session(engine, port)

    def decode(path: Path, *arguments: str) -> str:
        command = ["tshark", "-r", str(path), "-d", f"tcp.port=={port},soupbintcp", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    types = re.findall(r"'(.)'", decode(file, "-T", "fields", "-e", "soupbintcp.packet_type"))
    assert set("LAJUSHRZ+") <= set(types), f"tshark saw only packets of types {sorted(set(types))}"
    assert types.count("S") == reports
    assert decode(file, "-Y", "_ws.malformed || _ws.expert.severity == error") == ""

    # Negative control: one length field broken in the capture is seen.
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(file.read_bytes().replace(b"\x00\x1fA", b"\x00\x05A", 1))
    assert decode(broken, "-Y", "_ws.malformed") != ""
