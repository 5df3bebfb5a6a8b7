# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is who in a shard, and what the report of an operation says."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.filter import shard_operation


def member(replica: int, role: str = "standby", primary: int | None = 0, **more: Any) -> dict[str, Any]:
    values = {"shard": 0, "replica": replica, "role": role, "epoch": 4, "primary": primary, "in_sync": [0, 1, 2],
              "version": 9, "members": 3, "state": "serving", "pid": 100 + replica}  # fmt: skip
    return {"member": values | more, "store_error": ""}


def shard(*members: dict[str, Any]) -> dict[str, Any]:
    return {f"host-{one['member']['replica']}": one for one in members}


WHOLE = shard(member(0, "primary"), member(1), member(2))


def test_who_is_who() -> None:
    found = shard_operation.shard_members(WHOLE)
    assert (found["primary"], found["primary_host"], found["target"], found["target_host"]) == (
        0,
        "host-0",
        1,
        "host-1",
    )
    assert (found["whole"], found["epoch"], found["pid"], found["hosts"]) == (
        True,
        4,
        100,
        ["host-0", "host-1", "host-2"],
    )
    assert shard_operation.shard_members(WHOLE, 2)["target_host"] == "host-2"
    assert shard_operation.shard_members(WHOLE, 5)["target_host"] == ""


def test_the_next_one_is_in_sync() -> None:
    few = shard(*(member(n, "primary" if n == 1 else "standby", 1, in_sync=[0, 1]) for n in range(3)))
    assert shard_operation.shard_members(few)["target"] == 0
    assert shard_operation.shard_members(few)["whole"] is False
    alone = shard(*(member(n, "primary" if n == 1 else "standby", 1, in_sync=[1]) for n in range(3)))
    assert shard_operation.shard_members(alone)["target"] == -1


def test_a_zombie_is_not_the_primary() -> None:
    """One that was stopped and goes on says for a moment that it leads; what is newest counts."""
    new = {"primary": 1, "epoch": 5, "version": 10}  # the record, which is the same for both
    seen = shard(member(0, "primary", heard_epoch=4, **new), member(1, "primary", heard_epoch=5, **new), member(2))
    found = shard_operation.shard_members(seen)
    assert (found["primary"], found["epoch"]) == (1, 5)


def test_nobody_leads() -> None:
    down = shard(member(1, "standby", 0), member(2, "down", 0, state=None, pid=None))
    found = shard_operation.shard_members(down, 1)
    assert (found["primary"], found["primary_host"], found["recorded_host"]) == (-1, "", "")
    assert (found["target_host"], found["whole"], found["state"]) == ("host-1", False, "")


def test_a_primary_that_does_not_answer_is_known_by_who_hears_it() -> None:
    silent = shard(member(0, "standby", 1, heard=1), member(1, "down", 1, heard=None), member(2, "down", 1, heard=None))
    found = shard_operation.shard_members(silent, 2)
    assert (found["primary"], found["heard"], found["heard_by"]) == (-1, 1, "host-0")
    gone = shard(member(0, "standby", 1, heard=None), member(1, "down", 1, heard=None))
    found = shard_operation.shard_members(gone, 0)
    assert (found["heard"], found["heard_by"]) == (-1, "")
    alone = shard(member(0, "opening", 0, heard=0), member(1, "down", 0, heard=None), member(2, "down", 0, heard=None))
    found = shard_operation.shard_members(alone, 0)  # the record names it, and it may not open without another
    assert (found["primary"], found["heard"], found["heard_by"]) == (-1, -1, "")
    assert shard_operation.shard_members(WHOLE)["heard"] == 0


def test_what_is_not_one_shard_is_refused() -> None:
    for seen in ({"a": member(0), "b": member(1, shard=1)}, {"a": member(0), "b": member(0)}, {"a": {}}):
        with pytest.raises(AnsibleFilterError, match="shard_members"):
            shard_operation.shard_members(seen)


def given(**more: Any) -> dict[str, Any]:
    members = {host: one["member"] for host, one in WHOLE.items()}
    return {
        "operation": "switch_over", "shard": 0, "environment": "local", "failure": "", "before": members,
        "started_at": "2026-11-29T14:30:00+00:00", "ended_at": "2026-11-29T14:30:02+00:00", "after": members,
        "timelines": {"host-1": [{"at": "2026-11-29T14:30:01.500+00:00", "what": "second"}],
                      "host-0": [{"at": "2026-11-29T14:30:01.250+00:00", "what": "first <b>"}], "host-2": []},
    } | more  # fmt: skip


def test_the_report_tells_in_order_what_happened() -> None:
    made = shard_operation.shard_operation_report(given())
    assert [step["what"] for step in made["timeline"]] == ["first <b>", "second"]
    assert (made["format"], made["outcome"], made["changed"]) == (1, "done", True)
    failed = shard_operation.shard_operation_report(given(failure="replica 1 <is> gone"))
    assert failed["outcome"] == "failed"
    begun = shard_operation.shard_operation_report(given(ended_at="", timelines={}, about={"epoch": 4}))
    assert (begun["outcome"], begun["about"]) == ("begun", {"epoch": 4})
    assert "has not come to its end" in shard_operation.shard_operation_html(begun)
    with pytest.raises(AnsibleFilterError, match="ended_at"):
        shard_operation.shard_operation_report({key: value for key, value in given().items() if key != "ended_at"})


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name in ("src", "href") for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_escaped_and_needs_nothing_else() -> None:
    made = shard_operation.shard_operation_report(given(failure="replica 1 <is> gone"))
    page = shard_operation.shard_operation_html(made)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for words in ("first <b>", "replica 1 <is> gone", "host-2", "switch_over: shard 0, local", "failed"):
        assert words in tags.text
    assert "http" not in page
    nothing = shard_operation.shard_operation_html(shard_operation.shard_operation_report(given(timelines={})))
    assert "Nothing: it was so already" in nothing
