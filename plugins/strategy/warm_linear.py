# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's strategy linear, and a warm interpreter for modules where the inventory wants one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: warm_linear
short_description: Runs a play as P(ansible.builtin.linear#strategy) does, its modules in a warm interpreter if wanted
version_added: 0.1.0
description:
  - Is P(ansible.builtin.linear#strategy) unless the variable C(ironbook_warm_interpreter) is true for the first host of
    the play.
  - Where it is, modules run in forks of one interpreter a host, which has loaded what the modules before it have
    needed, by L(Mitogen,https://mitogen.networkgenomics.com/ansible_detailed.html). Ansible's own way starts an
    interpreter for each task and imports boto3 anew, which is most of what a task costs.
  - Connections of the kinds local and ssh are Mitogen's then, too.
requirements:
  - mitogen, in the Python that runs Ansible, where the variable is true
author:
  - The Ironbook maintainers (@ironbook)
"""

from ansible.plugins.strategy import linear

from ..plugin_utils.warm import Warm


class StrategyModule(Warm, linear.StrategyModule):
    """See the documentation above."""
