# SPDX-License-Identifier: GPL-3.0-or-later
"""DynamoDB's tables and their items outlive the emulator, in one file, as they outlive everything at AWS.

AWS: DynamoDB Developer Guide, "What is Amazon DynamoDB?": data is stored on SSDs and replicated across availability
zones. The engines rest on it: a record of who is primary that is gone, or an older one, is a store that lies, and they
do not act on it (docs/decisions/0014). All else of the emulated account is made anew by the next run of the playbooks.
moto keeps everything in memory alone.
"""

from __future__ import annotations

import os
import pickle
import threading
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends

if TYPE_CHECKING:
    from . import Settings

CHANGES = (
    *("create_table", "delete_table", "update_table", "update_continuous_backups", "update_time_to_live"),
    *("tag_resource", "untag_resource", "put_item", "update_item", "delete_item", "transact_write_items"),
)
_lock = threading.RLock()  # nothing changes while it is being saved


def apply(settings: Settings) -> None:
    """Read what was saved, and have every change saved before it is answered."""
    path = settings.tables_file
    if path is None or getattr(DynamoDBBackend.put_item, "saves", False):
        return
    _load(path)
    for name in CHANGES:
        setattr(DynamoDBBackend, name, _saved(getattr(DynamoDBBackend, name), path))


def _saved(stock: Any, path: Path) -> Any:
    @wraps(stock)
    def change(*arguments: Any, **options: Any) -> Any:
        with _lock:
            try:
                return stock(*arguments, **options)
            finally:
                _save(path)

    change.saves = True  # type: ignore[attr-defined]
    return change


def _save(path: Path) -> None:
    """Write the file whole or not at all."""
    tables = {
        (account, region): backend.tables
        for account, regions in dynamodb_backends.items()
        for region, backend in regions.items()
        if backend.tables
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        pickle.dump(tables, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _load(path: Path) -> None:
    """Have the tables of before. A file of another version of moto is an error, and not a store without tables."""
    if path.exists():
        # The file is our own, in our own directory: nobody else has written what is unpickled.
        for (account, region), tables in pickle.loads(path.read_bytes()).items():
            dynamodb_backends[account][region].tables.update(tables)
