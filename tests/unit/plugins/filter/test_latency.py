# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters around measurements: each reaches what it is named after, and what is wrong is one line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.filter.latency import FilterModule
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe.measurement import summarize
from fixtures import probe_documents
from local_processes import ROOT

FILTERS = FilterModule().filters()


def measured(base: int) -> dict[str, Any]:
    runs = [probe_documents.pingpong(range(base + run, base + run + 2000)) for run in range(3)]
    return summarize(runs, "pingpong", {})


def test_after_stands_before_the_filter_and_before_behind_it() -> None:
    fast, slow = measured(10000), measured(20000)
    assert FILTERS["latency_compare"](fast, slow)["verdict"] == "better"
    assert FILTERS["latency_experiment"]([fast], [slow])["keep"] is True
    row = {"from": "a", "to": "b", "protocol": "tcp", "busy_poll_us": 0}
    earlier = FILTERS["latency_mesh"]([row | {"measurement": slow}], "then")
    made = FILTERS["latency_mesh"]([row | {"measurement": fast}], "now", earlier)
    assert made["rows"][0]["compared"]["verdict"] == "better"
    assert FILTERS["latency_experiment_report"]([], "a", "now")["groups"] == []


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("latency_compare", ({}, {})),
        ("latency_mesh", ([{}], "now")),
        ("latency_mesh", ([], "now", {"schema": "other"})),
        ("latency_experiment", ([], [])),
        ("latency_experiment_report", ([{}], "a", "now")),
    ],
)
def test_what_is_none_of_ours_is_one_line(name: str, given: tuple[Any, ...]) -> None:
    with pytest.raises(AnsibleFilterError) as raised:
        FILTERS[name](*given)
    assert "\n" not in str(raised.value)


def test_each_has_its_documentation() -> None:
    for name in FILTERS:
        assert yaml.safe_load((ROOT / f"plugins/filter/{name}.yml").read_text())["DOCUMENTATION"]["name"] == name
