# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter dr_target; see dr_target.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.dr_targets.table import find


def dr_target(rows: Sequence[Mapping[str, Any]], scenario: str, scope: str, drill: str) -> dict[str, Any]:
    """Return the row that a drill is judged by."""
    try:
        return asdict(find(rows, scenario, scope, drill))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the function to Jinja."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each filter."""
        return {"dr_target": dr_target}
