# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say which symbol moves from where to where."""

from __future__ import annotations


class ModuleDocFragment:
    """Shared by symbol_move and symbol_move_info."""

    DOCUMENTATION = r"""
options:
  symbol:
    description: What is moved.
    type: str
    required: true
  source:
    description: Number of the shard that trades it.
    type: int
    required: true
  target:
    description: Number of the shard that is to.
    type: int
    required: true
  map_version:
    description: Version of the shard map that has the symbol in its new place.
    type: int
    required: true
"""
