# SPDX-License-Identifier: GPL-3.0-or-later
"""What the twin takes and says of an empty directory; what it reads is tested with the module."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import engine_snapshot, engine_snapshot_info
from fixtures.fake_admin import fake_member


def test_it_names_the_member_as_the_module_does_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert engine_snapshot_info.ARGUMENTS["config"] == engine_snapshot.ARGUMENTS["config"]
    with fake_member() as member:
        with patch_module_args({"config": str(member.config)}), pytest.raises(SystemExit):
            engine_snapshot_info.main()
        assert json.loads(capsys.readouterr().out)["snapshots"] == []
        assert not list(member.journal.iterdir())
