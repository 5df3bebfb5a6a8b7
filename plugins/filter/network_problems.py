# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters network_problems and acl_problems; see the .yml of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight import acls as rules_of_acls
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight.addresses import problems


def network_problems(  # noqa: PLR0913, PLR0917  (a network has these parts)
    cidr: str, tiers: Any, zones: Any, elsewhere: Any, hosts: Any, endpoints: Any, outposts: Any = ()
) -> list[str]:
    """Judge the addresses of a network; see the sidecar documentation."""
    try:
        return problems(str(cidr), tiers, zones, elsewhere, hosts, int(endpoints), outposts)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise AnsibleFilterError(f"network_problems: no network: {exc}") from exc


def acl_problems(acls: Any, variables: Any, quota: Any) -> list[str]:
    """Judge how many rules network ACLs have; see the sidecar documentation."""
    try:
        return list(rules_of_acls.problems(acls, variables, int(quota)))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise AnsibleFilterError(f"acl_problems: no network ACLs: {exc}") from exc


class FilterModule:
    """Offers the functions to Jinja."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each filter."""
        return {"network_problems": network_problems, "acl_problems": acl_problems}
