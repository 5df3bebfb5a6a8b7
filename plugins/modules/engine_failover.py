#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_failover
short_description: Make a member of a shard primary, fence it, or have it rejoin
version_added: 0.1.0
description:
  - The members of a shard fail over by themselves. This is for what a person decides, and acts on the host of one
    member, through its C(admin.sock), the shard's record in the configuration store, and the service manager.
  - Whoever changes something holds the shard's lease of operators meanwhile. A second operator is told who that is.
  - A run that was cut off can be repeated. It goes on where the shard is.
options:
  state:
    description:
      - V(primary) makes O(replica) primary. The present primary hands over, so this runs on its host. Nothing is lost,
        and trading stands still for some milliseconds. With O(force) it runs on the host of O(replica) instead.
      - V(fenced) ends the process of this host's member, and keeps it from being started. Only then it waits until the
        primary has taken the member out of the in-sync set.
      - V(rejoined) starts this host's member and waits until it is in sync. A journal that is damaged or another
        shard's is set aside first. It is moved and never deleted, and the member begins with nothing.
    type: str
    choices: [primary, fenced, rejoined]
    required: true
  replica:
    description: Number of the member. This host's own where it is left out.
    type: int
  force:
    description:
      - For V(primary), where nobody leads and nobody may by the record as it is. This host's member becomes the only
        one that is in sync, in a new epoch, and leads. The others follow it and cut off what they had more.
      - For V(fenced), also where fewer members than the shard needs would be left, so that nothing is acknowledged.
    type: bool
    default: false
  allow_data_loss:
    description: Needed for O(state=primary) with O(force). What is given up is named in RV(may_be_lost).
    type: bool
    default: false
  timeout:
    description: Seconds to wait for what is asked for. Afterwards it fails and says what is missing.
    type: int
    default: 60
  service:
    description: Under what the engine runs. Needed to stop or start it.
    type: dict
    suboptions:
      manager:
        description: V(systemd), or V(supervisor) on one machine.
        type: str
        choices: [systemd, supervisor]
        required: true
      name:
        description: Name of the unit or the program.
        type: str
        required: true
      supervisorctl:
        description: The command of that name.
        type: path
      supervisor_config:
        description: The C(supervisord.conf).
        type: path
attributes:
  check_mode:
    description: Looks, and says what it would do. It asks for nothing that changes anything, and takes no lease.
    support: full
  diff_mode:
    description: Shows role, epoch, primary and in-sync set, before and after.
    support: full
extends_documentation_fragment:
  - ironbook.trading.engine_member
  - ironbook.trading.engine_member.agent
seealso:
  - module: ironbook.trading.engine_failover_info
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Hand over to replica 1, on the host of the present primary
  ironbook.trading.engine_failover:
    config: /var/lib/ironbook/engine-0-0/engine.json
    agent_config: /var/lib/ironbook/engine-0-0/agent.json
    state: primary
    replica: 1

- name: Go on with replica 2 alone, whatever the others had
  ironbook.trading.engine_failover:
    config: /var/lib/ironbook/engine-0-2/engine.json
    agent_config: /var/lib/ironbook/engine-0-2/agent.json
    state: primary
    force: true
    allow_data_loss: true

- name: Take a member out
  ironbook.trading.engine_failover:
    config: /var/lib/ironbook/engine-0-1/engine.json
    agent_config: /var/lib/ironbook/engine-0-1/agent.json
    state: fenced
    service: {manager: systemd, name: engine-0-1}
"""

RETURN = r"""
actions:
  description: What was done, or would be, and why.
  returned: success
  type: list
  elements: dict
  sample: [{action: switch_over, why: replica 0 hands over to replica 1}]
may_be_lost:
  description: What a forced failover gives up. Empty where nothing can be lost.
  returned: success
  type: str
timeline:
  description: What happened when, in UTC.
  returned: success
  type: list
  elements: dict
  sample: [{at: "2026-11-29T14:30:00.250+00:00", what: "switch_over: replica 0 hands over to replica 1"}]
member:
  description: This host's member at the end, as M(ironbook.trading.engine_failover_info) returns it.
  returned: success
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_failover import operator
from ansible_collections.ironbook.trading.plugins.module_utils.engine_failover.plan import STATES, Wanted
from ansible_collections.ironbook.trading.plugins.module_utils.engine_failover.service import Service
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member

SERVICE = {
    "manager": {"type": "str", "choices": ["systemd", "supervisor"], "required": True},
    "name": {"type": "str", "required": True},
    "supervisorctl": {"type": "path"},
    "supervisor_config": {"type": "path"},
}
ARGUMENTS = {
    **member.WITH_AGENT,
    "state": {"type": "str", "choices": list(STATES), "required": True},
    "replica": {"type": "int"},
    "force": {"type": "bool", "default": False},
    "allow_data_loss": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 60},
    "service": {"type": "dict", "options": SERVICE},
}


def main() -> None:
    """Look, decide, act, wait, report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    given = module.params
    try:
        mine = member.read(Path(given["config"]))
        service = Service.of(given["service"]) if given["service"] else None
        acting = operator.Operator(mine, Path(given["agent_config"]), service, given["timeout"])
        replica = mine.replica if given["replica"] is None else given["replica"]
        wanted = Wanted(given["state"], replica, given["force"], given["allow_data_loss"])
        result = acting.run(wanted, module.check_mode)
    except member.FAULTS as error:
        module.fail_json(msg=" ".join(str(error).split()))
    if result.warning:
        module.warn(result.warning)
    looked = module.check_mode or not (result.plan.steps or result.plan.until)
    module.exit_json(
        changed=bool(result.plan.steps),
        actions=[{"action": step.action, "why": step.why} for step in result.plan.steps],
        may_be_lost=result.plan.may_be_lost,
        timeline=acting.timeline,
        member=operator.described(result.after),
        diff={"before": result.before.shown(), "after": result.plan.after if looked else result.after.shown()},
    )


if __name__ == "__main__":
    main()
