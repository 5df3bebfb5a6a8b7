#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: symbol_move_info
short_description: Say how far a symbol's move has come, and what stands against it
version_added: 0.1.0
description:
  - Asks a member of either shard, and the configuration store.
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
extends_documentation_fragment:
  - ironbook.trading.engine_member
  - ironbook.trading.engine_member.agent
  - ironbook.trading.symbol_move
seealso:
  - module: ironbook.trading.symbol_move
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: See whether AAPL can move to shard 1
  ironbook.trading.symbol_move_info:
    config: /var/lib/ironbook/engine-0-0/engine.json
    agent_config: /var/lib/ironbook/engine-0-0/agent.json
    symbol: AAPL
    source: 0
    target: 1
    map_version: 8
"""

RETURN = r"""
move:
  description:
    - The symbol's last move, empty where there was none. C(state) is C(draining), C(drained), C(removed), C(added) or
      C(moved). The last trade on the source is of C(source_epoch) or before, and not behind C(source_seq). Every order
      on the target is of a later epoch than C(target_epoch), and behind C(target_seq).
  returned: success
  type: dict
  sample: {symbol: AAPL, source: 0, target: 1, map_version: 8, state: moved, source_epoch: 4, target_epoch: 2}
here:
  description:
    - The member. C(instrument) is how the symbol is defined, where this member leads and it is traded. C(configured)
      tells whether a start of the engine would add it.
  returned: success
  type: dict
problems:
  description: What stands against the move as this member sees it, a line each.
  returned: success
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member
from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move import mover
from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move.plan import Asked, problems


def main() -> None:
    """Look, report."""
    module = AnsibleModule(argument_spec=mover.ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    given = module.params
    asked = Asked(given["symbol"], given["source"], given["target"], given["map_version"])
    try:
        config = Path(given["config"])
        acting = mover.Mover(member.read(config), config, Path(given["agent_config"]), asked, 0)
        move, here = acting.move(), acting.here()
    except member.FAULTS as error:
        module.fail_json(msg=" ".join(str(error).split()))
    module.exit_json(changed=False, move=mover.shown(move), here=asdict(here), problems=problems(asked, move, here))


if __name__ == "__main__":
    main()
