#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_archive_info
short_description: Read an archive of journal segments and check its seals
version_added: 0.1.0
description:
  - Lists the segments and seals that M(ironbook.trading.journal_archive) has put into a bucket, with their retention.
  - Holds each segment against its seal, and each seal against the one before it, by the SHA-256 that S3 keeps of them.
options:
  bucket:
    description: Name of the bucket.
    type: str
    required: true
  prefix:
    description: Beginning of the keys of the journal.
    type: str
    required: true
  verify:
    description: Read each object, byte by byte, and compute its SHA-256.
    type: bool
    default: false
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
requirements:
  - the distribution C(ironbook), so the Python and the C(PYTHONPATH) of an engine host
seealso:
  - module: ironbook.trading.journal_archive
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Read what is archived of shard 0
  ironbook.trading.journal_archive_info:
    bucket: "{{ ironbook_name_prefix }}-audit"
    prefix: journal/shard-00
    verify: true
"""

RETURN = r"""
objects:
  description: Each object, its size, SHA-256, lock mode, and until when it is kept, in seconds since the Unix epoch.
  returned: success
  type: list
  elements: dict
  sample: [{key: journal/shard-00/00000000000000000001.journal, mode: COMPLIANCE, size: 67108736}]
problems:
  description: What is wrong with it, a line each. Empty for an archive that is whole.
  returned: success
  type: list
  elements: str
"""

import contextlib

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing
    from botocore.exceptions import BotoCoreError, ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member

with contextlib.suppress(ImportError):  # require_ironbook says what is missing
    from ironbook import journal_archive as archive

ARGUMENTS = {
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "required": True},
    "verify": {"type": "bool", "default": False},
}


def main() -> None:
    """Read, report."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    s3, bucket = module.client("s3"), module.params["bucket"]
    try:
        there = archive.read(s3, bucket, archive.prefix_of(module.params["prefix"]))
        wrong = archive.problems(s3, bucket, there)
        if module.params["verify"]:
            wrong += archive.differences(s3, bucket, there)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"bucket {bucket} cannot be read")
    module.exit_json(changed=False, objects=archive.described(there), problems=wrong)


if __name__ == "__main__":
    main()
