# SPDX-License-Identifier: GPL-3.0-or-later
"""A conditional write to DynamoDB is one step: of two that expect the same item, one succeeds.

AWS: DynamoDB Developer Guide, "Working with items", "Conditional writes", and "Read consistency": writes of one item
are put into one order, and a condition is evaluated against the item as it is then.
moto looks at the condition and then writes, in a thread for each request, with nothing between two of them: now and
then both succeed. Here writes go one after the other.
"""

from __future__ import annotations

import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import DynamoDBBackend

if TYPE_CHECKING:
    from . import Settings

WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")
_lock = threading.RLock()  # a transaction calls the others


def apply(settings: Settings) -> None:
    """Wrap the backend's methods that write."""
    for name in WRITES:
        stock = getattr(DynamoDBBackend, name)
        if not hasattr(stock, "__wrapped__"):
            setattr(DynamoDBBackend, name, _one_after_the_other(stock))


def _one_after_the_other(stock: Any) -> Any:
    @wraps(stock)
    def write(*arguments: Any, **options: Any) -> Any:
        with _lock:
            return stock(*arguments, **options)

    return write
