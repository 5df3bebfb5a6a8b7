# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill's report says of a canary's log and of what the venue tells afterwards; nothing is started here."""

from __future__ import annotations

import json
import multiprocessing
import struct
import threading
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.dr_targets import table
from ironbook.canary import state_of
from ironbook.cli import main
from ironbook.drills import html
from ironbook.drills.canary_log import CanaryLog, LogWriter, read_log
from ironbook.drills.report import JournalOrder, Losses, Target, build, failures, losses, outages, rpo_seconds
from ironbook.errors import CommandError

MS = 1_000_000
START = 5_000 * MS
BEGIN = {
    "session": "CANARY",
    "symbol": "AAPL",
    "side": "B",
    "quantity": 1,
    "price": 10,
    "rate": 100.0,
    "first_ref": 1,
    "next_sequence": 1,
    "endpoints": ["127.0.0.1:1", "127.0.0.1:2"],
    "members": ["engine-0-0", "engine-0-1"],
}
TARGET = Target("process_crash", 60, 0)


def accepted(ref: int, quantity: int = 1, order_ref: int = 0) -> bytes:
    return struct.pack(
        ">cQIcI8sQccQcccc14s", b"A", 7, ref, b"B", quantity, b"AAPL    ", 10, b"0", b"Y", order_ref or ref, b"A", b"N",
        b"N", b"L", b"",
    )  # fmt: skip


def canceled(ref: int) -> bytes:
    return struct.pack(">cQIIc", b"C", 8, ref, 1, b"U")


