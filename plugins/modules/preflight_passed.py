#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_passed
short_description: Remember that preflight has passed in this run
version_added: 0.1.0
description:
  - The last task of the role preflight. The filter P(ironbook.trading.after_preflight#filter) lets the later plays run.
  - It is remembered as long as this C(ansible-playbook) runs, and for no other.
  - Fails where M(ironbook.trading.inventory_check) has not passed before it, or with C(--start-at-task), which leaves
    out what comes before.
  - The action plugin of the same name does the work, on the controller.
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Remember that all is well
  ironbook.trading.preflight_passed:
"""

RETURN = r""" # """
