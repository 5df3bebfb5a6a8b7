# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops Ansible before it asks AWS for anything, unless the credentials are those of the inventory's account."""

from __future__ import annotations

DOCUMENTATION = r"""
name: account_only
short_description: Go on only with credentials of the inventory's own account, in its own region
version_added: 0.1.0
description:
  - Adds no host. It has to come before the inventory files that ask AWS, and Ansible reads those of a directory in the
    order of their names.
  - Asks STS whose account the credentials are of, and stops Ansible with one line if they are missing, have expired, or
    are of another account than the C(aws_account_id) that the group variables of the same directory, or C(-e), set.
  - Stops it before that where the environment names another region than the C(aws_region) of the inventory, or none.
  - Stops it for each variable of the environment that not all of our tools read, such as C(AWS_ACCESS_KEY),
    and for a service with an endpoint of its own. STS would be asked about one account and another be written to.
  - The role preflight asks again in each playbook. This plugin is for what comes before, where Ansible takes an error
    of an inventory plugin for a file that another plugin may understand, and prints a warning for each. So it ends the
    command itself.
options:
  plugin:
    description: Marks a file as the configuration of this plugin.
    type: str
    required: true
    choices: [ironbook.trading.account_only]
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
# inventories/production/a_account_only.yml
plugin: ironbook.trading.account_only
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import account, endpoint, inventory


class InventoryModule(BaseInventoryPlugin):
    """See the documentation above."""

    NAME = "ironbook.trading.account_only"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Raise SystemExit with one line, or do nothing."""
        super().parse(inventory, loader, path, cache)
        found = problems(Path(path).parent, context.CLIARGS.get("extra_vars") or (), loader)
        if found:
            raise SystemExit(f"ERROR: {path}: {found[0]}")


def problems(directory: Path, command_line: Iterable[str], loader: Any) -> list[str]:
    """Why the inventory in `directory` must not be used with the credentials of this process."""

    def text(path: Path) -> str:
        return str(loader.get_text_file_contents(str(path)))

    try:
        settings = [*inventory.read([str(directory)], text), *inventory.read_command_line(command_line, text)]
    except inventory.InventoryError as error:
        return [str(error)]
    return (
        endpoint.endpoint_problems("", os.environ)
        or endpoint.configured_problems("", os.environ)
        or account.region_problems(os.environ, wanted(settings, "aws_region"))
        or account.account_problems(wanted(settings, "aws_account_id"), os.environ.get("AWS_ENDPOINT_URL"))
    )


def wanted(settings: Iterable[inventory.Setting], name: str) -> str | None:
    """What the settings say last of a variable, or None where that takes Jinja: the role preflight fills it in."""
    named = [str(setting.value) for setting in settings if setting.name == name]
    return named[-1] if named and "{{" not in named[-1] else None