class Recorded:
    """A log as lines; times in milliseconds since its begin."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.stream: list[bytes] = []
        self.add(0, "begin", **BEGIN)
        self.add(0, "clock", wall_ns=1_800_000_000 * 10**9)

    def add(self, at_ms: float, event: str, **fields: Any) -> None:
        self.lines.append({"at_ns": START + round(at_ms * MS), "event": event, **fields})

    def report(self, at_ms: float, message: bytes) -> None:
        self.stream.append(message)
        self.add(at_ms, "report", sequence=len(self.stream), message=message.hex())

    def order(self, ref: int, at_ms: float, after_ms: float = 1.0) -> None:
        """One that is accepted, and cancelled again."""
        self.add(at_ms, "sent", ref=ref)
        self.report(at_ms + after_ms, accepted(ref))
        self.add(at_ms + after_ms, "cancel", ref=ref)
        self.report(at_ms + after_ms + 0.5, canceled(ref))

    def read(self, directory: Path) -> CanaryLog:
        path = directory / "canary.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines))
        return read_log(path)


def failover() -> Recorded:
    """Orders each 10 ms; a fault at 55 ms lets one more through and is over at 300 ms."""
    log = Recorded()
    for ref in range(1, 8):
        log.order(ref, 10 * (ref - 1))
    log.add(55, "mark", text="SIGKILL to engine-0-0", fault=True)
    log.add(66, "connection", connected=False, text="lost 127.0.0.1:1")
    log.add(299, "connection", connected=True, text="logged in at 127.0.0.1:2")
    log.order(8, 70, after_ms=230)
    for ref in range(9, 12):
        log.order(ref, 220 + 10 * ref)
    log.add(1, "member", member="engine-0-0", role="primary", epoch=4, primary=0, in_sync=[0, 1])
    log.add(1, "member", member="engine-0-1", role="standby", epoch=4, primary=0, in_sync=[0, 1])
    log.add(60, "member", member="engine-0-0", role="gone", reason="no engine answers")
    log.add(90, "member", member="engine-0-1", role="takeover", epoch=4, primary=0, in_sync=[0, 1], reason="0 is lost")
    log.add(250, "member", member="engine-0-1", role="primary", epoch=5, primary=1, in_sync=[1])
    log.add(400, "end", reason="it was asked to end")
    return log


# ---- the log


def test_the_canary_and_whoever_marks_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    canary, marker = LogWriter(path, new=True), LogWriter(path, new=False)
    canary.write("begin", **BEGIN)

    def write(log: LogWriter, event: str, **fields: Any) -> None:
        for number in range(300):
            log.write(event, **{key: value(number) for key, value in fields.items()})

    threads = [
        threading.Thread(target=write, args=(canary, "sent"), kwargs={"ref": lambda n: n}),
        threading.Thread(target=write, args=(marker, "mark"), kwargs={"text": str, "fault": lambda n: n % 2 == 0}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    canary.close()
    marker.close()
    log = read_log(path)
    assert len(log.sent) == 300 and len(log.faults) == len(log.marks) == 150
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="is there already"):
        LogWriter(path, new=True)


def test_a_canary_that_comes_late_finds_its_log_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`drill end` of an empty log: nobody was there, and nobody begins it any more. One that is there keeps it."""
    path = tmp_path / "log"
    path.touch()
    assert main(["drill", "end", "--log", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"result": {"changed": False}}
    with pytest.raises(CommandError, match="is there already"):
        LogWriter(path, new=True)
    held = tmp_path / "held"
    with multiprocessing.get_context("spawn").Pool(1) as other:
        other.apply(hold, (held,))
        with pytest.raises(CommandError, match="another canary writes it"):
            LogWriter(held, new=True)
        assert held.stat().st_size == 0


def hold(path: Path) -> None:
    """Be the canary that has a log and has not written yet, as long as this process lives."""
    HELD.append(LogWriter(path, new=True))


HELD: list[LogWriter] = []


def test_half_a_last_line_is_left_out(tmp_path: Path) -> None:
    recorded = failover()
    log = recorded.read(tmp_path)
    path = tmp_path / "canary.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert read_log(path).ended.startswith("the canary was killed") and log.ended == "it was asked to end"
    assert read_log(path).reports == log.reports


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "None is no event"),
        ('{"at_ns": 1, "event": "sned"}', "'sned' is no event"),
        ('{"at_ns": 1, "event": "begin"}', "'begin' is no event that a canary's log has there"),
        ('{"at_ns": 1, "event": "sent"}', "key 'ref' is missing"),
        ('{"at_ns": 1, "event": "sent", "ref": "1"}', "'ref' must be a whole number"),
        ('{"at_ns": 1, "event": "sent", "ref": 1, "x": 1}', "unknown key 'x'"),
        ('{"at_ns": 1, "event": "report", "sequence": 1, "message": "zz"}', "non-hexadecimal"),
        ('{"at_ns": 1, "event": "report", "sequence": 1, "message": "00"}', "not an OUCH 5.0 message"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, says: str) -> None:
    recorded = Recorded()
    path = tmp_path / "log"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in recorded.lines) + line + "\n")
    with pytest.raises(CommandError) as caught:
        read_log(path)
    assert str(caught.value).startswith(f"{path}:3: ") and says in str(caught.value)


@pytest.mark.parametrize("text", ["", '{"at_ns": 1, "event": "sent", "ref": 1}\n', "ref\n"])
def test_a_file_that_is_no_log_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(CommandError, match="log"):
        read_log(tmp_path / "log")


def test_what_a_member_says_of_itself() -> None:
    alone = {"epoch": 3, "state": "serving"}
    assert state_of(alone) == {"role": "alone", "epoch": 3, "primary": None, "in_sync": [], "reason": ""}
    replicated = {"epoch": 3, "role": "standby", "replication": {"epoch": 4, "primary": 2, "in_sync": [1, 2]}}
    assert state_of(replicated) == {"role": "standby", "epoch": 4, "primary": 2, "in_sync": [1, 2], "reason": ""}


# ---- RTO


def test_rto_is_from_the_last_acknowledgement_to_the_first_after_the_fault(tmp_path: Path) -> None:
    """What was on its way when the fault came does not end the outage."""
    (outage,) = outages(failover().read(tmp_path))
    assert outage.seconds == pytest.approx(0.239)  # 61 ms, behind the fault at 55 ms, to 300 ms
    assert outage.last_ns == START + 61 * MS


