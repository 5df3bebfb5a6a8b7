# SPDX-License-Identifier: GPL-3.0-or-later
"""What most tests of a real engine begin with; a file whose engine is another one defines its own of the name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.engine_process import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A running engine."""
    process = Engine(tmp_path).start()
    yield process
    process.kill()
