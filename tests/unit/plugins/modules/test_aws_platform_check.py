# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's door: its documentation and its arguments are the same. What it judges: module_utils/aws_platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.ironbook.trading.plugins.modules import aws_platform_check

ROOT = Path(__file__).resolve().parents[4]
MODULE = "ansible_collections.ironbook.trading.plugins.modules.aws_platform_check"


def test_a_dead_endpoint_is_a_failure_and_no_traceback(tmp_path: Path) -> None:
    assert aws_platform_check.__name__ == MODULE
    tiers = {"public": ["10.0.1.0/24"], "private": [], "database": []}
    arguments = {
        "name": "v",
        "cidr": "10.0.0.0/16",
        "zones": ["us-east-1a"],
        "tiers": tiers,
        "nat_gateway_count": 1,
        "hosts": [],
        "tags": {},
        "security_groups": [],
        "_ansible_remote_tmp": str(tmp_path),
    }
    (tmp_path / "arguments.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "PYTHONPATH": str(ROOT / ".venv" / "collections"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    done = subprocess.run(
        [sys.executable, "-m", MODULE, str(tmp_path / "arguments.json")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer["failed"] is True
    assert answer["msg"].startswith("AWS cannot be read: ")
