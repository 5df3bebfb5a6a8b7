# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook engine-ready` where no engine serves: it repeats what the engine said last."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from ironbook.engine_ready import last_error, run
from ironbook.errors import CommandError

SERVES = "ironbook: engine: shard 0 replica 0 serves 127.0.0.1:21100, recovered to sequence 6\n"
DAMAGE = "ironbook: engine: /j: 00000000000000000001.journal at offset 480, sequence 3: damaged. Restore it\n"


def test_the_reason_of_the_last_start_is_told(tmp_path: Path) -> None:
    """The line of the engine is in the one line of the failure."""
    log = tmp_path / "engine.log"
    log.write_text(SERVES + "ironbook: engine: ended\n" + DAMAGE)
    with pytest.raises(CommandError, match=r"It said: engine: /j: .* at offset 480, sequence 3: damaged. Restore it$"):
        run(Namespace(socket=tmp_path / "admin.sock", seconds=0.0, log=log))


@pytest.mark.parametrize("log", ["", DAMAGE + SERVES, DAMAGE + SERVES + "ironbook: engine: ended\n"])
def test_an_error_of_long_ago_is_not_told(tmp_path: Path, log: str) -> None:
    """Who served since then was well; a log that is missing says nothing either."""
    path = tmp_path / "engine.log"
    path.write_text(log)
    assert last_error(path) is None
    assert last_error(tmp_path / "none") is None
