# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the probe: its arguments, its exits, check mode. The probe is a script of the test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import instance_type_of
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host
from ansible_collections.ironbook.trading.plugins.modules import latency_probe_info
from fixtures import probe_documents


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args(options), pytest.raises(SystemExit) as ended:
        latency_probe_info.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "probe"
    document = json.dumps(probe_documents.pingpong(range(10000, 12000)))
    path.write_text(f"#!/bin/sh\necho \"$@\" >> {tmp_path}/words\necho '{document}'\n")
    path.chmod(0o700)
    return path


def test_documentation_and_arguments_name_the_same_options() -> None:
    assert set(yaml.safe_load(latency_probe_info.DOCUMENTATION)["options"]) == set(latency_probe_info.ARGUMENTS)


@pytest.mark.parametrize("check", [False, True])
def test_it_measures_and_changes_nothing_in_check_mode_too(
    capsys: pytest.CaptureFixture[str], program: Path, check: bool
) -> None:
    options = {
        "program": str(program),
        "mode": "pingpong",
        "repeats": 3,
        "protocol": "udp",
        "_ansible_check_mode": check,
    }
    code, result = call(capsys, **options)
    assert (code, result["changed"], result["measurement"]["repeats"]) == (0, False, 3)
    words = (program.parent / "words").read_text().splitlines()
    assert words == ["pingpong --seconds 5 --protocol udp"] * 3
    assert result["measurement"]["instance_type"] == instance_type_of(Host())
    documented = yaml.safe_load(latency_probe_info.RETURN)["measurement"]["contains"]
    assert set(result["measurement"]) <= set(documented) | {"clock", "threshold_ns"}


def test_a_host_without_the_probe_is_skipped_in_check_mode_and_refused_otherwise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, result = call(capsys, program="/nowhere/probe", mode="noise")
    assert code == 1 and "probe_build installs it" in result["msg"] and "\n" not in result["msg"]
    code, result = call(capsys, program="/nowhere/probe", mode="noise", _ansible_check_mode=True)
    assert (code, result["skipped"], result["changed"]) == (0, True, False)


def test_what_does_not_go_together_is_one_line(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    code, result = call(capsys, program=str(program), mode="noise", protocol="udp")
    assert code == 1 and result["msg"].startswith("protocol: the mode noise takes cpus")
    code, result = call(capsys, program=str(program), mode="pingpong", repeats=2)
    assert code == 1 and "3 are the least" in result["msg"]
