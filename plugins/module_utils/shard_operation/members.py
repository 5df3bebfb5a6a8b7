# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation on a shard has to know of its members, out of what each of them has said. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def members(seen: Mapping[str, Mapping[str, Any]], replica: int = -1) -> dict[str, Any]:
    """Put together what engine_failover_info has returned for each host of one shard.

    `replica` is who is asked for, -1 where anybody will do: then it is the next one after the primary that is in sync.
    Numbers are -1 and names empty where there is nobody. ValueError where the hosts are not of one shard.
    """
    found = {host: result["member"] for host, result in seen.items()}
    if len({one["shard"] for one in found.values()}) != 1:
        raise ValueError(f"the hosts {', '.join(found)} are not of one shard")
    if len(hosts := {one["replica"]: host for host, one in found.items()}) != len(found):
        raise ValueError(f"two of the hosts {', '.join(found)} have the same replica")
    leading = [one for one in found.values() if one["role"] == "primary"]
    # One that was stopped and goes on may think for a moment that it still leads: the highest epoch of its own counts,
    # for the record's is the same whoever reads it.
    primary = max(leading, key=lambda one: one.get("heard_epoch") or 0, default=None)
    newest = max(found.values(), key=lambda one: one["version"] or 0)
    first = primary["replica"] if primary else -1
    # Of itself a member says by its role whether it leads: one that may not open alone hears itself all the same.
    hearing = {host: one["heard"] for host, one in found.items() if one.get("heard") not in (None, one["replica"])}
    target = replica if replica >= 0 else _next(first, newest, len(found))
    return {
        "primary": first,
        "primary_host": hosts.get(first, ""),
        # Of one whose host answers nothing here the others may know better.
        "heard": first if primary else next(iter(hearing.values()), -1),
        "heard_by": next(iter(hearing), ""),
        "recorded_host": hosts.get(newest["primary"], ""),
        "target": target,
        "target_host": hosts.get(target, ""),
        "hosts": [hosts[number] for number in sorted(hosts)],
        "epoch": newest["epoch"] or 0,
        "in_sync": newest["in_sync"],
        "whole": primary is not None and sorted(newest["in_sync"]) == list(range(newest["members"])),
        "state": primary["state"] if primary else "",
        "pid": primary["pid"] if primary else 0,
        "store_errors": sorted({result["store_error"] for result in seen.values() if result["store_error"]}),
    }


def _next(first: int, newest: Mapping[str, Any], count: int) -> int:
    """The first one in sync behind the primary, in the order in which they take over."""
    order = [(first + step) % count for step in range(1, count + 1)]
    return next((number for number in order if number in newest["in_sync"] and number != first), -1)
