#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: announce
short_description: Show lines to the person at the terminal
version_added: 0.1.0
description:
  - Shows lines on the controller's terminal, also where C(display_ok_hosts) is off and M(ansible.builtin.debug) says
    nothing.
  - What a person wants to read at the end of a play, a table or where a report lies, goes through this, and so stands
    among the changes and not among the tasks that found nothing to do.
options:
  lines:
    description: What to show, a line each.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Say where the report is
  ironbook.trading.announce:
    lines:
      - "report: {{ host_audit_report_directory }}/host_audit.html"
"""

RETURN = r"""
lines:
  description: What was shown.
  returned: always
  type: list
  elements: str
  sample: ["report: .site/reports/host_audit.html"]
"""
