# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's strategy free, and a warm interpreter for modules where the inventory wants one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: warm_free
short_description: Runs a play as P(ansible.builtin.free#strategy) does, its modules in a warm interpreter if wanted
version_added: 0.1.0
extends_documentation_fragment: ironbook.trading.warm_interpreter
author:
  - The Ironbook maintainers (@ironbook)
"""

from ansible.plugins.strategy import free

from ..plugin_utils.warm import Warm


class StrategyModule(Warm, free.StrategyModule):
    """See the documentation above."""
