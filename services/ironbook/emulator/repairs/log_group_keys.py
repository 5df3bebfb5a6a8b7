# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of a log group can be changed and taken away.

AWS: CloudWatch Logs API reference, AssociateKmsKey and DisassociateKmsKey.
moto takes a key only when the group is made, and has neither operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse

if TYPE_CHECKING:
    from . import Settings


def apply(settings: Settings) -> None:
    """Add both operations."""
    for action in (associate_kms_key, disassociate_kms_key):
        setattr(LogsResponse, action.__name__, action)


def associate_kms_key(self: Any) -> str:
    """Encrypt what comes from now on under the key that is given."""
    return _set(self, self._get_param("kmsKeyId"))


def disassociate_kms_key(self: Any) -> str:
    """Encrypt what comes from now on under the service's own key."""
    return _set(self, None)


def _set(self: Any, key: str | None) -> str:
    groups, name = self.logs_backend.groups, self._get_param("logGroupName")
    if name not in groups:
        raise ResourceNotFoundException
    groups[name].kms_key_id = key
    return ""
