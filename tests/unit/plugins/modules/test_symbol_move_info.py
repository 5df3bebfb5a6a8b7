# SPDX-License-Identifier: GPL-3.0-or-later
"""What the twin takes; what it reads is tested with the module."""

from __future__ import annotations

import yaml
from ansible_collections.ironbook.trading.plugins.doc_fragments import engine_member, symbol_move
from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move.mover import ARGUMENTS
from ansible_collections.ironbook.trading.plugins.modules import symbol_move as module


def test_it_names_the_move_as_the_module_does() -> None:
    """Both take what the fragments describe; the module two options more."""
    member = engine_member.ModuleDocFragment
    parts = (member.DOCUMENTATION, member.AGENT, symbol_move.ModuleDocFragment.DOCUMENTATION)
    documented = set.union(*(set(yaml.safe_load(part)["options"]) for part in parts))
    assert documented == set(ARGUMENTS)
    assert {name: module.ARGUMENTS[name] for name in ARGUMENTS} == ARGUMENTS
    assert set(module.ARGUMENTS) - set(ARGUMENTS) == set(yaml.safe_load(module.DOCUMENTATION)["options"])
