# SPDX-License-Identifier: GPL-3.0-or-later
"""What the twin takes; what it reads is tested with the module."""

from __future__ import annotations

from ansible_collections.ironbook.trading.plugins.modules import symbol_move, symbol_move_info


def test_it_names_the_move_as_the_module_does() -> None:
    assert symbol_move_info.ARGUMENTS == symbol_move.WHICH
