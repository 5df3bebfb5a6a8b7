# SPDX-License-Identifier: GPL-3.0-or-later
"""The twin refuses nothing and names no change; what it reads is tested with the module (test_aws_part_tags.py)."""

from __future__ import annotations

import yaml
from ansible_collections.ironbook.trading.plugins.modules import aws_part_tags, aws_part_tags_info


def test_it_takes_what_the_module_takes() -> None:
    assert (
        yaml.safe_load(aws_part_tags_info.DOCUMENTATION)["options"]
        == yaml.safe_load(aws_part_tags.DOCUMENTATION)["options"]
    )
