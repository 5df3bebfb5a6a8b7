# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided, and what is refused before the first call."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kind import Found
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.plan import (
    Known,
    Planner,
    Run,
    wanted_of,
)
from platform_resources import BUCKET, FOREIGN, TAGS

FLOW = {"name": "f", "vpc": "trading", "bucket_arn": BUCKET}
GROUP = {"retention_days": 0, "kms_key_arn": None, "log_class": "STANDARD"}


def planner(options: dict[str, Any], known: Known | None = None, **run: Any) -> Planner:
    return Planner(KINDS, wanted_of(KINDS, {"tags": TAGS, **options}), known or Known({}), Run(TAGS, **run))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"tags": {**TAGS, "Team": ""}}, "tags lack Team, which every resource carries: set it in ironbook_tags"),
        ({"flow_logs": [FLOW, FLOW]}, "flow_log f: it is given twice: remove one"),
        (
            {"flow_logs": [{"name": "f", "vpc": "v"}]},
            "flow_log f: give either log_group or bucket_arn: a flow log has one destination",
        ),
    ],
)
def test_what_is_wrong_is_said_before_the_first_call(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError) as error:
        wanted_of(KINDS, {"tags": TAGS, **options})
    assert str(error.value) == line


def test_who_removes_one_need_not_describe_it() -> None:
    (wanted,) = wanted_of(KINDS, {"tags": TAGS, "flow_logs": [{"name": "f", "state": "absent"}]})
    assert wanted.absent


def test_a_vpc_is_known_after_apply_in_check_mode_alone() -> None:
    shown = planner({"flow_logs": [FLOW]}, check=True)
    assert shown.problems == [] and shown.steps["flow_log", "f"].after["vpc"] == plan.UNKNOWN
    assert planner({"flow_logs": [FLOW]}).problems == [
        "flow_log f: it names the vpc trading, which does not exist: correct the name, or provide that first"
    ]


def test_two_with_one_name_are_not_chosen_between() -> None:
    known = Known({}, {"vpc": {"trading": ["vpc-1", "vpc-2"]}})
    assert planner({"flow_logs": [FLOW]}, known).problems == [
        "flow_log f: several of vpc are named trading (vpc-1, vpc-2): rename all but one"
    ]


def test_an_id_is_taken_as_it_is() -> None:
    known = planner({"flow_logs": [{**FLOW, "vpc": "vpc-0123456789abcdef0"}]})
    assert known.steps["flow_log", "f"].after["vpc"] == "vpc-0123456789abcdef0"


def test_a_name_that_only_one_may_have_is_not_taken_from_others() -> None:
    known = Known({"log_group": [Found("/a", "/a", GROUP, FOREIGN)]})
    for adopt in (False, True):
        assert planner({"log_groups": [{"name": "/a"}]}, known, adopt=adopt).problems == [
            "log_group /a: it exists and is somebody else's (Project somebody-elses): give ours another name"
        ]


def test_several_of_ours_with_one_name_are_named() -> None:
    fields = {"zone": "a", "instance_type": "c5n.metal", "auto_placement": False, "recovery": False}
    known = Known({"dedicated_host": [Found("h", f"h-{n}", fields, TAGS) for n in (1, 2)]})
    options = {"dedicated_hosts": [{"name": "h", "zone": "a", "instance_type": "c5n.metal"}]}
    assert planner(options, known).problems == [
        "dedicated_host h: there are several of ours (h-1, h-2): remove all but one"
    ]


def test_what_this_run_removes_cannot_be_named() -> None:
    options = {
        "log_groups": [{"name": "/a", "state": "absent"}],
        "flow_logs": [{"name": "f", "vpc": "vpc-0123456789abcdef0", "log_group": "/a", "role_arn": "r"}],
    }
    assert planner(options).problems == ["flow_log f: it names the log_group /a, which this run removes: name another"]


def test_a_diff_shows_what_changes_and_no_more() -> None:
    found = Found("/a", "/a", {**GROUP, "retention_days": 7}, {**TAGS, "Team": "x", "Beside": "y"})
    step = planner({"log_groups": [{"name": "/a"}]}, Known({"log_group": [found]})).steps["log_group", "/a"]
    assert (step.action, list(step.changed)) == ("update", ["retention_days", "tags"])
    before, after = dict(step.before or {}), dict(step.after or {})
    assert {key for key in before if before[key] != after[key]} == {"retention_days", "tags"}
    assert after["tags"] == {**TAGS, "Beside": "y"}
    same = Found("/a", "/a", GROUP, after["tags"])
    assert (
        planner({"log_groups": [{"name": "/a"}]}, Known({"log_group": [same]})).steps["log_group", "/a"].action
        == "same"
    )
