#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_outputs
short_description: Show the outputs of an environment
version_added: 0.1.0
description:
  - Shows what others want to know of an environment, such as the endpoint of its database; all of it, or one value.
  - Each role of the collection declares its outputs in C(meta/outputs.yml), a mapping from the name of an output to
    C(description), C(kind) and C(name) (or C(names), a list) of the resources that it tells of, and C(value), which is
    C(id), C(name), C(arn) or what M(ironbook.trading.platform_state_info) has of it under C(shown). The variables of
    the role are known there.
options:
  resources:
    description: What there is, as M(ironbook.trading.platform_state_info) lists it.
    type: list
    elements: dict
    required: true
  output:
    description: The one output whose value is shown, without a name and an indentation; of a list, a line for each.
    type: str
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Show where the database is
  ironbook.trading.platform_outputs:
    resources: "{{ state.resources }}"
    output: database_endpoint
"""

RETURN = r"""
outputs:
  description: Each output that was shown.
  returned: success
  type: dict
  sample: {database_endpoint: trading-database.abc.us-east-1.rds.amazonaws.com}
"""
