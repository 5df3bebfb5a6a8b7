# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module finds the member of a shard on its host."""

from __future__ import annotations


class ModuleDocFragment:
    """Shared by engine_failover, engine_snapshot and symbol_move, and their twins."""

    DOCUMENTATION = r"""
options:
  config:
    description: The member's C(engine.json).
    type: path
    required: true
requirements:
  - The distribution C(ironbook) that runs the engine, and its Python.
"""

    # Of those that ask the configuration store as well.
    AGENT = r"""
options:
  agent_config:
    description:
      - C(agent.json) of the agent beside it, which says where the store is.
      - Region, endpoint and credentials of DynamoDB come from the environment of the task.
    type: path
    required: true
"""
