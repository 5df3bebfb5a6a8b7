#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_configuration_table
short_description: Provide the DynamoDB table that is the configuration store
version_added: 0.1.0
description:
  - Makes the table in which the members of a shard agree on who is primary, and keeps it as it should be. Its one key
    is the text C(item), it is paid for by request and encrypted under a key of ours.
  - What stands in the table is never touched. A table with another key is refused. Tags that it has beside are left
    alone.
  - community.aws.dynamodb_table knows neither encryption, nor backups, nor protection from deletion.
options:
  name:
    description: Name of the table.
    type: str
    required: true
  key_arn:
    description: The KMS key under which it is encrypted.
    type: str
    required: true
  deletion_protection:
    description: Whether AWS refuses to delete it.
    type: bool
    default: true
  point_in_time_recovery:
    description: Whether it can be restored to any second of the last 35 days.
    type: bool
    default: true
  tags:
    description: Tags that it carries.
    type: dict
    required: true
attributes:
  check_mode:
    description: Says what it would do.
    support: full
  diff_mode:
    description: Shows the table before and after.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Provide the configuration store
  ironbook.trading.aws_configuration_table:
    name: "{{ ironbook_name_prefix }}-configuration"
    key_arn: "{{ aws_encryption_key_arn }}"
    tags: "{{ ironbook_tags }}"
"""

RETURN = r"""
actions:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
  sample: [create, back_up]
table:
  description: The table as it is then.
  returned: success
  type: dict
  sample: {billing_mode: PAY_PER_REQUEST, key_arn: "arn:aws:kms:us-east-1:1:key/k", deletion_protection: true}
"""

import contextlib

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing
    from botocore.exceptions import BotoCoreError, ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import table


def main() -> None:
    """Read, plan, apply, report."""
    module = AnsibleAWSModule(argument_spec=table.ARGUMENTS, supports_check_mode=True)
    client, name = module.client("dynamodb"), module.params["name"]
    wanted = table.Table.given(module.params)
    try:
        known = table.read(client, name)
        actions = table.plan(name, wanted, known)
        if not module.check_mode:
            table.apply(client, name, wanted, actions)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"the table {name} cannot be provided")
    is_then = table.after(wanted, known).shown()
    diff = {"before": known.shown() if known else {}, "after": is_then}
    module.exit_json(changed=bool(actions), actions=actions, table=is_then, diff=diff)


if __name__ == "__main__":
    main()
