# SPDX-License-Identifier: GPL-3.0-or-later
"""What the twin takes; what it reads is tested with the module (test_engine_failover.py)."""

from __future__ import annotations

from ansible_collections.ironbook.trading.plugins.modules import engine_failover, engine_failover_info


def test_it_names_the_member_as_the_module_does() -> None:
    for name in ("config", "agent_config"):
        assert engine_failover_info.ARGUMENTS[name] == engine_failover.ARGUMENTS[name]
