# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook replay`: what it takes a file for, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ironbook import cli, core
from ironbook.core.records import Command, CommandType, instrument_add, session_add
from ironbook.market_data import lobw, lobw_generate

ROWS = "34200.1,1,10,100,500,1\n34200.2,1,11,50,510,-1\n34200.3,4,10,30,500,1\n"


def replayed(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict[str, Any]]:
    assert cli.main(["replay", *map(str, words)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_kind_of_input_goes_through_the_same_core(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message_file = tmp_path / "TEST_2012-06-21_1_2_message_1.csv"
    message_file.write_text(ROWS, encoding="utf-8")
    flow = tmp_path / "f.lobw"
    lobw.write(flow, *lobw_generate.generate(2000, 2, 100, 1))
    journal = tmp_path / "journal"
    with core.Journal(journal) as writer:
        enter = Command(3, 3, CommandType.ENTER, user_ref=1, price=5, quantity=7, side=1, order_type=1)
        writer.append([instrument_add(1, 1, 0, "AAPL", 1), session_add(2, 2, 0, "MAKER1", "MAKR"), enter])
    first = replayed(capsys, message_file, flow, journal)
    assert [found["kind"] for found in first] == ["lobster", "lobw", "journal"]
    assert (first[0]["trades"], first[0]["quantity"], first[0]["notional"], first[0]["orders_open"]) == (
        1,
        30,
        "15000",
        2,
    )
    assert first[1]["trades"] == lobw.read(flow).header.trades
    assert (first[2]["seq"], first[2]["orders_open"]) == (3, 1)
    assert first[2]["state_hash"] == f"{core.replay(journal).state_hash:016x}"
    assert replayed(capsys, message_file, flow, journal) == first


def test_one_size_more_is_another_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashes = set()
    for rows in (ROWS, ROWS, ROWS.replace(",100,", ",101,")):
        path = tmp_path / "TEST_2012-06-21_1_2_message_1.csv"
        path.write_text(rows, encoding="utf-8")
        hashes.add(replayed(capsys, path)[0]["state_hash"])
    assert len(hashes) == 2


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong_sums = tmp_path / "wrong.lobw"
    header, records = lobw_generate.generate(2000, 1, 100, 1)
    lobw.write(wrong_sums, header._replace(trades=header.trades + 1), records)
    strange = tmp_path / "strange.bin"
    strange.write_bytes(b"nonsense")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path, said in (
        (tmp_path / "none", f"{tmp_path}/none: cannot be read: No such file or directory"),
        (wrong_sums, f"{wrong_sums}: the matcher does not agree with the file: trades"),
        (strange, f"{strange}: is not named as LOBSTER names message files"),
        (empty, f"{empty}: no journal here"),
    ):
        assert cli.main(["replay", str(path)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"ironbook: {said}")
        assert error.count("\n") == 1
