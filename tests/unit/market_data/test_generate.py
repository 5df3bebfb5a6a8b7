# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated session: always the same, always sound."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from ironbook.market_data import generate, lobster

# Of `lines(2000, 1)`: a change here means that generated sessions of older versions cannot be made again.
PINNED = "ecc773962f793770b636059a11c1e8e237c4769695f21d8b209754ebffec4031"


def text(messages: int, seed: int) -> bytes:
    return "".join(generate.lines(messages, seed)).encode()


def test_the_same_arguments_give_the_same_bytes_for_ever() -> None:
    assert hashlib.sha256(text(2000, 1)).hexdigest() == PINNED
    assert text(2000, 2) != text(2000, 1)


def test_packed_files_are_the_same_bytes_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate.write_session(tmp_path / name / generate.file_name("AAPL", 1), 100, 1)
    first, second = sorted(tmp_path.rglob("*.gz"))
    assert first.read_bytes() == second.read_bytes()
    assert lobster.read_session(first).symbol == "AAPL"
    assert not list(tmp_path.rglob("*.part"))


def test_the_mix_is_that_of_a_real_hour() -> None:
    count = Counter(message.type for message in lobster.parse(text(20_000, 3), "f"))
    shares = {kind: number / 20_000 for kind, number in count.items()}
    assert shares[lobster.NEW] == pytest.approx(0.481, abs=0.02)
    assert shares[lobster.DELETE] == pytest.approx(0.446, abs=0.02)
    assert shares[lobster.EXECUTION] == pytest.approx(0.044, abs=0.01)
    assert shares[lobster.HIDDEN_EXECUTION] == pytest.approx(0.024, abs=0.01)
    assert set(count) == set(range(1, 8))


@pytest.mark.parametrize("seed", range(5))
def test_the_book_that_it_describes_has_price_time_priority(seed: int) -> None:
    """Executions name the oldest order of the best price; nothing is taken that is not there; nothing crosses."""
    book: dict[int, list[int]] = {}  # order id: [left, price, direction], in the order of time
    for message in lobster.parse(text(3000, seed), "f"):
        if message.type == lobster.NEW:
            other = [price for _, price, direction in book.values() if direction == -message.direction]
            assert all(
                (message.price < price) if message.direction == 1 else (message.price > price) for price in other
            )
            book[message.order_id] = [message.size, message.price, message.direction]
        elif message.type in (lobster.PARTIAL_CANCEL, lobster.DELETE, lobster.EXECUTION) and message.order_id in book:
            if message.type == lobster.EXECUTION:
                same = [(price, key) for key, (_, price, direction) in book.items() if direction == message.direction]
                best = max(price for price, _ in same) if message.direction == 1 else min(price for price, _ in same)
                if message.price == best:
                    assert next(key for price, key in same if price == best) == message.order_id
            book[message.order_id][0] -= message.size
            assert book[message.order_id][0] >= 0
            if book[message.order_id][0] == 0:
                del book[message.order_id]


def test_a_session_has_at_least_one_message() -> None:
    assert len(lobster.parse(text(1, 1), "f")) == 1
    with pytest.raises(ValueError, match="at least one"):
        next(generate.lines(0, 1))
