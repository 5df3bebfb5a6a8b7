# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of an inventory reads the files that Ansible reads, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight.inventory import read


def test_file_that_ansible_ignores_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Molecule puts a file of its own beside our inventory; both Ansible and we are told to ignore it."""
    for name in ("ansible_inventory.yml", "hosts.yml"):
        (tmp_path / name).write_text(f"all:\n  vars:\n    of_{name.removesuffix('.yml')}: 1\n")
    assert [setting.name for setting in read([str(tmp_path)])] == ["of_ansible_inventory", "of_hosts"]
    monkeypatch.setenv("ANSIBLE_INVENTORY_IGNORE_REGEX", "ansible_inventory")
    assert [setting.name for setting in read([str(tmp_path)])] == ["of_hosts"]
