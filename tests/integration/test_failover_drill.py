# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill as whoever runs it would: the canary, a mark, a real engine killed and started again, the report."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.drill_commands import Drill
from integration.engine_process import Engine
from ironbook.drills.canary_log import read_log
from ironbook.drills.report import outages
from local_processes import free_port

pytestmark = pytest.mark.integration


class MovingDrill(Drill):
    """Of one engine that comes back at another address."""

    def __init__(self, directory: Path, engine: Engine) -> None:
        self.engine = engine
        self.ports = [engine.port, free_port()]
        super().__init__(directory, self.ports, {"engine-0-0": engine.run / "admin.sock"})


@pytest.fixture
def drill(tmp_path: Path, engine: Engine) -> Iterator[MovingDrill]:
    with MovingDrill(tmp_path, engine) as made:
        yield made


def crash(drill: MovingDrill) -> tuple[int, int]:
    """Kill the engine and have it come back at the other address; the moments between which nobody can serve."""
    drill.done("mark", "--fault", "SIGKILL to engine-0-0")
    drill.engine.kill()
    dead_ns = time.monotonic_ns()
    time.sleep(0.3)
    drill.engine.port = drill.ports[1 - drill.ports.index(drill.engine.port)]
    drill.engine.config["order_entry"]["port"] = drill.engine.port
    started_ns = time.monotonic_ns()
    drill.engine.start()
    return dead_ns, started_ns


@pytest.mark.feature("ENG-15", by="P", part="RTO and RPO of a killed process, as a client measures them")
def test_a_killed_engine_is_measured_and_judged(drill: MovingDrill) -> None:
    drill.start()
    drill.done("wait", "--orders", "30", "--seconds", "20")
    dead_ns, started_ns = crash(drill)
    assert drill.done("wait", "--orders", "30", "--seconds", "20")["accepted"] >= 30
    status, output, errors = drill.stop()
    assert (status, errors) == (0, "")
    sums = json.loads(output)["result"]
    assert sums["sent"] == sums["accepted"] > 60 and sums["rejected"] == 0

    result = drill.report("--journal", str(drill.engine.journal))
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)["result"]
    report = drill.written
    assert said["verdict"] == report["verdict"] == "passed" and report["failures"] == []
    assert 0.3 < report["measured"]["rto_seconds"] < 10
    assert {key: report["measured"][key] for key in ("rpo_seconds", "missing", "doubled", "changed")} == {
        "rpo_seconds": 0.0, "missing": 0, "doubled": 0, "changed": 0,
    }  # fmt: skip
    (outage,) = outages(read_log(drill.log))
    assert outage.fault.at_ns < dead_ns and outage.seconds == report["measured"]["rto_seconds"]
    # A report may still have been in the canary's socket when its sender was dead.
    assert (outage.last_ns or 0) < dead_ns + 0.2e9 and (outage.first_ns or 0) > started_ns
    assert report["orders"]["sent"] == sums["sent"] and report["orders"]["unanswered"] == 0
    assert report["compared_with"]["journal_orders"] == sums["sent"]
    assert report["log_sha256"] == hashlib.sha256(drill.log.read_bytes()).hexdigest()
    said_of = [(one["who"], one["what"]) for one in report["timeline"]]
    assert ("fault", "SIGKILL to engine-0-0") in said_of
    assert ("engine-0-0", "is lost: it does not answer") in said_of
    assert [each["role"] for each in report["members"][0]["roles"]] == ["alone", "gone", "alone"]
    page = (drill.directory / "drill.html").read_text()
    assert "passed" in page and "http" not in page and "<script" not in page

    # Whoever promises less than it took, is told so; the report is there all the same.
    tight = drill.report(rto="0.25")
    assert tight.returncode == 2
    assert tight.stderr.strip() == f"ironbook: drill: process_crash failed: {drill.written['failures'][0]}"
    assert drill.written["verdict"] == "failed"


