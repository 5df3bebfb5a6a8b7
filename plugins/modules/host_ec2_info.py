#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_ec2_info
short_description: Read what the EC2 API says of hosts, for their audit
version_added: 0.1.0
description:
  - Asks the EC2 API for what a host cannot see of itself. It runs on the controller, in few calls for all hosts, and
    changes nothing.
  - What it returns of an instance is what the option O(ironbook.trading.host_tuning_info#module:ec2) takes.
  - It needs C(ec2:DescribeInstances), C(ec2:DescribeInstanceStatus), C(ec2:DescribePlacementGroups),
    C(ec2:DescribeSecurityGroups) and C(ec2:DescribeTrafficMirrorSessions). A call that is refused does not make it
    fail. What rests on the answer is then V(unknown) in the audit, which names the call.
options:
  instance_ids:
    description: The instances.
    type: list
    elements: str
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
- name: Ask the EC2 API once, for all hosts
  ironbook.trading.host_ec2_info:
    instance_ids: "{{ ansible_play_hosts | map('extract', hostvars, 'ec2_instance_id') }}"
  delegate_to: localhost
  run_once: true
  register: api

- name: Audit each with what it said of it
  ironbook.trading.host_tuning_info:
    ec2: "{{ api.hosts[ec2_instance_id] }}"
"""

RETURN = r"""
hosts:
  description: By instance ID what the API says of it, in its own words.
  returned: success
  type: dict
  contains:
    instance:
      description: The entry of DescribeInstances.
      type: dict
    status:
      description: The entry of DescribeInstanceStatus.
      type: dict
    placement_group:
      description: The entry of DescribePlacementGroups, where the instance is in one.
      type: dict
    security_groups:
      description: The entries of DescribeSecurityGroups for the groups of its interfaces.
      type: list
      elements: dict
    mirror_sessions:
      description: The entries of DescribeTrafficMirrorSessions.
      type: list
      elements: dict
    refused:
      description: For each part that is missing because its call was refused, the call and why.
      type: dict
      sample: {"placement_group": "ec2:DescribePlacementGroups was refused: UnauthorizedOperation"}
"""

import contextlib

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing
    from botocore.exceptions import BotoCoreError, ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import ec2_reader


def reason(error: Exception) -> str | None:
    """Say why the API did not answer; None where it is no error of the API."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") or str(error)
    return str(error) if isinstance(error, BotoCoreError) else None


def main() -> None:
    """Ask, report."""
    module = AnsibleAWSModule(
        argument_spec={"instance_ids": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    hosts = ec2_reader.read(module.client("ec2"), module.params["instance_ids"], reason)
    module.exit_json(changed=False, hosts=hosts)


if __name__ == "__main__":
    main()