def test_each_fault_has_its_own_outage(tmp_path: Path) -> None:
    log = failover()
    log.add(345, "mark", text="again", fault=True)
    log.order(12, 900)
    first, second = outages(log.read(tmp_path))
    assert first.seconds == pytest.approx(0.239) and second.seconds == pytest.approx(0.570)
    report = build(log.read(tmp_path), log.stream, None, TARGET)
    assert report["measured"]["rto_seconds"] == second.seconds
    assert "again" in html.render(report) and "No answer for" in html.render(report)


def never_again(log: Recorded) -> None:
    """One was on its way when the fault came; the canary looked for a primary to its end."""
    log.lines = [line for line in log.lines if line["at_ns"] < START + 67 * MS]


def unanswered(log: Recorded) -> None:
    """Connected again, and what is sent has no answer."""
    log.lines = [line for line in log.lines if line["event"] != "report" or line["at_ns"] < START + 62 * MS]


def rejected(log: Recorded) -> None:
    """Somebody answers, and takes no order any more."""
    unanswered(log)
    for ref in range(8, 12):
        message = struct.pack(">cQIH14s", b"J", 1, ref, 7, b"")
        log.add(300 + ref, "report", sequence=20 + ref, message=message.hex())


def no_fault(log: Recorded) -> None:
    log.lines = [line for line in log.lines if line["event"] != "mark"]


def nothing_before(log: Recorded) -> None:
    log.lines = [line for line in log.lines if line["event"] != "report" or line["at_ns"] > START + 331 * MS]


@pytest.mark.parametrize("change", [never_again, unanswered, rejected, no_fault, nothing_before])
def test_what_was_not_measured_has_failed(tmp_path: Path, change: Callable[[Recorded], None]) -> None:
    log = failover()
    change(log)
    report = build(log.read(tmp_path), log.stream, None, TARGET)
    assert report["measured"]["rto_seconds"] is None and report["verdict"] == "failed"
    assert "RTO was not measured" in report["failures"][0]
    assert "not measured" in html.render(report)


def test_one_outage_that_never_ended_is_enough(tmp_path: Path) -> None:
    log = failover()
    log.add(345, "mark", text="again", fault=True)
    log.add(346, "connection", connected=False, text="lost 127.0.0.1:2")
    first, second = outages(log.read(tmp_path))
    assert first.seconds == pytest.approx(0.239) and second.seconds is None
    assert build(log.read(tmp_path), log.stream, None, TARGET)["measured"]["rto_seconds"] is None


def test_a_second_fault_within_an_outage_does_not_shorten_it(tmp_path: Path) -> None:
    log = failover()
    log.add(200, "mark", text="the store, too", fault=True)
    assert [outage.seconds for outage in outages(log.read(tmp_path))] == pytest.approx([0.239, 0.239])


# ---- RPO


def test_nothing_is_lost_where_everything_is_as_it_was_told(tmp_path: Path) -> None:
    log = failover()
    journal = {ref: [JournalOrder("B", 1, 10)] for ref in range(1, 12)}
    assert losses(log.read(tmp_path), log.stream, journal) == Losses()
    # What the venue has besides, of others or unanswered, is no loss.
    assert losses(log.read(tmp_path), [*log.stream, accepted(99)], {**journal, 99: []}) == Losses()


def lost_end(stream: list[bytes], journal: dict[int, list[JournalOrder]]) -> None:
    del stream[-3:]  # order 11, and the cancel of order 10
    journal[11] = []


def told_otherwise(stream: list[bytes], _journal: dict[int, list[JournalOrder]]) -> None:
    stream[4] = accepted(3, order_ref=77)


def shifted(stream: list[bytes], _journal: dict[int, list[JournalOrder]]) -> None:
    stream.insert(20, accepted(11))


def journal_twice(_stream: list[bytes], journal: dict[int, list[JournalOrder]]) -> None:
    journal[5] = [JournalOrder("B", 1, 10)] * 2


