# SPDX-License-Identifier: GPL-3.0-or-later
"""What the twin takes; what it reads is tested with the module (test_journal_archive.py)."""

from __future__ import annotations

import yaml
from ansible_collections.ironbook.trading.plugins.modules import journal_archive, journal_archive_info


def test_its_options_are_documented_and_name_the_place_as_the_module_does() -> None:
    documented = yaml.safe_load(journal_archive_info.DOCUMENTATION)["options"]
    assert set(documented) == set(journal_archive_info.ARGUMENTS)
    shipped = yaml.safe_load(journal_archive.DOCUMENTATION)["options"]
    assert set(shipped) == set(journal_archive.ARGUMENTS)
    for name in ("bucket", "prefix"):
        assert {key: documented[name][key] for key in ("type", "required")} == {"type": "str", "required": True}
        assert shipped[name]["type"] == "str"
