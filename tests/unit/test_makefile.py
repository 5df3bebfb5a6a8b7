# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile hands on: nothing of the account that a user works with, and a Python that collects less often."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight.endpoint import NOT_READ_BY_ALL

ROOT = Path(__file__).resolve().parents[2]
GIVEN = [*NOT_READ_BY_ALL, "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_STS"]


def test_nothing_of_a_real_account_is_handed_on() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "--eval", "show-environment:;@env -0", "show-environment"],
        cwd=ROOT,
        env=os.environ | {name: "work" for name in GIVEN if not name.startswith("_")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    handed_on = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if "=" in entry)
    assert "PATH" in handed_on
    assert {name: value for name, value in handed_on.items() if name.startswith(("AWS_", "EC2_", "S3_"))} == {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


@pytest.mark.parametrize(
    "key", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"]
)  # AWS's own example, and as a session's
def test_a_key_of_a_real_account_ends_make_site_before_anything(key: str) -> None:
    done = make_no_account(key)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert line.startswith("AWS_ACCESS_KEY_ID is a key of a real account, and make site reaches none: unset AWS_")
    assert key not in line


@pytest.mark.parametrize("key", ["", "testing", "EXAMPLEAKIA"])
def test_other_keys_are_not_read(key: str) -> None:
    assert make_no_account(key).returncode == 0


def make_no_account(key: str) -> subprocess.CompletedProcess[str]:
    """Run what `make site` begins with; that it does is asked of make itself."""
    command = ["make", "--no-print-directory", "no-account"]
    environment = os.environ | {"AWS_ACCESS_KEY_ID": key}
    plan = subprocess.run(
        ["make", "--dry-run", "site"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert plan.stdout.startswith("test -z"), "make site asks first"
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_python_in_the_environment_looks_for_garbage_less_often() -> None:
    """In each process that is started there, whoever starts it (docs/decisions/0026)."""
    command = [sys.executable, "-c", "import gc; print(*gc.get_threshold())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "50000 20 100\n"