def journal_lacks(_stream: list[bytes], journal: dict[int, list[JournalOrder]]) -> None:
    del journal[6]


def journal_other(_stream: list[bytes], journal: dict[int, list[JournalOrder]]) -> None:
    journal[7] = [JournalOrder("B", 2, 10)]


@pytest.mark.parametrize(
    ("change", "missing", "doubled", "changed"),
    [
        (lost_end, {10, 11}, set(), set()),
        (told_otherwise, set(), set(), {3}),
        (shifted, set(), {11}, {11}),
        (journal_twice, set(), {5}, set()),
        (journal_lacks, {6}, set(), set()),
        (journal_other, set(), set(), {7}),
    ],
)
def test_each_loss_is_found_and_fails_the_drill(
    tmp_path: Path, change: Callable[..., None], missing: set[int], doubled: set[int], changed: set[int]
) -> None:
    recorded = failover()
    log = recorded.read(tmp_path)
    journal = {ref: [JournalOrder("B", 1, 10)] for ref in range(1, 12)}
    change(recorded.stream, journal)
    found = losses(log, recorded.stream, journal)
    assert (found.missing, found.doubled, found.changed) == (missing, doubled, changed)
    assert found.lines
    report = build(log, recorded.stream, journal, TARGET)
    assert report["verdict"] == "failed" and report["failures"]
    assert report["differences"] and report["differences"][0].split(":")[0] in html.render(report)


def test_rpo_is_the_age_of_the_oldest_missing_acknowledgement_at_the_fault(tmp_path: Path) -> None:
    log = failover().read(tmp_path)
    assert rpo_seconds(log, {4, 5}) == pytest.approx(0.024)  # acknowledged at 31 ms, fault at 55 ms
    assert rpo_seconds(log, set()) == 0
    assert rpo_seconds(log, {10}) == 0  # acknowledged after the fault
    loose = Target("zone_loss", 600, 60)
    recorded = failover()
    without = [each for each in recorded.stream if each[9:13] != struct.pack(">I", 4)]
    report = build(log, without, None, loose)
    assert report["measured"]["missing"] > 0
    assert not any("missing" in line for line in report["failures"]), "this row allows it"


def test_a_canary_that_was_never_served_has_shown_nothing(tmp_path: Path) -> None:
    log = Recorded()
    log.add(1, "sent", ref=1)
    log.report(2, struct.pack(">cQIH14s", b"J", 1, 1, 7, b""))
    log.add(3, "mark", text="x", fault=True)
    report = build(log.read(tmp_path), log.stream, None, TARGET)
    assert report["orders"]["rejected"] == 1
    assert "not one order of the canary was accepted" in report["failures"]


# ---- the verdict, by the row of DRB-08


@pytest.mark.feature("DRB-08", by="U", part="a drill's report judges as the table of targets does")
@pytest.mark.parametrize("row", table.TARGETS, ids=lambda row: str(row.drill))
def test_the_verdict_is_that_of_the_table_of_targets(row: table.Target) -> None:
    """Two places judge, since the distribution imports nothing of the collection: they must not differ."""
    target = Target(row.drill, row.rto_below_seconds, row.rpo_below_seconds)
    edge, limit = row.rto_below_seconds, row.rpo_below_seconds
    for rto in (None, 0.0, edge - 0.001, float(edge), edge + 1.0, float("nan"), float("inf")):
        for rpo, missing in ((0.0, 0), (0.0, 1), (0.5, 2), (limit - 0.001, 3), (float(limit), 4), (limit + 1.0, 5)):
            if rpo < 0 or (rpo > 0 and missing == 0):
                continue
            mine = failures(target, rto, rpo, Losses(missing=set(range(missing))))
            theirs = table.evaluate(row.drill, table.Measured(rto, rpo, missing))
            assert (not mine) == theirs.passed, (rto, rpo, missing, mine, theirs)
    assert failures(target, 1.0, None, None) == ["RPO was not measured"]
    for more in ({"doubled": {1}}, {"changed": {1}}):
        assert failures(target, 0.1, 0.0, Losses(**more)), "what is doubled or changed passes nowhere"  # type: ignore[arg-type]


