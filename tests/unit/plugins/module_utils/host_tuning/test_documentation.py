# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the tunables is what the catalogue says."""

from __future__ import annotations

import re

import host_tuning_docs
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.audit import VERDICTS
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TUNABLES


def test_the_page_is_made_from_the_catalogue() -> None:
    assert host_tuning_docs.PAGE.read_text(encoding="utf-8") == host_tuning_docs.page(), "run: make host-docs"


def test_it_names_every_tunable_and_every_verdict() -> None:
    page = host_tuning_docs.page()
    assert set(re.findall(r"\*\*`([a-z0-9_.]+)`\*\*", page)) == {tunable.id for tunable in TUNABLES}
    assert set(host_tuning_docs.VERDICTS) == set(VERDICTS)
    for tunable in TUNABLES:
        assert tunable.why in page and tunable.source in page, tunable.id


def test_each_table_has_the_columns_of_its_heading() -> None:
    columns = 0
    for line in host_tuning_docs.page().splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        columns = columns or count
        assert count == columns, line
