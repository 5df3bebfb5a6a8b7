# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the audit: its arguments, its exits, and a captured tree that is audited through it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import host_tuning_info
from fixtures import host_trees


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args(options), pytest.raises(SystemExit) as ended:
        host_tuning_info.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_documentation_and_arguments_name_the_same_options() -> None:
    assert set(yaml.safe_load(host_tuning_info.DOCUMENTATION)["options"]) == set(host_tuning_info.ARGUMENTS)


def test_a_captured_tree_is_audited_with_a_warning_that_it_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Not from the result: where a test before this one has loaded Ansible's controller, its display takes warnings.
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    host_trees.write(host_trees.tuned_metal(), tmp_path)
    code, result = call(capsys, root=str(tmp_path), isolated_cpus="4-35", huge_pages=1024, gigantic_pages=2)
    assert (code, result["changed"], result["audit"]["schema_version"]) == (0, False, 2)
    assert result["audit"]["host"]["instance_type"] == "c5n.metal"
    counts = result["audit"]["counts"]
    assert counts["ok"] >= 150 and counts["drift"] == counts["harmful"] == counts["not_persisted"] == 0
    unknown = {row["id"].partition(".")[0] for row in result["audit"]["findings"] if row["verdict"] == "unknown"}
    assert unknown == {"ec2"}, "nobody asked the API"
    assert len(warnings) == 1 and str(tmp_path) in warnings[0]


def test_what_is_documented_is_returned(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    host_trees.write(host_trees.tuned_metal(), tmp_path)
    _code, result = call(capsys, root=str(tmp_path))
    documented = yaml.safe_load(host_tuning_info.RETURN)["audit"]["contains"]
    assert set(documented) == set(result["audit"])
    assert set(documented["findings"]["contains"]) <= set(result["audit"]["findings"][0])


def test_a_number_of_cores_is_those_that_the_tuning_would_choose(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The last ones beside the adapter, which is on the first of two sockets of 18 cores."""
    host_trees.write(host_trees.tuned_metal(), tmp_path)
    _code, result = call(capsys, root=str(tmp_path), isolated_cores=8)
    assert result["audit"]["host"]["isolated_cpus"] == "10-17"
    _code, result = call(capsys, root=str(tmp_path), isolated_cores=8, isolated_cpus="4-35")
    assert result["audit"]["host"]["isolated_cpus"] == "4-35", "a list that is given counts"
    code, result = call(capsys, root=str(tmp_path), isolated_cores=36)
    assert code == 1 and "isolated cores: 36 of 36" in result["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"root": "/nowhere"}, "no captured tree"), ({"isolated_cpus": "0-3"}, "CPU 0"), ({"isolated_cpus": "x"}, "'x'")],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], options: dict[str, Any], words: str) -> None:
    code, result = call(capsys, **options)
    assert code == 1 and words in result["msg"] and "\n" not in result["msg"]
