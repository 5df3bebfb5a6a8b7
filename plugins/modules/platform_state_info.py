#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_state_info
short_description: List everything that an environment has in AWS
version_added: 0.1.0
description:
  - Lists what carries the tags C(Project), C(Environment) and C(ManagedBy) of the environment, in the region of the
    run, whoever made it. It asks each service for its own listing, since the tagging API does not know all kinds, and
    the tagging API, which knows kinds that are not listed here.
  - Lists apart what carries none of the three and can be nobody else's, since it lies in a VPC of the environment,
    belongs to something of the environment, or has a name that begins as the environment's do.
  - Roles and instance profiles of IAM are listed by the beginning of their names alone.
options:
  tags:
    description: The tags of the environment. C(Project), C(Environment) and C(ManagedBy) say which are its own.
    type: dict
    required: true
  name_prefix:
    description: What the names of the environment's resources begin with.
    type: str
    required: true
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
- name: List everything that there is
  ironbook.trading.platform_state_info:
    tags: "{{ ironbook_tags }}"
    name_prefix: "{{ ironbook_name_prefix }}"
"""

RETURN = r"""
resources:
  description: Each resource of the environment, by kind and name.
  returned: success
  type: list
  elements: dict
  sample: [{kind: vpc, id: vpc-1, name: a, arn: 'arn:aws:ec2:us-east-1:1:vpc/vpc-1', tags: {Name: a}, shown: {}}]
unmarked:
  description: Each resource that lacks the tags which say whose it is, as above, and C(reason) why it is listed.
  returned: success
  type: list
  elements: dict
lines:
  description: The same for a reader, a line for each resource, for each that lacks its tags, and for the counts.
  returned: success
  type: list
  elements: str
problems:
  description: One line for each kind that could not be read. What is listed is all of the other kinds.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account, ResourceError
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import read

# Seconds that reading may take, throttled as it may be.
DEADLINE = 300


def main() -> None:
    """Read, report."""
    spec = {"tags": {"type": "dict", "required": True}, "name_prefix": {"type": "str", "required": True}}
    module = AnsibleAWSModule(argument_spec=spec, supports_check_mode=True)
    tags = {key: str(value) for key, value in module.params["tags"].items()}
    if line := plan.without_marks(tags):
        module.fail_json(msg=line)
    account = Account(module.client, DEADLINE)
    try:
        place = read.whereabouts(account, module.region, module.params["name_prefix"])
    except ResourceError as error:
        module.fail_json(msg=str(error))
    found, problems = read.read(account, plan.Run(tags, check=True), place, read.listings())
    module.exit_json(
        changed=False,
        resources=[item.told() for item in found.ours],
        unmarked=[item.told(reason=reason) for item, reason in found.unmarked],
        lines=found.lines(),
        problems=problems,
    )


if __name__ == "__main__":
    main()
