#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_failover_info
short_description: Say what a member of a shard is, and what the shard's record says
version_added: 0.1.0
description:
  - Asks a member's engine and the configuration store. Where one of them does not answer, it says so and goes on.
options:
  verify:
    description: Read the whole journal of a member whose engine is down, and say what is wrong with it.
    type: bool
    default: false
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
extends_documentation_fragment:
  - ironbook.trading.engine_member
  - ironbook.trading.engine_member.agent
seealso:
  - module: ironbook.trading.engine_failover
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Look at a member
  ironbook.trading.engine_failover_info:
    config: /var/lib/ironbook/engine-0-1/engine.json
    agent_config: /var/lib/ironbook/engine-0-1/agent.json
"""

RETURN = r"""
member:
  description:
    - Its C(role) is C(down) where no engine answers. C(epoch), C(primary), C(in_sync) and C(version) are the record's,
      and null or empty where there is none.
    - C(last_seq), C(commit_seq), C(in_doubt), C(store_fault) and C(reason) are what its engine says. C(heard) is the
      primary that it follows, or is, and null where it hears none; C(heard_epoch) is the epoch of the last one.
      C(alive) tells whether a process holds its journal. C(journal_fault) is empty for a journal that is whole or was
      not read.
    - C(operator) is who holds the shard's lease, where somebody does.
  returned: success
  type: dict
  sample: {shard: 0, replica: 1, role: standby, epoch: 4, primary: 0, in_sync: [0, 1, 2], alive: true}
store_error:
  description: Why the store did not say anything. Empty where it did.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_failover import operator
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member

ARGUMENTS = {
    **member.WITH_AGENT,
    "verify": {"type": "bool", "default": False},
}


def main() -> None:
    """Look, report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    given = module.params
    try:
        mine = member.read(Path(given["config"]))
        looking = operator.Operator(mine, Path(given["agent_config"]), None, 0)
        found, store_error = looking.look(given["verify"])
    except member.FAULTS as error:
        module.fail_json(msg=" ".join(str(error).split()))
    module.exit_json(changed=False, member=found, store_error=store_error)


if __name__ == "__main__":
    main()
