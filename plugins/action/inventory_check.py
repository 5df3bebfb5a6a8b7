# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the checks of plugin_utils/preflight on the controller, where the inventory, the versions and the keys are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import (
    account,
    declarations,
    directory,
    endpoint,
    inventory,
    run,
    versions,
)

COLLECTION = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Collect every problem; contact AWS only when there is none that can be seen without."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _result, arguments = self.validate_argument_spec(
            {
                "minimum_versions": {"type": "dict", "required": True},
                "environment": {"type": "str"},
                "account_id": {"type": "str"},
                "region": {"type": "str"},
                "zones": {"type": "list", "elements": "str", "default": []},
                "state_directory": {"type": "str"},
            }
        )
        minimum: Mapping[str, str] = arguments["minimum_versions"]
        found = versions.below_minimum({name: versions.installed_version(name) for name in minimum}, minimum)
        found += self._inventory_problems(variables)
        found += directory.directory_problems("ironbook_state_directory", arguments["state_directory"] or "")
        environment = arguments["environment"] or ""
        found += endpoint.endpoint_problems(environment, os.environ)
        if region := arguments["region"]:
            found += account.region_problems(os.environ, region) + account.zone_problems(region, arguments["zones"])
        found = found or endpoint.configured_problems(environment, os.environ)
        if not found:
            found = account.account_problems(arguments["account_id"], os.environ.get("AWS_ENDPOINT_URL"))
        if len(found) > 1:
            for line in found:
                self._display.error(line, wrap_text=False)
            return {"failed": True, "msg": f"{len(found)} problems, listed above; nothing was touched"}
        if found:
            return {"failed": True, "msg": found[0]}
        run.remember_checks()
        return {"changed": False}

    def _inventory_problems(self, variables: dict[str, Any]) -> list[str]:
        declared = declarations.read(COLLECTION)
        try:
            settings = inventory.read(variables.get("ansible_inventory_sources") or [], self._text)
            settings += inventory.read_command_line(context.CLIARGS.get("extra_vars") or (), self._text)
        except inventory.InventoryError as error:
            return [str(error)]
        lines = inventory.problems(settings, declared, self._template)
        return [_relative(line) for line in lines] + inventory.missing(
            variables, declarations.read(COLLECTION, "preflight")
        )

    def _text(self, path: Path) -> str:
        """The file's text, decrypted where it is a vault."""
        text: str = self._loader.get_text_file_contents(str(path))
        return text

    def _template(self, value: Any) -> Any:
        """`value` with its Jinja filled in.  Raises LookupError where that needs what is not known yet."""
        from ansible.template import trust_as_template  # noqa: PLC0415

        try:
            return self._templar.template(_trusted(value, trust_as_template))
        except AnsibleError as error:
            raise LookupError(str(error)) from error


def _trusted(value: Any, trust: Any) -> Any:
    """Mark the strings of our own inventory files as templates: they were read here and not by Ansible."""
    if isinstance(value, str):
        return trust(value)
    if isinstance(value, list):
        return [_trusted(item, trust) for item in value]
    if isinstance(value, dict):
        return {key: _trusted(item, trust) for key, item in value.items()}
    return value


def _relative(line: str) -> str:
    """`line` with the path it begins with relative to where the command was given."""
    return line.removeprefix(os.getcwd() + os.sep)
