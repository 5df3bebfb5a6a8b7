# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role engine_operation: who is who in a shard, and what an operation's report says. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.shard_operation.members import members
from ansible_collections.ironbook.trading.plugins.module_utils.shard_operation.report import render, report


def shard_members(seen: dict[str, Any], replica: int = -1) -> dict[str, Any]:
    """Who is who; see the sidecar documentation."""
    try:
        return members(seen, replica)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise AnsibleFilterError(f"shard_members: not what engine_failover_info returned: {exc}") from exc


def shard_operation_report(given: dict[str, Any]) -> dict[str, Any]:
    """Put a report together; see the sidecar documentation."""
    try:
        return report(given)
    except (KeyError, TypeError, AttributeError) as exc:
        raise AnsibleFilterError(f"shard_operation_report: something is missing: {exc!r}") from exc


def shard_operation_html(made: dict[str, Any]) -> str:
    """Render a report; see the sidecar documentation."""
    try:
        return render(made)
    except (KeyError, TypeError, AttributeError) as exc:
        raise AnsibleFilterError(f"shard_operation_html: not what shard_operation_report returned: {exc!r}") from exc


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {
            "shard_members": shard_members,
            "shard_operation_report": shard_operation_report,
            "shard_operation_html": shard_operation_html,
        }
