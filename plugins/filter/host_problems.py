# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_problems; see host_problems.yml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ironbook.trading.plugins.plugin_utils.hosts import host_problems


class FilterModule:
    """Offers the function to Jinja."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each filter."""
        return {"host_problems": host_problems}
