#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preview
short_description: Say what a module would make that cannot preview it
version_added: 0.1.0
description:
  - Reports in check mode that a resource would be created, where the module that makes it fails on an empty account.
  - It is for check mode alone, and fails without it.
options:
  kind:
    description: What would be made, as M(ironbook.trading.platform_state_info) names its kinds.
    type: str
    required: true
  name:
    description: Its name.
    type: str
    required: true
  says:
    description: What there is to be said of it.
    type: str
    required: true
attributes:
  check_mode:
    description: Reports a change and makes none.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Preview the host
  ironbook.trading.preview:
    kind: instance
    name: engine-0-0
    says: a new c5n.metal in us-east-1a
  when: not subnet_is_there
"""

RETURN = r"""
actions:
  description: What would be done.
  returned: success
  type: list
  elements: dict
  sample: [{kind: instance, name: engine-0-0, action: create}]
"""
