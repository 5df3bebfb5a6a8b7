#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_drift
short_description: Fail where an environment is not as its inventory says
version_added: 0.1.0
description:
  - Fails with a line for each resource that provision would add, change or destroy, as the preview of this run has
    counted them (P(ironbook.trading.platform_plan#role)), and for what it is given beside. Changes nothing.
  - The callback P(ironbook.trading.brief#callback) counts, so it has to be that of the run.
  - The action plugin of the same name does the work, on the controller.
options:
  unmarked:
    description: What lacks its tags, as M(ironbook.trading.platform_state_info) lists it.
    type: list
    elements: dict
    required: true
  problems:
    description: What a verification has found beside.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Fail where anything has drifted
  ironbook.trading.platform_drift:
    unmarked: "{{ found.unmarked }}"
"""

RETURN = r"""
drift:
  description: A line for each thing that is not as the inventory says.
  returned: always
  type: list
  elements: str
  sample: ['~ kms_key production-trading-engine']
"""
