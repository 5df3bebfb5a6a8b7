# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops Ansible before it asks AWS anything, unless AWS is the emulator on this machine and answers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_only
short_description: Go on only if AWS is the emulator on this machine
version_added: 0.1.0
description:
  - Adds no host. It has to come before the inventory files that ask AWS, and Ansible reads those of a directory in the
    order of their names.
  - Stops Ansible with one line unless every AWS endpoint in the environment, and the one that boto3 makes of it, is on
    this machine, without a proxy in between, and answers.
  - Stops it as well for each variable of the environment that not all of our tools read, such as C(AWS_ACCESS_KEY).
  - Ansible takes an error of an inventory plugin for a file that another plugin may understand, and goes on to print
    one for each. A dead emulator would take a page to say. So this plugin ends the command itself.
options:
  plugin:
    description: Marks a file as the configuration of this plugin.
    type: str
    required: true
    choices: [ironbook.trading.local_only]
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
# inventories/local/a_local_only.yml
plugin: ironbook.trading.local_only
"""

import os
import socket
from typing import Any
from urllib.parse import urlsplit

from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import endpoint

_SECONDS = 3


class InventoryModule(BaseInventoryPlugin):
    """See the documentation above."""

    NAME = "ironbook.trading.local_only"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Raise SystemExit with one line, or do nothing."""
        super().parse(inventory, loader, path, cache)
        found = (
            endpoint.endpoint_problems("local", os.environ)
            or endpoint.configured_problems("local", os.environ)
            or unreachable(os.environ["AWS_ENDPOINT_URL"])
        )
        if found:
            raise SystemExit(f"ERROR: {path}: {found[0]}")


def unreachable(url: str) -> list[str]:
    """One line if nothing accepts a connection at `url`."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 80), timeout=_SECONDS):
            return []
    except OSError as error:
        return [f"{url} does not answer ({error.strerror or error}); start the emulator with `ironbook local up`"]
