#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_snapshot_info
short_description: List the snapshots of a member's journal and check them
version_added: 0.1.0
description:
  - Lists the snapshots beside a member's journal. The engine need not run; where it runs, nothing waits for this.
options:
  verify:
    description: Load each and check every sum and invariant of it, not its head alone.
    type: bool
    default: false
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
extends_documentation_fragment:
  - ironbook.trading.engine_member
seealso:
  - module: ironbook.trading.engine_snapshot
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Look at the snapshots of a member
  ironbook.trading.engine_snapshot_info:
    config: /var/lib/ironbook/engine-0-1/engine.json
    verify: true
"""

RETURN = r"""
snapshots:
  description: What is there, the oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{file: 00000000000000004096.snapshot, seq: 4096, fault: "", state_hash: 70ab4f0e62c1d0b3}]
problems:
  description: What is wrong with them, a line each.
  returned: success
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.engine_member import member
from ansible_collections.ironbook.trading.plugins.module_utils.engine_snapshot import directory

ARGUMENTS = {**member.ARGUMENTS, "verify": {"type": "bool", "default": False}}


def main() -> None:
    """Read, report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    member.require_ironbook(module)
    try:
        found = directory.read(member.read(Path(module.params["config"])), None, module.params["verify"])
    except member.FAULTS as error:
        module.fail_json(msg=" ".join(str(error).split()))
    module.exit_json(
        changed=False,
        snapshots=[asdict(one) for one in found],
        problems=[one.fault for one in found if one.fault],
    )


if __name__ == "__main__":
    main()
