# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that turn what the audit returned into reports; they run on the controller and are pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.html import render
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.report import fleet_report


def host_audit_report(audits: dict[str, Any], generated_at: str) -> dict[str, Any]:
    """Put the audits of several hosts together; see the sidecar documentation."""
    try:
        return fleet_report(audits, generated_at)
    except (KeyError, TypeError, AttributeError) as exc:
        raise AnsibleFilterError(f"host_audit_report: not what host_tuning_info returned: {exc!r}") from exc


def host_audit_html(report: dict[str, Any]) -> str:
    """Render a report; see the sidecar documentation."""
    try:
        return render(report)
    except (KeyError, TypeError, AttributeError) as exc:
        raise AnsibleFilterError(f"host_audit_html: not what host_audit_report returned: {exc!r}") from exc


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"host_audit_report": host_audit_report, "host_audit_html": host_audit_html}