def test_a_journal_that_has_lost_its_end_is_found(drill: MovingDrill, tmp_path: Path) -> None:
    """The control: acknowledged orders are cut off the journal while the engine is down."""
    drill.start("--seconds", "1.5")
    assert drill.canary is not None
    drill.canary.communicate(timeout=30)
    drill.done("mark", "--fault", "the disk lies")
    drill.engine.kill()
    last = sorted(drill.engine.journal.glob("*.journal"))[-1]
    size = last.stat().st_size
    whole = last.read_bytes().rstrip(b"\0")
    last.write_bytes(whole[: -192 * 40].ljust(size, b"\0"))
    for snapshot in drill.engine.journal.glob("*snapshot*"):
        shutil.rmtree(snapshot) if snapshot.is_dir() else snapshot.unlink()
    drill.engine.start()
    result = drill.report("--journal", str(drill.engine.journal))
    assert result.returncode == 2, result.stderr
    report = drill.written
    assert 15 <= report["measured"]["missing"] <= 40 and report["measured"]["rpo_seconds"] > 0.1
    assert any("acknowledged orders are missing" in line for line in report["failures"])
    assert "is missing: the venue has" in report["differences"][0]
    assert "What is not as it was told" in (drill.directory / "drill.html").read_text()


def test_a_report_is_not_made_beside_its_canary(drill: MovingDrill) -> None:
    drill.start()
    drill.done("wait", "--orders", "5", "--seconds", "20")
    refused = drill.report("--patience", "0.5")
    assert refused.returncode == 1 and not (drill.directory / "drill.json").exists()
    assert "end the canary first, it has the session" in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert drill.stop()[0] == 0, "the report has not thrown it out"


def test_a_canary_that_is_killed_leaves_a_log_that_can_be_read(drill: MovingDrill) -> None:
    drill.start()
    drill.done("wait", "--orders", "20", "--seconds", "20")
    drill.stop(signal.SIGKILL)
    log = read_log(drill.log)
    assert len(log.accepted()) >= 20 and log.ended == "the canary was killed: its log has no end"


def test_the_canary_is_ended_by_its_log_and_nobody_else_is(drill: MovingDrill, tmp_path: Path) -> None:
    """Not who only bears the log's name in its command line; and a log that nobody writes is no error."""
    drill.start()
    drill.done("wait", "--orders", "5", "--seconds", "20")
    assert drill.canary is not None
    named = f"ironbook.cli canary --log {drill.log}"
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", named])
    assert drill.done("end") == {"changed": True}
    assert drill.canary.wait(10) == 0 and read_log(drill.log).ended == "it was asked to end"
    assert drill.done("end") == {"changed": False}
    assert other.poll() is None
    other.kill()
    other.wait()
    drill.log = tmp_path / "never"
    assert drill.done("end") == {"changed": False}


def test_what_cannot_be_done_is_one_line(drill: MovingDrill) -> None:
    nothing = drill.command("mark", "--fault", "x")
    assert (nothing.returncode, nothing.stderr) == (
        1, f"ironbook: {drill.log}: is no canary's log: start `ironbook canary` first\n",
    )  # fmt: skip
    waited = drill.command("wait", "--orders", "1", "--seconds", "0.2")
    assert waited.returncode == 1 and "0 of 1 orders were accepted since the last mark, 0.2 s long" in waited.stderr
    drill.engine.kill()
    drill.start("--patience", "0.5")
    assert drill.canary is not None
    _, errors = drill.canary.communicate(timeout=20)
    assert drill.canary.returncode == 1 and "no primary has served MAKER1 for 0.5 s" in errors
    assert len(errors.splitlines()) == 1 and not drill.log.exists()
    drill.log.write_text("of another canary\n")
    drill.start()
    _, errors = drill.canary.communicate(timeout=20)
    assert "is there already" in errors and len(errors.splitlines()) == 1
