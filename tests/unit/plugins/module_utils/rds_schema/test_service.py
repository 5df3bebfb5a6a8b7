# SPDX-License-Identifier: GPL-3.0-or-later
"""Which session a run asks for; the run itself is tested on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema import service
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.database import Address

ADDRESS = Address("h", 5432, "u", "p", "d", "disable")


class Nothing(Exception):
    """Ends the run where the session would be used."""


@pytest.mark.parametrize("check_mode", [True, False])
def test_check_mode_asks_for_a_session_that_cannot_write(
    check_mode: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    @contextmanager
    def connect(*_where: Any, read_only: bool) -> Iterator[Any]:
        asked.append(read_only)
        raise Nothing
        yield

    monkeypatch.setattr(service, "connect", connect)
    (tmp_path / "V0001__a.sql").write_text("SELECT 1;")
    options = service.Options(str(tmp_path), None, "s", "t", 100, 0, 0, 1, False)
    with pytest.raises(Nothing):
        service.migrate(ADDRESS, options, check_mode=check_mode)
    assert asked == [check_mode]
