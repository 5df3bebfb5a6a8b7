# SPDX-License-Identifier: GPL-3.0-or-later
"""UpdateTable changes the key under which a table is encrypted.

AWS: Amazon DynamoDB API reference, UpdateTable, SSESpecification; DescribeTable then says it in SSEDescription.
moto takes what CreateTable says of it, and drops what UpdateTable says.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.dynamodb.responses import DynamoHandler

if TYPE_CHECKING:
    from . import Settings


def apply(settings: Settings) -> None:
    """Wrap the handler, which alone has the whole request."""
    stock = DynamoHandler.update_table
    if not hasattr(stock, "__wrapped__"):
        setattr(DynamoHandler, "update_table", _with_encryption(stock))  # noqa: B010  (mypy lets nobody assign a method)


def _with_encryption(stock: Any) -> Any:
    @wraps(stock)
    def update_table(handler: Any) -> Any:
        wanted = handler.body.get("SSESpecification")
        if wanted is not None:
            handler.dynamodb_backend.get_table(handler.body["TableName"]).sse_specification = wanted
        return stock(handler)

    return update_table
