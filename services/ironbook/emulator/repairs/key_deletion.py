# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a key is set and taken back, and the key enabled again, by the key's ARN too.

AWS: KMS API reference, ScheduleKeyDeletion, CancelKeyDeletion, EnableKey, DisableKey ("Specify the key ID or key ARN of
the KMS key"). moto takes the id alone and answers 500 to an ARN, which is what amazon.aws.kms_key sends.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.kms.models import KmsBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from . import Settings


def apply(settings: Settings) -> None:
    """Find the key's id first."""
    if hasattr(KmsBackend.cancel_key_deletion, "__wrapped__"):
        return
    for name in ("schedule_key_deletion", "cancel_key_deletion", "enable_key", "disable_key"):
        setattr(KmsBackend, name, _by_id(getattr(KmsBackend, name)))


def _by_id(stock: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(stock)
    def by_id(self: KmsBackend, key_id: str, *arguments: Any, **options: Any) -> Any:
        return stock(self, self.get_key_id(key_id), *arguments, **options)

    return by_id
