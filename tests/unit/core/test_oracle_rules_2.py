# SPDX-License-Identifier: GPL-3.0-or-later
"""Short sequences of every command of rules 2 through core and oracle: what Hypothesis finds, it shrinks."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from unit.core.oracle import Oracle
from unit.core.scripts import Step, compare, differs, scripts


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts)
def test_core_and_oracle_say_the_same(script: list[Step]) -> None:
    """Every event, sum, live order, instrument and risk row is the same after each command."""
    compare(script)


def test_a_difference_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: an oracle whose POST_ONLY orders take is told apart, by the script that Hypothesis found."""
    order = {"session": 0, "step": 1, "instrument": 0, "price": 100, "quantity": 1}
    script = [("ENTER", order | {"side": 1}), ("ENTER", order | {"side": 2, "flags": 2})]
    assert not differs(script)
    monkeypatch.setattr(Oracle, "would_trade", lambda *_: False)
    assert differs(script)
