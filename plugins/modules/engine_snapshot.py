#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_snapshot
short_description: Take a snapshot of a member's journal, and remove those that are too old
version_added: 0.1.0
description:
  - Takes a snapshot of the state that a member's journal leads to, beside the journal, so that a start has less to
    replay. No order waits for it; it takes processor time of its host at a low priority.
  - Of a replicated member never more than what is committed is taken. What is not may be cut off again.
  - Every snapshot that is there is loaded and checked first. A damaged one counts for nothing.
  - On the primary of a replicated shard nothing is taken while another member is in sync, unless O(on_primary) says so.
options:
  at_least:
    description: A sound snapshot at this sequence number or a later one is enough.
    type: int
  max_age:
    description:
      - A sound snapshot that was taken so many seconds ago or later is enough, and so is one of the journal's end.
      - Without O(at_least) and O(max_age), only one of the journal's end is.
    type: int
  keep:
    description:
      - How many sound snapshots stay, the newest ones. Older ones are removed, damaged ones among them.
      - Where it is left out, nothing is removed. The only sound one is never removed.
    type: int
  on_primary:
    description: Also take it where this member is the primary and a standby could.
    type: bool
    default: false
attributes:
  check_mode:
    description: Checks what is there, and says what it would take and remove.
    support: full
  diff_mode:
    description: Shows the snapshots that are sound, before and after.
    support: full
extends_documentation_fragment:
  - ironbook.trading.engine_member
seealso:
  - module: ironbook.trading.engine_snapshot_info
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Have a snapshot of the last hour, and no more than three
  ironbook.trading.engine_snapshot:
    config: /var/lib/ironbook/engine-0-1/engine.json
    max_age: 3600
    keep: 3
"""

RETURN = r"""
actions:
  description: What was taken and removed, or would be, and why.
  returned: success
  type: list
  elements: dict
  sample: [{action: take, seq: 4096, file: 00000000000000004096.snapshot, why: there is no sound one}]
snapshots:
  description: What is there now. C(fault) is empty for a sound one.
  returned: success
  type: list
  elements: dict
  sample: [{file: 00000000000000004096.snapshot, seq: 4096, fault: "", state_hash: 70ab4f0e62c1d0b3}]
left_to:
  description: Why nothing was taken on a primary.
  returned: where that is so
  type: str
"""

import time
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member
from ansible_collections.ironbook.trading.plugins.module_utils.engine_snapshot import directory
from ansible_collections.ironbook.trading.plugins.module_utils.engine_snapshot.plan import Found, Wanted, plan

ARGUMENTS = {
    **member.ARGUMENTS,
    "at_least": {"type": "int"},
    "max_age": {"type": "int"},
    "keep": {"type": "int"},
    "on_primary": {"type": "bool", "default": False},
}
LEAST = {"at_least": 1, "max_age": 0, "keep": 1}


def standby_could(status: dict | None) -> str:
    """Why a primary leaves it to a standby; empty where it does not."""
    replication = (status or {}).get("replication") or {}
    others = [number for number in replication.get("in_sync", ()) if number != status["replica"]]
    if status is None or status.get("role") != "primary" or not others:
        return ""
    return f"replica {status['replica']} is the primary, and replica {others[0]} is in sync: it is left to the standby"


def sound(snapshots: list[Found]) -> list[str]:
    """The names of those that are."""
    return [one.file for one in snapshots if not one.fault]


def main() -> None:
    """Read, plan, apply, report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    given = module.params
    for name, least in LEAST.items():
        if given[name] is not None and given[name] < least:
            module.fail_json(msg=f"{name} is {given[name]}: the least is {least}")
    try:
        mine = member.read(Path(given["config"]))
        status = member.status(mine)
        left_to = "" if given["on_primary"] else standby_could(status)
        end = directory.end_of(mine, status)
        before = directory.read(mine, end)
        wanted = Wanted(given["at_least"], given["max_age"], given["keep"])
        actions = [] if left_to else plan(wanted, before, end, time.time())
        if not module.check_mode:
            for action in actions:
                if action.action == "take":
                    directory.take(mine, action)
            directory.remove(mine, [action for action in actions if action.action == "remove"])
        after = directory.read(mine, end) if actions and not module.check_mode else before
    except member.FAULTS as error:
        module.fail_json(msg=" ".join(str(error).split()))
    expected = set(sound(before)) | {one.file for one in actions if one.action == "take"}
    expected -= {one.file for one in actions if one.action == "remove"}
    module.exit_json(
        changed=bool(actions),
        actions=[asdict(action) for action in actions],
        snapshots=[asdict(one) for one in after],
        diff={"before": {"sound": sound(before)}, "after": {"sound": sorted(expected)}},
        **({"left_to": left_to} if left_to else {}),
    )


if __name__ == "__main__":
    main()
