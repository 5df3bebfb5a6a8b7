# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible reads a plugin's options from its documentation: where that is no YAML, the plugin cannot be used at all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = [path for path in sorted((ROOT / "plugins").rglob("*.py")) if "\nDOCUMENTATION = " in path.read_text()]


@pytest.mark.parametrize("path", PLUGINS, ids=[str(path.relative_to(ROOT / "plugins")) for path in PLUGINS])
def test_what_a_plugin_says_of_itself_is_yaml(path: Path) -> None:
    """Of each of the three texts; the docs lane reads more out of them, this takes no time."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            name = node.targets[0].id if isinstance(node.targets[0], ast.Name) else ""
            if name in ("DOCUMENTATION", "RETURN", "EXAMPLES"):
                said = yaml.safe_load(node.value.value)
                if name == "DOCUMENTATION":
                    assert path.stem in (said.get("name"), said.get("module"))


def test_there_are_plugins() -> None:
    """Else nothing is read above."""
    assert {"account_only", "brief", "aws_part_tags"} <= {path.stem for path in PLUGINS}
