# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that hold for every repair, and the launcher's own page."""

from __future__ import annotations

import ast
import json
import urllib.request
from pathlib import Path

from ironbook.emulator.repairs import REPAIRS

HERE = Path(__file__).parent
# A database needs a real PostgreSQL, so the tests of both are among the integration tests.
OF_DATABASES = HERE.parents[1] / "integration" / "test_rds_endpoint.py"
TESTS = {"rds_endpoint": OF_DATABASES, "gp3_databases": OF_DATABASES}
NAMES = sorted(name for names in REPAIRS.values() for name in names)


def test_every_repair_is_listed_and_names_the_documentation(repairs_directory: Path) -> None:
    files = sorted(path.stem for path in repairs_directory.glob("*.py") if path.stem != "__init__")
    assert files == NAMES
    for name in NAMES:
        text = ast.get_docstring(ast.parse((repairs_directory / f"{name}.py").read_text())) or ""
        assert "\nAWS: " in text, f"{name}.py does not say where AWS documents the behaviour"


def test_every_repair_has_a_test_that_fails_once_moto_no_longer_needs_it() -> None:
    for name in NAMES:
        path = TESTS.get(name, HERE / f"test_{name}.py")
        functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        assert any(function.startswith("test_stock_moto") for function in functions), path


def test_health_says_whose_emulator_answers(repaired) -> None:
    url = repaired("ec2").meta.endpoint_url
    with urllib.request.urlopen(f"{url}/ironbook/health", timeout=5) as answer:
        health = json.load(answer)
    assert health["status"] == "serving"
    assert isinstance(health["pid"], int)
    assert health["postgres_port"] == int(url.rsplit(":", 1)[1]) + 1


def test_the_account_is_the_emulators(repaired) -> None:
    assert repaired("sts").get_caller_identity()["Account"] == "123456789012"
