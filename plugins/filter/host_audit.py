# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that turns what the audit returned into the files of a report; it runs on the controller and is pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.reports import report_files


def host_audit_files(
    audits: dict[str, Any],
    generated_at: str,
    before: str | None = None,
    fail_at: str = "",
    experiments: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Make the report of a fleet; see the sidecar documentation."""
    try:
        return report_files(audits, generated_at, before, fail_at, experiments)
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise AnsibleFilterError(f"host_audit_files: not what host_tuning_info returned: {exc!r}") from exc


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by name."""
        return {"host_audit_files": host_audit_files}
