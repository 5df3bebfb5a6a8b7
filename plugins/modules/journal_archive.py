#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_archive
short_description: Archive an engine's sealed journal segments in S3 under Object Lock
version_added: 0.1.0
description:
  - Puts each sealed segment of a journal, and its seal, into a bucket with Object Lock, each with its retention, and
    reads back what S3 has kept. What is there already is left, but for a retention that is too short.
  - Before anything is put, every segment is held against its seal, and every seal against the one before it.
  - The segment that is written, one whose seal is not made yet, and one that a takeover could still replace, are left
    for the next run.
  - Another content under the same name is refused. Nothing is ever deleted, neither here nor there.
options:
  directory:
    description: Directory of the journal, C(journal_directory) of the engine's configuration.
    type: path
    required: true
  bucket:
    description: Name of the bucket. It needs Object Lock.
    type: str
    required: true
  prefix:
    description: Beginning of the keys of this one journal.
    type: str
    required: true
  retention_days:
    description:
      - How many days nobody may delete a segment, counted from its last command.
      - A retention that is longer already stays.
    type: int
    required: true
  retention_mode:
    description:
      - V(COMPLIANCE) can be ended by nobody before its time, V(GOVERNANCE) by who has the permission to.
    type: str
    choices: [COMPLIANCE, GOVERNANCE]
    default: COMPLIANCE
  uncommitted:
    description:
      - How many commands at the journal's end another member may still replace, after a takeover. A segment with any of
        them is not archived, since what is archived can be taken back by nobody.
      - Twice C(replication.window) of the engine's configuration, and V(0) for an engine that runs alone.
    type: int
    default: 32768
    version_added: 0.1.0
  verify:
    description: Also read back, byte by byte, what was archived by earlier runs.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says what it would put, and which retention it would extend.
    support: full
  diff_mode:
    description: Shows the SHA-256 and the retention of each object that changes.
    support: full
requirements:
  - the distribution C(ironbook), so the Python and the C(PYTHONPATH) of an engine host
seealso:
  - module: ironbook.trading.journal_archive_info
author:
  - The Ironbook maintainers (@ironbook)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Archive the journal of shard 0 for seven years
  ironbook.trading.journal_archive:
    directory: /var/lib/ironbook/engine-0-0/journal
    bucket: "{{ ironbook_name_prefix }}-audit"
    prefix: journal/shard-00
    retention_days: 2557
"""

RETURN = r"""
actions:
  description: What was done, or would be, with each object.
  returned: success
  type: list
  elements: dict
  sample: [{action: put, key: journal/shard-00/00000000000000000001.journal, mode: COMPLIANCE}]
segments:
  description: How many sealed segments the directory has that are final.
  returned: success
  type: int
  sample: 3
"""

import contextlib
import time
from dataclasses import asdict
from pathlib import Path

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing
    from botocore.exceptions import BotoCoreError, ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member

with contextlib.suppress(ImportError):  # require_ironbook says what is missing
    from ironbook import journal_archive as archive
    from ironbook import journal_segments as segments

ARGUMENTS = {
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "retention_days": {"type": "int", "required": True},
    "retention_mode": {"type": "str", "choices": ["COMPLIANCE", "GOVERNANCE"], "default": "COMPLIANCE"},
    "uncommitted": {"type": "int", "default": 32768},
    "verify": {"type": "bool", "default": False},
}


def main() -> None:
    """Read, plan, apply, report."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    given = module.params
    s3, bucket = module.client("s3"), given["bucket"]
    try:
        if given["retention_days"] < 1:
            raise ValueError(f"retention_days is {given['retention_days']}: give it one day at least")
        prefix = archive.prefix_of(given["prefix"])
        wanted = archive.Wanted(prefix, given["retention_days"], given["retention_mode"])
        files = segments.read(Path(given["directory"]), uncommitted=given["uncommitted"])
        archive.require_lock(s3, bucket)
        there = archive.read(s3, bucket, prefix)
        actions = archive.plan(wanted, files, there, int(time.time()))
        if given["verify"]:
            archive.verify(s3, bucket, there)
        if not module.check_mode:
            archive.apply(s3, bucket, actions, files)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"bucket {bucket} cannot be read or written")
    diff = {
        "before": {action.key: asdict(there[action.key]) if action.key in there else {} for action in actions},
        "after": {action.key: asdict(action) for action in actions},
    }
    module.exit_json(
        changed=bool(actions), actions=[asdict(action) for action in actions], segments=len(files) // 2, diff=diff
    )


if __name__ == "__main__":
    main()
