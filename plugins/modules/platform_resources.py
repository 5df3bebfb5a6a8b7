#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_resources
short_description: Make AWS resources of many kinds what the inventory says they are
version_added: 0.1.0
description:
  - Reads all resources that are named, compares them with what is wanted, and does what is lacking, side by side where
    nothing depends. It says so in one plan, which is whole before the first change, and is done once AWS answers that
    everything is as wanted.
  - Whose a resource is, its tags C(Project), C(Environment) and C(ManagedBy) say. What is somebody else's is never
    changed and never removed.
  - It covers what amazon.aws does not, or not to the end. A resource names others by their names; what amazon.aws
    provides, such as a VPC, by its tag C(Name).
  - A run that fails in the middle leaves what the next one completes; nothing is remembered but what stands in AWS.
options:
  tags:
    description:
      - The tags that every resource carries. C(Environment), C(Project), C(ManagedBy), C(Team), C(CostCenter) and
        C(Compliance) have to be among them. Other tags that a resource has beside are left alone.
    type: dict
    required: true
  adopt:
    description: Whether to take under management what has the name of a wanted resource and carries none of the tags
      that say whose it is.
    type: bool
    default: false
  deadline:
    description: Seconds that the run may take, waiting included.
    type: int
    default: 900
attributes:
  check_mode:
    description: Says what it would do. What is not there yet is shown as known after apply.
    support: full
  diff_mode:
    description: Shows each resource that changes, before and after.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - ironbook.trading.platform_resources
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Record all traffic of the VPC for seven years
  ironbook.trading.platform_resources:
    tags: "{{ ironbook_tags }}"
    log_groups:
      - name: /trading/flow
        retention_days: 2557
    flow_logs:
      - name: trading-flow
        vpc: trading
        log_group: /trading/flow
        role_arn: arn:aws:iam::111122223333:role/flow-logs
"""

RETURN = r"""
actions:
  description: What was done, or would be, and to which fields.
  returned: always
  type: list
  elements: dict
  sample: [{kind: log_group, name: /trading/flow, action: update, fields: [retention_days]}]
resources:
  description: The id of each resource that is there, by kind and name.
  returned: always
  type: dict
  sample: {log_group: {/trading/flow: /trading/flow}}
problems:
  description: One line for each thing that could not be done, naming the resource, the action and the remedy.
  returned: failure
  type: list
  elements: str
  sample:
    - "flow_log f: it names the vpc trading, which does not exist: correct the name, or provide that first"
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.arguments import arguments
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.engine import Outcome, reconcile
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS


def main() -> None:
    """Read, plan, apply, report."""
    module = AnsibleAWSModule(argument_spec=arguments(KINDS), supports_check_mode=True)
    tags = {key: str(value) for key, value in module.params["tags"].items()}
    try:
        wanted = plan.wanted_of(KINDS, module.params)
    except ValueError as error:
        module.fail_json(msg=str(error), problems=str(error).splitlines(), actions=[], resources={})
    run = plan.Run(tags, module.params["adopt"], module.check_mode, module.params["purge"])
    outcome = reconcile(KINDS, wanted, run, Account(module.client, module.params["deadline"]))
    done = outcome.planned if module.check_mode else outcome.done
    report = {
        "changed": bool(done),
        "actions": [step.told for step in done],
        "resources": resources(outcome),
        "diff": {"before": shown(done, "before"), "after": shown(done, "after")},
    }
    if outcome.problems:
        module.fail_json(msg="\n".join(outcome.problems), problems=outcome.problems, **report)
    module.exit_json(**report)


def resources(outcome: Outcome) -> dict[str, dict[str, str]]:
    """Return kind -> name -> id."""
    there: dict[str, dict[str, str]] = {}
    for (kind, name), identifier in sorted(outcome.ids.items()):
        there.setdefault(kind, {})[name] = identifier
    return there


def shown(steps: list, side: str) -> dict:
    """Return the one side of the diff."""
    listed = ((f"{step.wanted.kind} {step.wanted.name}", getattr(step, side)) for step in steps)
    return {name: dict(fields) for name, fields in sorted(listed, key=lambda pair: pair[0]) if fields is not None}


if __name__ == "__main__":
    main()
