# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters vpn_tunnels and vpn_proposals; see their .yml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbook.trading.plugins.module_utils.vpn_peer import connection


def vpn_tunnels(configuration: str) -> list[dict[str, Any]]:
    """Return the tunnels of the configuration file of a VPN connection."""
    try:
        return [asdict(tunnel) for tunnel in connection.tunnels(configuration)]
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None  # the cause may show a line of the file


def vpn_proposals(encryption: str, integrity: str, dh_group: int) -> dict[str, str]:
    """Return what strongSwan calls a suite."""
    try:
        return connection.proposals(encryption, integrity, int(dh_group))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the functions to Jinja."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each filter."""
        return {"vpn_tunnels": vpn_tunnels, "vpn_proposals": vpn_proposals}
