#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_diagram
short_description: Draw an environment from its inventory
version_added: 0.1.0
description:
  - Draws what the inventory describes, as SVG and as a draw.io file. Nothing is asked of AWS.
  - Each role of the collection declares its boxes in C(meta/diagram.yml), a mapping with the lists C(boxes) and
    C(lines). A box has C(id), C(title), C(says) (more lines of text), C(in) (the id of the box around it) and C(across)
    (whether the boxes in it stand side by side); a line has C(from), C(to) and C(says). What has C(each), a list, is
    there once for every C(item) of it. The variables of the role are known there. A line whose end is not there is not
    drawn.
options:
  path:
    description: The files' path on the controller, without C(.svg) and C(.drawio).
    type: path
    required: true
attributes:
  check_mode:
    description: It says what it would write, and writes nothing.
    support: full
  diff_mode:
    description: It shows what changes in the files.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Draw the environment
  ironbook.trading.platform_diagram:
    path: /tmp/production
"""

RETURN = r"""
files:
  description: The files.
  returned: success
  type: list
  elements: str
  sample: [/tmp/production.svg, /tmp/production.drawio]
roles:
  description: The roles that have a box in it.
  returned: success
  type: list
  elements: str
  sample: [aws_database, aws_network]
"""
