# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session says about itself and about its errors; the session itself is tested on a real server."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.database import Address, connect, reason
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError

ADDRESS = Address("127.0.0.1", 1, "trading_admin", "a-secret", "trading_platform", "disable", connect_timeout_s=2)


def test_the_password_is_no_part_of_what_is_shown() -> None:
    assert str(ADDRESS) == "database trading_platform at 127.0.0.1:1 as trading_admin"
    assert "a-secret" not in repr(ADDRESS)


def test_a_closed_port_is_one_line_with_its_remedy() -> None:
    with pytest.raises(SchemaError) as caught, connect(ADDRESS, "ironbook", "schema_history", read_only=True):
        pass
    line = str(caught.value)
    assert "127.0.0.1:1" in line and "refused" in line and "Is the server running" in line
    assert "\n" not in line and "a-secret" not in line


def test_several_lines_become_their_cause() -> None:
    assert (
        reason(OSError('connection to server at "h", port 1 failed: No route to host\n\tIs it up?'))
        == "No route to host"
    )
