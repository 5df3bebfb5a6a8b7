#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_state
short_description: Take resources under management, or remove everything that an environment has in AWS
version_added: 0.1.0
description:
  - With O(state=managed), gives resources that somebody made by other means the tags of the environment and their
    names, and does so to their parts, such as the volumes of an instance. It does that to all of them or to none.
  - With O(state=absent), removes what carries the tags C(Project), C(Environment) and C(ManagedBy) of the environment,
    in the region of the run, what rests on others first.
  - What is somebody else's is never touched.
  - Protection from deletion is taken off. A database leaves a last snapshot, which carries the tags. A bucket stays as
    long as an object in it is locked, and a key as long as a snapshot or such a bucket needs it; other keys end after
    30 days.
  - What stays is told with the reason and the date. Anything else that is still there afterwards is a failure.
options:
  state:
    description: Whether O(resources) shall be the environment's, or nothing of it be there any more.
    type: str
    choices: [absent, managed]
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
    description: Lists what would be tagged or removed. A bucket and a key that then stay are among it.
    support: full
  diff_mode:
    description: Shows what there is before and after; of what is taken under management, the tags that change.
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

- name: Remove everything that there is
  ironbook.trading.platform_state:
    state: absent
    tags: "{{ ironbook_tags }}"
    name_prefix: "{{ ironbook_name_prefix }}"
"""

RETURN = r"""
actions:
  description: What was tagged or removed, or would be, in that order.
  returned: success
  type: list
  elements: dict
  sample: [{kind: instance, name: engine-0-0, action: delete}]
kept:
  description: What stays, why and until when. Empty in check mode, since nobody knows yet.
  returned: when O(state=absent)
  type: list
  elements: dict
  sample: [{kind: kms_key, name: a, arn: 'arn:aws:kms:us-east-1:1:key/k', why: it ends then, until: '2026-12-30'}]
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
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import (
    Account,
    ResourceError,
    pauses,
)
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import adoption, read, teardown

# How often is looked for what is left: some six seconds in all.
LOOKS = 6

RESOURCE = {
    "kind": {"type": "str", "required": True},
    "id": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "tags": {"type": "dict", "default": {}},
}


def main() -> None:
    """Read, plan, apply, report."""
    spec = {
        "state": {"type": "str", "choices": ["absent", "managed"], "required": True},
        "resources": {"type": "list", "elements": "dict", "default": [], "options": RESOURCE},
        "tags": {"type": "dict", "required": True},
        "name_prefix": {"type": "str", "required": True},
        "deadline": {"type": "int", "default": 1800},
    }
    module = AnsibleAWSModule(argument_spec=spec, supports_check_mode=True)
    tags = {key: str(value) for key, value in module.params["tags"].items()}
    if line := plan.without_marks(tags):
        module.fail_json(msg=line)
    account, run = Account(module.client, module.params["deadline"]), plan.Run(tags)
    try:
        (manage if module.params["state"] == "managed" else remove)(module, account, run)
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


def remove(module: AnsibleAWSModule, account: Account, run: plan.Run) -> None:
    """Remove all that is ours, and read again."""
    found = there(module, account, run)
    before, listed = found.ours, {item.id for item in found.everything}
    diff = {"before": "".join(f"{item.kind} {item.name}\n" for item in before), "after": ""}
    if module.check_mode:
        # What no listing has, stays anyway: snapshots, and keys that end already.
        going = [item for batch in teardown.in_order(before) for item in batch if item.id in listed]
        lines = [f"- {item.kind} {item.name}" for item in going]
        module.exit_json(changed=bool(going), actions=deletions(going), kept=[], lines=lines, diff=diff)
    outcome = teardown.remove(account, before)
    problems = outcome.problems or [
        f"{item.kind} {item.name} ({item.arn or item.id}) is still there: remove it, and run again"
        for item in still_there(module, account, run, outcome)
    ]
    kept = sorted(outcome.kept, key=lambda kept: (kept.item.kind, kept.item.name))
    report = {
        "changed": outcome.changed,
        "actions": deletions(outcome.removed),
        "kept": [each.told() for each in kept],
        "lines": [
            *(f"- {item.kind} {item.name}" for item in outcome.removed),
            *(f"kept: {each.line}" for each in kept),
        ],
        "diff": {**diff, "after": "".join(f"{each.item.kind} {each.item.name}\n" for each in kept)},
    }
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems, **report)
    module.exit_json(**report)


def still_there(module: AnsibleAWSModule, account: Account, run: plan.Run, outcome: teardown.Outcome) -> list:
    """Return what is left; a listing of AWS may lag behind for some seconds."""
    for _attempt, seconds in zip(range(LOOKS), pauses(), strict=False):
        left = teardown.left(outcome, there(module, account, run))
        if not left or not account.pause(seconds):
            break
    return left


def there(module: AnsibleAWSModule, account: Account, run: plan.Run) -> read.Estate:
    """Return what there is; nothing is done on a list that is not whole."""
    place = read.whereabouts(account, module.region, module.params["name_prefix"])
    found, problems = read.read(account, run, place, read.listings())
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems)
    return found


def deletions(items: list) -> list[dict[str, str]]:
    """Return what is done with each."""
    return [{"kind": item.kind, "name": item.name, "action": "delete"} for item in items]


if __name__ == "__main__":
    main()
