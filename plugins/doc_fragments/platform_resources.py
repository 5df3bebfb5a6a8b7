# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of platform_resources and its twin that depend on the kinds, made from their declarations."""

from __future__ import annotations

import json

from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.arguments import (
    documentation,
    info_documentation,
)
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS


class ModuleDocFragment:
    """One option for each kind; `INFO` is the twin's. JSON is YAML.

    Each has a type, since ansible-test takes an assignment without one for a text that it can read in the source.
    """

    DOCUMENTATION: str = json.dumps({"options": documentation(KINDS)})
    INFO: str = json.dumps({"options": info_documentation(KINDS)})
