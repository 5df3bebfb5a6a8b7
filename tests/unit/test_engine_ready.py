# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that does not serve says why: the last line of its log stands in the one line of the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from ironbook.cli import main


@pytest.mark.parametrize(
    ("log", "end"),
    [
        ("ironbook: engine: first\nironbook: engine: the journal is damaged\n\n", "the journal is damaged"),
        ("", "is it running?"),
        (None, "is it running?"),
    ],
)
def test_the_log_of_an_engine_that_does_not_serve_is_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str | None, end: str
) -> None:
    path = tmp_path / "engine.log"
    if log is not None:
        path.write_text(log)
    arguments = ["--socket", str(tmp_path / "admin.sock"), "--seconds", "0", "--log", str(path)]
    assert main(["engine-ready", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ironbook: no engine serves after 0 s: ")
    assert end in line
    assert "first" not in line
