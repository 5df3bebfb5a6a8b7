# SPDX-License-Identifier: GPL-3.0-or-later
"""LOBW files: what is read and refused, and that the flow we make up is one that every matcher must agree about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from ironbook.errors import CommandError
from ironbook.market_data import lobw, lobw_generate
from ironbook.market_data.lobw import CANCEL, CROSS, NEW, RECORD, Header

HEADER = Header(symbols=1, warm=1, messages=1, id_max=2, price_max=100, trades=0, quantity=0, notional=0, resting=2)
RECORDS = RECORD.pack(NEW, 0, 0, 1, 50, 10) + RECORD.pack(NEW, 1, 0, 2, 51, 10)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.lobw"
    lobw.write(path, HEADER, RECORDS)
    assert path.stat().st_size == 64 + 32
    flow = lobw.read(path)
    assert flow.header == HEADER
    assert bytes(flow.records) == RECORDS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"x" + data[1:], "is not a LOBW file"),
        (lambda data: b"", "is not a LOBW file"),
        (lambda data: data[:40], "is cut short: 40 bytes, and the header has 64"),
        (lambda data: data[:-1], "is cut short: 95 bytes where the header announces 96"),
        (lambda data: data + b"x", "goes on behind its end: 97 bytes"),
        (lambda data: data[:8] + b"\x02" + data[9:], "has LOBW version 2"),
        (lambda data: data[:20] + bytes(4) + data[24:80], "has no messages to measure"),
    ],
)
def test_what_is_no_lobw_file_is_refused_in_one_line(tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "f.lobw"
    lobw.write(path, HEADER, RECORDS)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(CommandError) as refused:
        lobw.read(path)
    assert str(refused.value).startswith(f"{path}: {said}")


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.lobw: cannot be read: No such file"):
        lobw.read(tmp_path / "none.lobw")


def test_same_seed_gives_the_same_bytes() -> None:
    assert lobw_generate.generate(500, 3, 50, 7) == lobw_generate.generate(500, 3, 50, 7)
    assert lobw_generate.generate(500, 3, 50, 7) != lobw_generate.generate(500, 3, 50, 8)


@pytest.mark.parametrize("symbols", [1, 40])
def test_generated_flow_keeps_the_promises_of_the_format(symbols: int) -> None:
    """A new order never crosses, a cancel names a resting order; a third of all messages are cancels."""
    header, records = lobw_generate.generate(20_000, symbols, 1000, 5)
    resting: dict[int, tuple[int, int, int]] = {}
    kinds: Counter[int] = Counter()
    last_id = 0
    for kind, side, symbol, order, price, quantity in RECORD.iter_unpack(records):
        kinds[kind] += 1
        if kind == CANCEL:
            assert order in resting or order <= last_id
            resting.pop(order, None)
            continue
        assert order == last_id + 1
        assert 0 < price < header.price_max
        assert quantity > 0
        last_id = order
        if kind == NEW:
            resting[order] = (symbol, side, price)
    assert last_id == header.id_max
    assert kinds.total() == header.warm + header.messages
    assert 0.3 < kinds[CANCEL] / header.messages < 0.4
    assert 0.02 < kinds[CROSS] / header.messages < 0.07
    assert header.trades > kinds[CROSS]
