#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Have one run at a time change an environment
version_added: 0.1.0
description:
  - Takes the lock of an environment for this run of C(ansible-playbook), until its end, or fails and names the holder.
  - The run gives it back as it ends, however it ends. One that is killed leaves it, and O(state=cleared) takes it away.
  - The action plugin of the same name does the work, on the controller.
options:
  table:
    description: The DynamoDB table that the lock is in, with the key C(item).
    type: str
    required: true
  environment:
    description: What is locked.
    type: str
    required: true
  bucket:
    description: The bucket that each run is recorded in at its end, under C(runs/). Empty for none.
    type: str
    default: ''
  table_may_lack:
    description: Whether a table that is not there is told as RV(lacking), and no failure.
    type: bool
    default: false
  state:
    description: Whether this run shall hold the lock, or a dead one's be cleared.
    type: str
    choices: [held, cleared]
    default: held
  confirm:
    description: The id of the run whose lock is cleared; a refusal names it.
    type: str
    default: ''
  gone:
    description: The host of that run, where it is gone for ever, so that nobody can see there whether the run lives.
    type: str
    default: ''
attributes:
  check_mode:
    description: Takes nothing and clears nothing.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Let nobody else change the environment meanwhile
  ironbook.trading.run_lock:
    table: "{{ ironbook_name_prefix }}-run-lock"
    environment: "{{ ironbook_name_prefix }}"
"""

RETURN = r"""
holder:
  description: Who held the lock until it was cleared; empty for nobody.
  returned: when O(state=cleared)
  type: str
  sample: alice@bastion, process 4711, since 2026-11-30T08:00:00+00:00 (ansible-playbook x.y.site), id 1f2e3d4c
lacking:
  description: Whether there is no such table, so that this run holds nothing; see O(table_may_lack).
  returned: when O(state=held)
  type: bool
  sample: false
"""
