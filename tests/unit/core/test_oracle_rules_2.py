# SPDX-License-Identifier: GPL-3.0-or-later
"""Short sequences of every command of rules 2 through core and oracle: what Hypothesis finds, it shrinks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given, settings
from unit.core.oracle import Oracle
from unit.core.oracle_book import Book
from unit.core.scripts import Step, compare, differs, scripts


@pytest.mark.slow
@settings(max_examples=400)
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


# One rule of the oracle becomes another one; how many commands it takes at least to tell.
FAULTS = [
    pytest.param(Oracle, "would_trade", lambda *_: False, 2, id="post-only-takes"),
    pytest.param(Book, "available", lambda *_: 2**50, 1, id="any-minimum-is-met"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "name", "fault", "least"), FAULTS)
def test_a_planted_fault_is_found_and_shrunk(
    monkeypatch: pytest.MonkeyPatch, part: type, name: str, fault: Any, least: int
) -> None:
    """The search itself is tried: nobody tells it what to look for, and fewer than ten commands are left that show it.

    The examples are the same in each run, and what is found is not remembered, so that no other test begins with it.
    """
    failing: list[list[Step]] = []

    @settings(max_examples=2000, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
    @given(scripts)
    def search(script: list[Step]) -> None:
        try:
            compare(script)
        except AssertionError:
            failing.append(script)
            raise

    with monkeypatch.context() as planted:
        planted.setattr(part, name, fault)
        with pytest.raises(AssertionError, match="after"):
            search()
        shrunk = failing[-1]  # what Hypothesis reports is what it runs last
        assert least <= len(shrunk) < min(10, max(map(len, failing)))
        assert differs(shrunk)
    assert not differs(shrunk), "it is the fault that the script shows"
