# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the roles latency_mesh and host_experiment: what measurements have come to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe import compare, experiment, mesh


def _checked(function: Callable[..., Any], *given: Any) -> Any:
    """Call a function of ours; what is wrong with the input is one line."""
    try:
        return function(*given)
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise AnsibleFilterError(f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}: {exc}") from exc


def latency_compare(after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Compare two measurements; see the sidecar documentation."""
    return _checked(compare.compare, before, after)


def latency_mesh(
    rows: Sequence[dict[str, Any]], generated_at: str, baseline: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Put a mesh together; see the sidecar documentation."""
    return _checked(mesh.report, rows, generated_at, baseline or None)


def latency_experiment(after: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Judge one group of tunings; see the sidecar documentation."""
    return _checked(experiment.judge, before, after)


def latency_experiment_report(rows: Sequence[dict[str, Any]], host: str, generated_at: str) -> dict[str, Any]:
    """Put the groups of a host together; see the sidecar documentation."""
    return _checked(experiment.report, rows, host, generated_at)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        made = (latency_compare, latency_mesh, latency_experiment, latency_experiment_report)
        return {function.__name__: function for function in made}