# ---- the page


class Page(HTMLParser):
    """Collects what a page would fetch or run, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe"} or {"src", "href", "onload"} & {name for name, _ in attrs}:
            self.foreign.append(tag)
        if tag not in {"meta", "rect", "line", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_nothing_else_and_says_what_happened(tmp_path: Path) -> None:
    log = failover()
    log.add(56, "mark", text="<script>alert(1)</script>", fault=False)
    report = build(log.read(tmp_path), log.stream, None, TARGET)
    assert json.loads(json.dumps(report)) == report
    page = Page(html.render(report))
    assert page.foreign == [] and page.open == []
    assert "<script>alert(1)</script>" in page.words  # as words, not as a tag
    for words in ("239.0 ms", "target: below 60 s", "0, nothing missing", "passed", "11", "of 11 sent"):
        assert words in page.words, words


def test_the_timeline_tells_who_took_over_and_when(tmp_path: Path) -> None:
    log = failover()
    report = build(log.read(tmp_path), log.stream, None, TARGET)
    told = [(round(one["seconds"], 3), one["who"], one["what"]) for one in report["timeline"]]
    assert told == [
        (-0.054, "engine-0-0", "is primary, epoch 4, primary is replica 0, in sync: 0, 1"),
        (-0.054, "engine-0-1", "is standby, epoch 4, primary is replica 0, in sync: 0, 1"),
        (0.0, "fault", "SIGKILL to engine-0-0"),
        (0.005, "engine-0-0", "is lost: it does not answer"),
        (0.006, "canary", "last order acknowledged before the outage"),
        (0.011, "canary", "lost 127.0.0.1:1"),
        (0.035, "engine-0-1", "is takeover (0 is lost)"),
        (0.195, "engine-0-1", "is primary, epoch 5, primary is replica 1, in sync: 1"),
        (0.244, "canary", "logged in at 127.0.0.1:2"),
        (0.245, "canary", "first order acknowledged after it"),
    ]
    assert report["timeline"][2]["at"] == "2027-01-15T08:00:00.055000000Z"
    begin, end = html.window(report)
    assert begin < 0 and end > 0.245 and end - begin < 1


def test_a_jump_of_the_clock_is_told_and_moves_no_figure(tmp_path: Path) -> None:
    log = failover()
    log.add(62, "clock", wall_ns=1_800_000_000 * 10**9 + 3_600 * 10**9)
    report = build(log.read(tmp_path), log.stream, None, TARGET)
    assert report["measured"]["rto_seconds"] == pytest.approx(0.239)
    assert report["clock_jump_seconds"] == pytest.approx(3599.938)
    assert report["timeline"][2]["at"].startswith("2027-01-15T08:00:00.055")  # the fault, by the anchor before it
    assert report["timeline"][-1]["at"].startswith("2027-01-15T09:00:00.238")


# ---- the command line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rate", "0"], "--rate is 0: give it a number from 0.1 to 1000"),
        (["--quantity", "1000000"], "--quantity is 1e+06"),
        (["--symbol", "TOOLONGNAME"], "a symbol has 1 to 8 ASCII characters"),
        (["--member", "engine"], "give it as NAME=FILE"),
        (["--endpoint", "nowhere"], "'nowhere' is no endpoint"),
    ],
)
def test_a_canary_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    given = ["--endpoint", "127.0.0.1:1", "--session", "A", "--password-file", str(tmp_path / "x"), "--symbol", "AAPL"]
    log = tmp_path / "log"
    assert main(["canary", *given, "--price", "1", "--log", str(log), *words]) == 1
    error = capsys.readouterr().err
    assert says in error and len(error.splitlines()) == 1
    assert not log.exists()
