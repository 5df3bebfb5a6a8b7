#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_part_tags
short_description: Give parts of AWS resources the tags of what they belong to
version_added: 0.1.0
description:
  - The addresses of NAT gateways, and the volumes and network interfaces of instances, are made by AWS beside what was
    asked for. Each gets our tags, and the Name of its NAT gateway or instance; other tags that it has are left alone.
  - What belongs to a NAT gateway or an instance of somebody else is left alone.
  - All parts of ours in a VPC are looked after in one call.
options:
  vpc_name:
    description: Name tag of the VPC.
    type: str
    required: true
  name_prefixes:
    description: What the Name tags of our NAT gateways and instances begin with.
    type: list
    elements: str
    required: true
  tags:
    description:
      - The tags that every resource carries.
      - Those named C(Project) and C(ManagedBy) tell, with the name, which NAT gateways and instances are ours.
    type: dict
    required: true
attributes:
  check_mode:
    description: Says which tags it would set.
    support: full
  diff_mode:
    description: Shows each tag that a part lacks.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Tag what AWS made beside gateways and instances
  ironbook.trading.aws_part_tags:
    vpc_name: "{{ ironbook_name_prefix }}"
    name_prefixes: ["{{ ironbook_name_prefix }}-", engine-]
    tags: "{{ ironbook_tags }}"
"""

RETURN = r"""
actions:
  description: Which tags were set, or would be, on each part.
  returned: success
  type: list
  elements: dict
  sample: [{part: eni-1, tags: {Team: devops}}]
"""

import contextlib
from dataclasses import asdict

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing
    from botocore.exceptions import BotoCoreError, ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import parts


def main() -> None:
    """Read, plan, apply, report."""
    module = AnsibleAWSModule(argument_spec=parts.ARGUMENTS, supports_check_mode=True)
    ec2 = module.client("ec2")
    name = module.params["vpc_name"]
    try:
        ours = parts.Ours.given(module.params)
        known = parts.read(ec2, name)
        if known is None and not module.check_mode:
            module.fail_json(msg=f"no VPC is named {name}: provision the network first")
        if known is None:
            module.exit_json(
                changed=True, actions=[]
            )  # known after apply: gateways and hosts will come with their parts
        actions = parts.plan(ours, *known)
        if not module.check_mode:
            parts.apply(ec2, actions)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="tags cannot be read or set")
    after = {action.part: dict(action.tags) for action in actions}
    diff = {"before": {part: {} for part in after}, "after": after}
    module.exit_json(changed=bool(actions), actions=[asdict(action) for action in actions], diff=diff)


if __name__ == "__main__":
    main()
