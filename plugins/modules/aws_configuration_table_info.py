#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_configuration_table_info
short_description: Read what the DynamoDB table of the configuration store is
version_added: 0.1.0
description:
  - How the table is paid for, encrypted, protected and tagged. What stands in it, C(ironbook store show) says.
options:
  name:
    description: Name of the table.
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
- name: Read what the configuration store is
  ironbook.trading.aws_configuration_table_info:
    name: "{{ ironbook_name_prefix }}-configuration"
"""

RETURN = r"""
table:
  description: The table. Empty where there is none.
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
    """Read, report."""
    module = AnsibleAWSModule(argument_spec=table.NAME, supports_check_mode=True)
    name = module.params["name"]
    try:
        known = table.read(module.client("dynamodb"), name)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"the table {name} cannot be read")
    module.exit_json(changed=False, table=known.shown() if known else {})


if __name__ == "__main__":
    main()
