# SPDX-License-Identifier: GPL-3.0-or-later
"""Two emulators over HTTP: `repaired` is ours, `stock` is moto as it comes, which the repairs are measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.validate import ParamValidator
from emulated_aws import emulator, stock_moto

Client = Callable[[str], Any]


def _clients(url: str) -> Client:
    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


@pytest.fixture(scope="session")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Clients of our emulator."""
    with emulator(tmp_path_factory.mktemp("emulator")) as (_, url):
        yield _clients(url)


@pytest.fixture(scope="session")
def stock() -> Iterator[Client]:
    """Clients of stock moto."""
    with stock_moto() as url:
        yield _clients(url)


@pytest.fixture(scope="session")
def conforms() -> Callable[[Any, str, dict[str, Any]], None]:
    """Check an answer against botocore's service model: members, types, required members and enumerations."""

    def check(client: Any, operation: str, answer: dict[str, Any]) -> None:
        shape = client.meta.service_model.operation_model(operation).output_shape
        body = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        report = ParamValidator().validate(body, shape)
        assert not report.has_errors(), report.generate_report()
        wrong = list(_wrong_enums(shape, body, operation))
        assert not wrong, wrong

    return check


def _wrong_enums(shape: Any, value: Any, where: str) -> Iterator[str]:
    """Values that the service model does not list; ParamValidator does not look at them."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from _wrong_enums(shape.members[name], member, f"{where}.{name}")
    elif shape.type_name == "list":
        for index, member in enumerate(value):
            yield from _wrong_enums(shape.member, member, f"{where}[{index}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where} = {value!r}"


@pytest.fixture(scope="session")
def repairs_directory() -> Path:
    """Where the repairs are."""
    return Path(__file__).resolve().parents[3] / "services" / "ironbook" / "emulator" / "repairs"
