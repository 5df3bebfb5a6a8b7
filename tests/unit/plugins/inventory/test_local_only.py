# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible ends with one line, before anything is asked of AWS, unless AWS is a live emulator on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from ansible_collections.ironbook.trading.plugins.inventory.local_only import InventoryModule, unreachable


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def parse(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        monkeypatch.delenv(name, raising=False)
    if url is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    InventoryModule().parse(None, None, "a_local_only.yml")


def test_a_live_emulator_passes(monkeypatch: pytest.MonkeyPatch, listening: str) -> None:
    parse(monkeypatch, listening)
    assert unreachable(listening) == []


@pytest.mark.parametrize("url", [None, "https://ec2.us-east-1.amazonaws.com", "http://127.0.0.1:9"])
def test_anything_else_ends_ansible_with_one_line(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(monkeypatch, url)
    line = str(ended.value)
    assert line.startswith("ERROR: a_local_only.yml: ")
    assert "\n" not in line
    assert "ironbook local up" in line
