# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator over HTTP, with what others provide in it, and an account in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emulated_aws import emulator
from platform_resources import Client, Recorder, clients, in_this_process, provide


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Clients of an emulator of these tests' own: a process, asked over HTTP."""
    with emulator(tmp_path_factory.mktemp("emulator")) as (_, url):
        client = clients(url)
        provide(client)
        yield client


@pytest.fixture(scope="module")
def moto() -> Iterator[Client]:
    """Clients of moto in this process; what a test makes there has names of its own."""
    with in_this_process():
        client = clients()
        provide(client)
        yield client


@pytest.fixture
def recorder(moto: Client) -> Recorder:
    """The same, with each request kept."""
    return Recorder(moto)
