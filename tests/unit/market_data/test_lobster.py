# SPDX-License-Identifier: GPL-3.0-or-later
"""LOBSTER files: what is read, and how each kind of wrong line is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from ironbook.market_data import lobster
from ironbook.market_data.lobster import MarketDataError, Message

GOOD = "34200.004241176,1,16113575,18,5853300,1"
NAME = "AAPL_2012-06-21_34200000_37800000_message_50.csv"


def test_a_line_becomes_a_message() -> None:
    assert lobster.parse(GOOD.encode(), "f") == [Message(1, 34200_004241176, 1, 16113575, 18, 5853300, 1)]


def test_byte_order_mark_and_windows_lines_are_read() -> None:
    data = b"\xef\xbb\xbf" + f"{GOOD}\r\n34200.5,7,0,0,-1,-1\r\n".encode()
    assert [message.type for message in lobster.parse(data, "f")] == [1, 7]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("x,1,16113575,18,5853300,1", "time"),
        ("-1.0,1,16113575,18,5853300,1", "time"),
        ("99999.0,1,16113575,18,5853300,1", "time"),
        ("34199.9,1,16113575,18,5853300,1", "time"),
        ("34200.1,8,16113575,18,5853300,1", "type"),
        ("34200.1,one,16113575,18,5853300,1", "type"),
        ("34200.1,1,0,18,5853300,1", "order_id"),
        ("34200.1,1,1e5,18,5853300,1", "order_id"),
        ("34200.1,1,16113575,0,5853300,1", "size"),
        ("34200.1,1,16113575,,5853300,1", "size"),
        ("34200.1,1,16113575,4294967296,5853300,1", "size"),
        ("34200.1,1,100000000000000,18,5853300,1", "order_id"),
        ("34200.1,1,16113575,18,1999999901,1", "price"),
        ("34200.1,1,16113575,\u0661,5853300,1", "size"),
        ("34200.1,1,16113575,18,-5853300,1", "price"),
        ("34200.1,1,16113575,18,585.33,1", "price"),
        ("34200.1,1,16113575,18,5853300,2", "direction"),
        ("34200.1,1,16113575,18,5853300", "direction"),
        ("34200.1,1,16113575,18,5853300,1,9", "direction"),
        ("", "type"),
    ],
)
def test_a_wrong_line_is_named_by_file_line_and_field(line: str, field: str) -> None:
    with pytest.raises(MarketDataError) as caught:
        lobster.parse(f"{GOOD}\n{line}\n{GOOD}\n".encode(), "dir/file.csv")
    assert str(caught.value).startswith(f"dir/file.csv:2: field {field}: ")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_named_by_line() -> None:
    with pytest.raises(MarketDataError, match="f:2: field line"):
        lobster.parse(f"{GOOD}\n".encode() + b"\xff\xfe\n", "f")


def test_packed_and_plain_files_are_the_same_session(tmp_path: Path) -> None:
    plain, packed = tmp_path / NAME, tmp_path / f"{NAME}.gz"
    plain.write_text(f"{GOOD}\n")
    packed.write_bytes(gzip.compress(f"{GOOD}\n".encode()))
    first, second = lobster.read_session(plain), lobster.read_session(packed)
    assert (first.sha256, first.messages, first.symbol) == (second.sha256, second.messages, "AAPL")


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    broken = tmp_path / f"{NAME}.gz"
    broken.write_bytes(gzip.compress(f"{GOOD}\n".encode() * 100)[:-20])
    other = tmp_path / "prices.csv"
    other.write_text(f"{GOOD}\n")
    empty = tmp_path / NAME
    empty.write_text("")
    for path, text in ((broken, "cannot be read"), (other, "not named as LOBSTER"), (empty, "is empty")):
        with pytest.raises(MarketDataError, match=text):
            lobster.read_session(path)


def test_a_directory_holds_exactly_one_session(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="holds no LOBSTER"):
        lobster.find_message_file(tmp_path)
    (tmp_path / "AAPL_message_10.first_rows.csv").write_text("no session")
    (tmp_path / NAME).write_text(GOOD)
    assert lobster.find_message_file(tmp_path) == tmp_path / NAME
    (tmp_path / NAME.replace("AAPL", "AMZN")).write_text(GOOD)
    with pytest.raises(MarketDataError, match="holds 2 message files"):
        lobster.find_message_file(tmp_path)
    with pytest.raises(MarketDataError, match="no such"):
        lobster.find_message_file(tmp_path / "nowhere")
