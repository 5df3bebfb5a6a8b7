#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_state
short_description: Take resources of AWS under management that somebody made by other means
version_added: 0.1.0
description:
  - With O(state=managed), gives resources that somebody made by other means the tags of the environment and their
    names, and does so to their parts, such as the volumes of an instance. It does that to all of them or to none.
  - What is somebody else's is never touched.
options:
  state:
    description: O(resources) shall be the environment's.
    type: str
    choices: [managed]
    required: true
  resources:
    description: What is taken under management.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: Its kind, as M(ironbook.trading.platform_state_info) names it, such as C(vpc).
        type: str
        required: true
      id:
        description: Its id; of what has none, its name.
        type: str
        required: true
      name:
        description: What the inventory calls it. It becomes its tag C(Name).
        type: str
        required: true
      tags:
        description: Tags that it carries beside those of all.
        type: dict
        default: {}
  tags:
    description: The tags of the environment. C(Project), C(Environment) and C(ManagedBy) say which are its own.
    type: dict
    required: true
  name_prefix:
    description: What the names of the environment's resources begin with.
    type: str
    required: true
  deadline:
    description: Seconds that the run may take, waiting included.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Lists what would be tagged.
    support: full
  diff_mode:
    description: Shows the tags that change.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Take a VPC under management
  ironbook.trading.platform_state:
    state: managed
    tags: "{{ ironbook_tags }}"
    name_prefix: "{{ ironbook_name_prefix }}"
    resources:
      - {kind: vpc, id: vpc-0a1b2c3d, name: "{{ ironbook_name_prefix }}"}
"""

RETURN = r"""
actions:
  description: What was tagged, or would be.
  returned: success
  type: list
  elements: dict
  sample: [{kind: instance, name: engine-0-0, id: i-0a1b2c3d, action: tag}]
lines:
  description: The same for a reader.
  returned: success
  type: list
  elements: str
problems:
  description: One line for each thing that could not be done.
  returned: failure
  type: list
  elements: str
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account, ResourceError
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import adoption, read

RESOURCE = {
    "kind": {"type": "str", "required": True},
    "id": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "tags": {"type": "dict", "default": {}},
}


def main() -> None:
    """Read, plan, apply, report."""
    spec = {
        "state": {"type": "str", "choices": ["managed"], "required": True},
        "resources": {"type": "list", "elements": "dict", "default": [], "options": RESOURCE},
        "tags": {"type": "dict", "required": True},
        "name_prefix": {"type": "str", "required": True},
        "deadline": {"type": "int", "default": 1800},
    }
    module = AnsibleAWSModule(argument_spec=spec, supports_check_mode=True)
    tags = {key: str(value) for key, value in module.params["tags"].items()}
    lacking = [mark for mark in plan.MARKS if not tags.get(mark)]
    if lacking:
        module.fail_json(msg=f"tags lack {' and '.join(lacking)}, which tell what is ours: set them in ironbook_tags")
    account, run = Account(module.client, module.params["deadline"]), plan.Run(tags)
    try:
        manage(module, account, run)
    except ResourceError as error:
        module.fail_json(msg=str(error), problems=[str(error)])


def manage(module: AnsibleAWSModule, account: Account, run: plan.Run) -> None:
    """Take all that is asked for under management, or nothing."""
    wanted = [
        adoption.Wanted(
            each["kind"], each["id"], each["name"], {key: str(value) for key, value in each["tags"].items()}
        )
        for each in module.params["resources"]
    ]
    everything = there(module, account, run).everything
    actions, problems = adoption.plan(everything, wanted, run)
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems)
    if not module.check_mode:
        adoption.apply(account, actions)
    lines = [f"~ {action.told['kind']} {action.told['name']} ({action.item.id})" for action in actions]
    shown = [(f"{action.item.kind} {action.item.id}", action) for action in actions]
    before = {name: {key: action.item.tags.get(key, "") for key in action.tags} for name, action in shown}
    diff = {"before": before, "after": {name: dict(action.tags) for name, action in shown}}
    told = [action.told for action in actions]
    module.exit_json(changed=bool(actions), actions=told, lines=lines, diff=diff)


def there(module: AnsibleAWSModule, account: Account, run: plan.Run) -> read.Estate:
    """Return what there is; nothing is done on a list that is not whole."""
    place = read.whereabouts(account, module.region, module.params["name_prefix"])
    found, problems = read.read(account, run, place, read.listings())
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems)
    return found


if __name__ == "__main__":
    main()
