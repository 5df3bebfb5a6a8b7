#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: symbol_move
short_description: Take a step of a symbol's move from one shard to another
version_added: 0.1.0
description:
  - A symbol moves in four steps, each on the primary of one of the two shards. How far it has come stands in the
    configuration store, so that a run that was cut off goes on where it was, and two people cannot move one symbol to
    two places.
  - On a member that does not lead, nothing is done. So it can be run on all members of a shard.
  - At no moment do both shards trade the symbol, whatever step is repeated or left out. A step whose turn has not come
    is refused.
options:
  step:
    description:
      - V(drain), on the source, closes the symbol and cancels its orders until none is left.
      - V(remove), on the source, ends its trading. The source must have handed over in between, so that all that comes
        after is of a later epoch.
      - V(add), on the target, defines it as it was on the source, closed.
      - V(open), on the target, brings it into the phase that it had. The target must have handed over in between.
    type: str
    choices: [drain, remove, add, open]
    required: true
  timeout:
    description: Seconds to wait for a member that is about to lead. Afterwards it counts as one that does not.
    type: int
    default: 60
attributes:
  check_mode:
    description: Looks, and says what it would do, also where the steps before were not taken. It takes no lease.
    support: full
  diff_mode:
    description: Shows how far the move has come, before and after.
    support: full
extends_documentation_fragment:
  - ironbook.trading.engine_member
  - ironbook.trading.engine_member.agent
  - ironbook.trading.symbol_move
seealso:
  - module: ironbook.trading.symbol_move_info
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Close AAPL on shard 0, and cancel its orders
  ironbook.trading.symbol_move:
    config: /var/lib/ironbook/engine-0-0/engine.json
    agent_config: /var/lib/ironbook/engine-0-0/agent.json
    symbol: AAPL
    source: 0
    target: 1
    map_version: 8
    step: drain
"""

RETURN = r"""
actions:
  description: What was done, or would be. Empty on a member that does not lead, and where it was done before.
  returned: success
  type: list
  elements: str
  sample: [begin, close, cancel]
timeline:
  description: What happened when, in UTC.
  returned: success
  type: list
  elements: dict
  sample: [{at: "2026-11-29T14:30:00.250+00:00", what: "close: shard 0 takes no order for AAPL any more"}]
move:
  description: How far it has come, as M(ironbook.trading.symbol_move_info) returns it.
  returned: success
  type: dict
here:
  description: This host's member, as M(ironbook.trading.symbol_move_info) returns it.
  returned: success
  type: dict
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member
from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move import mover
from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move.plan import STEPS, Asked

ARGUMENTS = {
    **mover.ARGUMENTS,
    "step": {"type": "str", "choices": list(STEPS), "required": True},
    "timeout": {"type": "int", "default": 60},
}


def main() -> None:
    """Look, decide, act, report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    given = module.params
    asked = Asked(given["symbol"], given["source"], given["target"], given["map_version"])
    acting = None
    try:
        config = Path(given["config"])
        acting = mover.Mover(member.read(config), config, Path(given["agent_config"]), asked, given["timeout"])
        before = mover.shown(acting.move())
        actions = acting.run(given["step"], module.check_mode)
        after, here = mover.shown(acting.move()), acting.here()
    except member.FAULTS as error:
        done = acting.operator.timeline if acting else []
        module.fail_json(msg=" ".join(str(error).split()), timeline=done)
    module.exit_json(
        changed=bool(actions),
        actions=list(actions),
        timeline=acting.operator.timeline,
        move=after,
        here=asdict(here),
        diff={"before": before, "after": after},
    )


if __name__ == "__main__":
    main()
