#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_resources_info
short_description: Read the AWS resources of a platform
version_added: 0.1.0
description:
  - Lists all resources that carry the platform's tags, of the kinds that M(ironbook.trading.platform_resources) knows,
    with every field of them. It asks each service for its own listing, since the tagging API does not know all kinds.
options:
  tags:
    description: The tags of the platform. C(Project), C(Environment) and C(ManagedBy) say which resources are its own.
    type: dict
    required: true
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - ironbook.trading.platform_resources.info
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Read what the platform has of launch templates
  ironbook.trading.platform_resources_info:
    tags: "{{ ironbook_tags }}"
    kinds: [launch_template]
"""

RETURN = r"""
resources:
  description: Each resource.
  returned: always
  type: list
  elements: dict
  sample: [{kind: log_group, name: /a, id: /a, state: ready, fields: {retention_days: 2557}, tags: {Team: devops}}]
problems:
  description: One line for each kind that could not be read.
  returned: failure
  type: list
  elements: str
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.arguments import info_arguments
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.engine import find_all
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS

# Seconds that reading may take, throttled as it may be.
DEADLINE = 300


def main() -> None:
    """Read, report."""
    module = AnsibleAWSModule(argument_spec=info_arguments(KINDS), supports_check_mode=True)
    tags = {key: str(value) for key, value in module.params["tags"].items()}
    if line := plan.without_marks(tags):
        module.fail_json(msg=line, problems=[line], resources=[])
    kinds = {name: KINDS[name] for name in module.params["kinds"]}
    ours, problems = find_all(kinds, plan.Run(tags, check=True), Account(module.client, DEADLINE))
    told = [
        {
            "kind": kind.name,
            "name": found.name,
            "id": found.id,
            "state": found.state,
            "fields": dict(found.fields),
            "tags": dict(found.tags),
        }
        for kind, found in ours
    ]
    if problems:
        module.fail_json(msg="\n".join(problems), problems=problems, resources=told)
    module.exit_json(changed=False, resources=told)


if __name__ == "__main__":
    main()
