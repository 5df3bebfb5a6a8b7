# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter instance_type_problems; see instance_type_problems.yml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.instance_types import problems


def instance_type_problems(instance_type: str, require_100g: bool = False) -> list[str]:
    """Judge an instance type; see the sidecar documentation."""
    return list(problems(str(instance_type), bool(require_100g)))


class FilterModule:
    """Offers the function to Jinja."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each filter."""
        return {"instance_type_problems": instance_type_problems}
