# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible ends with one line, before anything is asked of AWS, unless AWS is a live emulator on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.inventory.local_only import InventoryModule, unreachable


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def parse(monkeypatch: pytest.MonkeyPatch, url: str | None, **more: str) -> None:
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    settings = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": "/dev/null"} | more
    for name, value in (settings | ({} if url is None else {"AWS_ENDPOINT_URL": url})).items():
        monkeypatch.setenv(name, value)
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


@pytest.mark.parametrize(
    "more",
    [
        {"AWS_ACCESS_KEY": "AKIA"},
        {"AWS_URL": "http://127.0.0.1:1"},
        {"HTTP_PROXY": "http://proxy.example"},
        {"AWS_CONFIG_FILE": "config"},
    ],
)
def test_a_live_emulator_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listening: str, more: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config").write_text("[default]\nignore_configured_endpoint_urls = true\n")
    with pytest.raises(SystemExit, match=r"^ERROR: a_local_only.yml: [^\n]+$"):
        parse(monkeypatch, listening, **more)
