# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replay knows of itself: its state, its reports, its bursts. The sending itself is an integration test."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from ironbook.cli import main
from ironbook.errors import CommandError
from ironbook.market_data import lobster
from ironbook.market_data.orders import MAKER, TAKER, Command
from ironbook.replay_state import State, StateDirectory
from ironbook.session_replay import Reports, _bursts, read_venue

SHA = "0" * 64
OTHER = "f" * 64


def state(sha256: str = SHA, base: int = 10, commands: int = 5) -> State:
    return State(sha256, "file", base, commands, {"maker": 1, "taker": 1})


def test_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "trade")
    assert directory.load(SHA) is None
    directory.save(state())
    assert directory.load(SHA) == state()
    assert directory.load(OTHER) is None


def test_numbers_are_reserved_over_all_replays_and_other_files_do_not_count(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    assert directory.highest_reserved() == 0
    directory.save(state())
    directory.save(state(OTHER, base=100, commands=7))
    (tmp_path / "client.json").write_text("{}")
    assert directory.highest_reserved() == 107


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}'])
def test_a_state_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / f"{SHA}.json").write_text(text)
    with pytest.raises(CommandError, match=SHA):
        StateDirectory(tmp_path).load(SHA)


def test_two_replays_at_once_are_refused(tmp_path: Path) -> None:
    with (
        StateDirectory(tmp_path).lock(),
        pytest.raises(CommandError, match="another replay is running"),
        StateDirectory(tmp_path).lock(),
    ):
        pass


def executed(user_ref: int, quantity: int, price: int, match: int) -> bytes:
    return struct.pack(">cQIIQcQH", b"E", 1, user_ref, quantity, price, b"A", match, 0)


def rejected(user_ref: int) -> bytes:
    return struct.pack(">cQIH14s", b"J", 1, user_ref, 3, b"")


def test_a_match_counts_once_and_only_if_an_order_of_this_replay_is_in_it() -> None:
    reports = Reports(base=10, last=20)
    for message in (
        executed(11, 5, 100, match=1),
        executed(12, 5, 100, match=1),  # the other party of the same match
        executed(13, 2, 200, match=2),
        executed(3, 2, 200, match=2),  # an order from before
        executed(4, 9, 900, match=3),
        executed(21, 9, 900, match=4),
    ):
        reports.add(message)
    assert (reports.fills, reports.quantity, reports.notional, reports.reports) == (2, 7, 900, 3)


def test_an_order_without_an_answer_is_seen() -> None:
    reports = Reports(base=0, last=5)
    reports.add(rejected(1))
    assert not reports.unfinished(1)
    assert "2 orders were sent and 1 were" in reports.unfinished(2)
    assert reports.first_reject is not None
    assert reports.first_reject.reason == 3


def command(ordinal: int, sender: int, time_ns: int = 0) -> Command:
    return Command(ordinal, sender, ordinal, b"B", 1, 1, False, time_ns, 1, 1)


def test_a_burst_ends_where_the_sender_changes_and_where_it_is_long() -> None:
    commands = [command(n, MAKER) for n in range(1, 601)] + [command(601, TAKER), command(602, MAKER)]
    bursts = list(_bursts(commands, by_time=False))
    assert [len(burst) for burst in bursts] == [512, 88, 1, 1]
    assert [c for burst in bursts for c in burst] == commands


def test_by_time_a_burst_holds_one_moment() -> None:
    commands = [command(n, MAKER, time_ns) for n, time_ns in enumerate((0, 10, 2_000_000, 2_000_001, 9_000_000), 1)]
    assert [len(burst) for burst in _bursts(commands, by_time=True)] == [2, 2, 1]


def test_an_endpoint_that_is_none_is_named_by_file(tmp_path: Path) -> None:
    secret, path = tmp_path / "secret", tmp_path / "client.json"
    secret.write_text("x\n")
    login = {"username": "A", "password_file": str(secret)}
    path.write_text(json.dumps({"endpoints": ["a:1", "b"], "maker": login, "taker": login}))
    with pytest.raises(CommandError, match=r"client.json: endpoints: 'b' is no endpoint"):
        read_venue(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"maker": {}, "taker": {}}', "key 'endpoints' is missing"),
        ('{"endpoints": "h:1", "maker": {}, "taker": {}}', "'endpoints' must be a list"),
        ('{"endpoints": ["h:1"], "maker": {}, "taker": {}, "tkaer": {}}', "unknown key 'tkaer'"),
        ('{"endpoints": [], "maker": {"username": "A"}, "taker": {}}', "maker: key 'password_file' is missing"),
        (
            '{"endpoints": [], "maker": {"username": "A", "password_file": "/nowhere"}, "taker": {}}',
            "/nowhere: the password cannot be read",
        ),
        ("{", "is not JSON"),
    ],
)
def test_a_wrong_configuration_is_named_by_key(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "client.json"
    path.write_text(text)
    with pytest.raises(CommandError) as caught:
        read_venue(path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_malformed_line_is_the_one_line_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "AAPL_2012-06-21_34200000_37800000_message_50.csv"
    path.write_text("34200.1,1,5,10,500,1\n34200.2,1,6,ten,500,1\n")
    assert main(["session", "replay", str(path), "--plan"]) == 1
    output = capsys.readouterr()
    assert output.err == f"ironbook: {path}:2: field size: 'ten' is not an integer\n"
    assert not output.out


def test_a_plan_connects_to_nothing_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "AAPL_2012-06-21_34200000_37800000_message_50.csv"
    path.write_text("34200.1,1,5,10,500,1\n34200.2,5,0,10,500,1\n")
    directory = tmp_path / "trade"
    assert main(["session", "replay", str(path), "--plan", "--state-directory", str(directory)]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert (result["commands"], result["changed"], sum(result["skipped"].values())) == (1, True, 1)
    assert not directory.exists()


def test_a_finished_session_is_known_by_its_hash_and_not_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "AAPL_2012-06-21_34200000_37800000_message_50.csv"
    path.write_text("34200.1,1,5,10,500,1\n")
    file = lobster.read_file(path)
    result = {"input": path.name, "symbol": "AAPL", "commands": 1, "skipped": {}}
    StateDirectory(tmp_path).save(State(file.sha256, path.name, 0, 1, {"maker": 1, "taker": 1}, result))
    monkeypatch.setattr(lobster, "parse", None)
    for option in (["--plan"], []):
        assert main(["session", "replay", str(path), "--state-directory", str(tmp_path), *option]) == 0
        said = json.loads(capsys.readouterr().out)["result"]
        assert (said["symbol"], said["sent"], said["changed"]) == ("AAPL", 0, False)
