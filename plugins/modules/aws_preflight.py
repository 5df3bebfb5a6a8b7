#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_preflight
short_description: Refuse what an account cannot hold, or does not allow
version_added: 0.1.0
description:
  - Asks AWS, before anything is made, for what the roles of the collection need. Fails with one line for each thing
    that is lacking, and changes nothing.
  - A zone that the region does not have, and an instance type that is not offered in its zone.
  - Addresses that another VPC of the account has, in any region; both networks are named.
  - Quotas of Elastic IP addresses, VPCs, vCPUs of standard instances and Kinesis shards, held against what is used and
    what is still to be made.
  - Actions that IAM denies, by simulation, each with its resource. Where simulation is not allowed, EC2 is asked by
    requests that are marked as a dry run.
  - What only this check asks, and is denied, is a note and no failure.
  - The action plugin of the same name finds in each role's C(meta/needs.yml) what it needs, and gives O(needs).
options:
  needs:
    description:
      - What is needed, in lists. C(vpcs) have C(name) and C(cidr), C(nat_gateways) are names, C(instances) have
        C(shard), C(replica), C(zone) and C(type), C(streams) have C(name) and C(shards), C(permissions) have
        C(resource) and C(actions).
      - The action plugin gives it.
    type: dict
  zones:
    description: The availability zones.
    type: list
    elements: str
    required: true
  tags:
    description: The tags of the environment, which say which instances are its own.
    type: dict
    required: true
  regions:
    description: The regions whose VPCs are looked at, beside the own one. None are all that the account has.
    type: list
    elements: str
    default: []
  accepted_vpcs:
    description: IDs of VPCs whose addresses may be those of ours, since the two are never joined.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Refuse what the account cannot hold
  ironbook.trading.aws_preflight:
    zones: [us-east-1a, us-east-1b]
    tags: "{{ ironbook_tags }}"
"""

RETURN = r"""
problems:
  description: What is lacking, one line each.
  returned: always
  type: list
  elements: str
  sample: ["c5n.metal (aws_compute_instance_type) is not offered in us-east-1e, where engine-0-1 is; …"]
notes:
  description: What could not be known, one line each.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight import permissions
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight.needs import Needs, problems
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight.reader import Reader
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account, ResourceError

# Seconds that asking may take, throttled as it may be.
DEADLINE = 60


def main() -> None:
    """Ask, judge, report."""
    module = AnsibleAWSModule(
        argument_spec={
            "needs": {"type": "dict"},
            "zones": {"type": "list", "elements": "str", "required": True},
            "tags": {"type": "dict", "required": True},
            "regions": {"type": "list", "elements": "str", "default": []},
            "accepted_vpcs": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    tags = {key: str(value) for key, value in given["tags"].items()}
    if line := plan.without_marks(tags):
        module.fail_json(msg=line, problems=[line], notes=[])
    needs = Needs.of(given["needs"] or {}, given["zones"])

    def account_of(region: str) -> Account:
        return Account(lambda service: module.client(service, region=region), DEADLINE)

    reader = Reader(account_of, module.region, tags)
    try:
        lines = problems(needs, reader.read(needs, given["regions"]), given["accepted_vpcs"])
        denied, notes = permissions.ask(reader.account, needs.permissions)
    except ResourceError as error:
        module.fail_json(msg=str(error), problems=[str(error)], notes=reader.notes)
    notes, lines = [*reader.notes, *notes], [*lines, *denied]
    if lines:
        module.fail_json(msg="; ".join(lines), problems=lines, notes=notes)
    module.exit_json(changed=False, problems=[], notes=notes)


if __name__ == "__main__":
    main()
