#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_check
short_description: Refuse an inventory, an installation or an account that cannot be right
version_added: 0.1.0
description:
  - Compares the installed versions with the least that the collection was tested with.
  - Holds every variable that the inventory sets against the C(meta/argument_specs.yml) and C(meta/limits.yml) of all
    roles of the collection. An unknown name is reported with the nearest known one, its file and its line.
  - Variables of the command line (C(-e)) are held against the same. There, an unknown name is refused only if it begins
    with the name of one of our roles, or is nearly one of our variables; any other is the user's own and let pass.
  - Refuses each variable of the environment that not all of our tools read, such as C(AWS_ACCESS_KEY), and an endpoint
    of one service alone. Otherwise STS could be asked about one account and another be written to.
  - Refuses an inventory of O(environment=local) whose AWS endpoint, as boto3 takes it from the environment and from the
    configuration file, is not on this machine, or is reached through a proxy.
  - Refuses an environment whose region is not O(region), and each of O(zones) that is not in it.
  - Asks STS whose account the credentials are of, and refuses any other than O(account_id).
  - All problems are reported together, one line each. AWS is asked only if there is no other problem.
  - Nothing is changed. The action plugin of the same name does the work, on the controller.
options:
  minimum_versions:
    description:
      - The least version of each Python distribution and of each collection, by name.
    type: dict
    required: true
  environment:
    description:
      - The kind of environment that the inventory describes, such as V(local) or V(production).
    type: str
  account_id:
    description:
      - The AWS account that the inventory is for.
    type: str
  region:
    description:
      - The region that the inventory is for. Left out, it is not compared.
    type: str
  zones:
    description:
      - The availability zones that the inventory uses.
    type: list
    elements: str
    default: []
  state_directory:
    description:
      - Where the controller keeps passwords and reports. Refused if this user cannot write there.
    type: str
attributes:
  check_mode:
    description: It changes nothing, so it does the same in check mode.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Refuse what cannot be right, before anything is touched
  ironbook.trading.inventory_check:
    minimum_versions:
      ansible-core: 2.19.14
      amazon.aws: 10.1.2
    environment: "{{ ironbook_environment }}"
    account_id: "{{ aws_account_id }}"
    region: "{{ aws_region }}"
    zones: "{{ ironbook_zones }}"
    state_directory: "{{ ironbook_state_directory }}"
"""

RETURN = r""" # """
