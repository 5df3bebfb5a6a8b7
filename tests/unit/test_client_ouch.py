# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders from the command line that order entry cannot carry are refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from ironbook.cli import main


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["enter", "buy", "AAPL", "1", "5", "--type", "stop-limit", "--stop-price", "4"],
            "--type stop-limit is not sent",
        ),
        (["enter", "buy", "AAPL", "1", "5", "--time-in-force", "gtc"], "--time-in-force gtc is not sent"),
        (
            ["enter", "buy", "AAPL", "2", "5", "--displayed", "1"],
            "--displayed is not sent to an --endpoint: use",
        ),
        (["enter", "buy", "AAPL", "2", "5", "--minimum", "1"], "--minimum is not sent"),
        (["enter", "buy", "AAPL", "2", "5", "--post-only"], "--post-only is not sent"),
        (["enter", "buy", "AAPL", "1000000", "5"], "quantity is 1000000: OUCH carries up to 999999"),
        (["replace", "1", "1", "2000000000"], "price is 2000000000: OUCH carries up to"),
        (["enter", "buy", "TOOLONGNAME", "1", "5"], "a symbol has at most 8 ASCII characters"),
        (["mass-cancel", "--side", "buy"], "--side is not sent"),
        (["cancel", "1"], "--endpoint wants a login: give --password-file FILE, too"),
    ],
)
def test_what_has_no_field_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert main(["client", "--endpoint", "127.0.0.1:1", "--session", "A", *words]) == 1
    error = capsys.readouterr().err
    assert says in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("places", [[], ["--socket", "x", "--endpoint", "127.0.0.1:1"], ["--endpoint", "x"]])
def test_one_way_in_is_given_and_no_more(capsys: pytest.CaptureFixture[str], places: list[str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    assert main(["client", *places, "--session", "A", "--password-file", str(secret), "cancel", "1"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
