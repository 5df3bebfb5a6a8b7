# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter shard_map; see shard_map.yml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.shard_map.check import Deployed, check


def shard_map(  # noqa: PLR0913, PLR0917  (a map has these parts)
    shards: Any, hosts: Any, zones: Any, environment: str, version: Any, deployed: Any = None
) -> dict[str, Any]:
    """Judge the shard map; see the sidecar documentation."""
    try:
        known = None
        if deployed:
            symbols, moving = dict(deployed.get("symbols", {})), str(deployed.get("moving", ""))
            known = Deployed(int(deployed["version"]), str(deployed["sha256"]), symbols, moving)
        return asdict(check(shards, hosts, zones, environment, int(version), known))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise AnsibleFilterError(f"shard_map: not a shard map with its hosts: {exc!r}") from exc


class FilterModule:
    """Offers the function to Jinja."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each filter."""
        return {"shard_map": shard_map}
