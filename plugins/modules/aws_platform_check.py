#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_platform_check
short_description: Fail unless AWS is as the inventory describes it
version_added: 0.1.0
description:
  - Reads the platform back from AWS and changes nothing.
  - Fails with one line for each thing that is not as described. The network is walked as a graph, so a route that was
    added by hand, a subnet that follows the main route table, and a private subnet that goes out through another zone
    are each found.
  - Security groups have exactly the rules that are described. The audit bucket, the stream, the database and the
    volumes are encrypted under the platform's key. The bucket is versioned, lockable and closed to the public.
options:
  name:
    description: What the names of the platform's resources begin with; also the Name tag of its VPC.
    type: str
    required: true
  cidr:
    description: The VPC's addresses.
    type: str
    required: true
  zones:
    description: The availability zones, in order.
    type: list
    elements: str
    required: true
  tiers:
    description: Addresses of the subnets of V(public), V(private) and V(database), in the order of the zones.
    type: dict
    required: true
  nat_gateway_count:
    description: How many zones have a NAT gateway.
    type: int
    required: true
  hosts:
    description: The engine hosts, each with C(shard), C(replica), C(zone) and C(role).
    type: list
    elements: dict
    required: true
  tags:
    description: The tags that every resource carries.
    type: dict
    required: true
  security_groups:
    description:
      - The security groups of the VPC, each with C(name), C(ingress) and C(egress), rules as
        M(amazon.aws.ec2_security_group) takes them, groups by V(group_name).
    type: list
    elements: dict
    required: true
  on_premises_cidrs:
    description: Networks that the private subnets reach through a transit gateway.
    type: list
    elements: str
    default: []
  partner_cidrs:
    description: Networks that the private subnets reach through a virtual private gateway.
    type: list
    elements: str
    default: []
  outposts:
    description: The subnets of the private tier that lie on Outposts, each with C(cidr) and C(zone), one of O(zones).
    type: list
    elements: dict
    default: []
  workers:
    description: How many workers there are at most.
    type: int
    default: 0
  stores:
    description: Of what there has to be one at least; all that there are are judged.
    type: list
    elements: str
    choices: [keys, buckets, streams, tables, databases]
    default: [keys, buckets, streams, tables, databases]
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
- name: Fail unless AWS is as the inventory describes it
  ironbook.trading.aws_platform_check:
    name: "{{ ironbook_name_prefix }}"
    cidr: 10.0.0.0/16
    zones: [us-east-1a]
    tiers:
      public: [10.0.101.0/24]
      private: [10.0.1.0/24]
      database: [10.0.11.0/24]
    nat_gateway_count: 1
    hosts: "{{ ironbook_engine_hosts }}"
    tags: "{{ ironbook_tags }}"
    security_groups:
      - name: "{{ ironbook_name_prefix }}-engine"
        ingress:
          - {proto: tcp, ports: [21100-21199], cidr_ip: [10.0.1.0/24]}
        egress: []
"""

RETURN = r"""
checked:
  description: How many resources of each kind were judged.
  returned: success
  type: dict
  sample: {subnets: 9, nat_gateways: 3}
problems:
  description: What is not as described, one line each.
  returned: always
  type: list
  elements: str
  sample: ["the default route of subnet 10.0.1.0/24 (us-east-1a) leads to igw-1, not to nat-1"]
"""

import contextlib

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing
    from botocore.exceptions import BotoCoreError, ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.check import Wanted, problems
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reader import read
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.stores import STORES


def main() -> None:
    """Read, judge, report."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cidr": {"type": "str", "required": True},
            "zones": {"type": "list", "elements": "str", "required": True},
            "tiers": {"type": "dict", "required": True},
            "nat_gateway_count": {"type": "int", "required": True},
            "hosts": {"type": "list", "elements": "dict", "required": True},
            "tags": {"type": "dict", "required": True},
            "security_groups": {"type": "list", "elements": "dict", "required": True},
            "on_premises_cidrs": {"type": "list", "elements": "str", "default": []},
            "partner_cidrs": {"type": "list", "elements": "str", "default": []},
            "outposts": {"type": "list", "elements": "dict", "default": []},
            "workers": {"type": "int", "default": 0},
            "stores": {"type": "list", "elements": "str", "choices": list(STORES), "default": list(STORES)},
        },
        supports_check_mode=True,
    )
    given = module.params
    wanted = Wanted(
        prefix=given["name"],
        cidr=given["cidr"],
        zones=given["zones"],
        tiers=given["tiers"],
        nat_gateway_count=given["nat_gateway_count"],
        hosts=given["hosts"],
        tags=given["tags"],
        security_groups=given["security_groups"],
        on_premises=given["on_premises_cidrs"],
        partners=given["partner_cidrs"],
        outposts=given["outposts"],
        workers=given["workers"],
        stores=given["stores"],
    )
    try:
        found = read(module.client, wanted.prefix)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="AWS cannot be read")
    lines = problems(wanted, found)
    if lines:
        module.fail_json(msg="; ".join(lines), problems=lines)
    module.exit_json(changed=False, problems=[], checked={kind: len(items) for kind, items in found.items()})


if __name__ == "__main__":
    main()
