#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_part_tags_info
short_description: Read the tags of what AWS made beside gateways and instances
version_added: 0.1.0
description:
  - Lists the addresses of our NAT gateways, and the volumes and network interfaces of our instances, in a VPC.
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
- name: Read the tags of what AWS made beside gateways and instances
  ironbook.trading.aws_part_tags_info:
    vpc_name: "{{ ironbook_name_prefix }}"
    name_prefixes: ["{{ ironbook_name_prefix }}-", engine-]
    tags: "{{ ironbook_tags }}"
"""

RETURN = r"""
parts:
  description: Each part, what it belongs to, and its tags. None where there is no such VPC.
  returned: success
  type: list
  elements: dict
  sample: [{part: eni-1, owner: i-1, tags: {Team: devops}}]
"""

import contextlib

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing
    from botocore.exceptions import BotoCoreError, ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import parts


def main() -> None:
    """Read, report."""
    module = AnsibleAWSModule(argument_spec=parts.ARGUMENTS, supports_check_mode=True)
    try:
        ours = parts.Ours.given(module.params)
        known = parts.read(module.client("ec2"), module.params["vpc_name"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="tags cannot be read")
    owners, belongs, tags = known or ({}, {}, {})
    found = [
        {"part": part, "owner": owner, "tags": tags.get(part, {})}
        for part, owner in sorted(belongs.items())
        if ours.owns(owners[owner])
    ]
    module.exit_json(changed=False, parts=found)


if __name__ == "__main__":
    main()
