# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of playbooks said, task by task and host by host, to be held against another run."""

from __future__ import annotations

from typing import Any

from integration.platform_runs import Run

# What differs from one run to the next, whoever runs it.
MOMENT = ("delta", "start", "end", "date", "x-amzn-requestid", "request_id", "latest_restorable_time")


def results(run: Run) -> dict[str, list[Any]]:
    """The results by play, task and host, in their order, of a run AS_JSON."""
    found: dict[str, list[Any]] = {}
    for play in run.json["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                name = f"{play['play']['name']}: {task['task']['name']}: {host}"
                found.setdefault(name, []).append(_lasting(result))
    return found


def _lasting(result: Any) -> Any:
    if isinstance(result, dict):
        return {key: _lasting(value) for key, value in result.items() if key not in MOMENT}
    return [_lasting(value) for value in result] if isinstance(result, list) else result
