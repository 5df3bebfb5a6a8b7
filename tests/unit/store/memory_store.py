# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration store in memory, for what does not depend on which store it is."""

from __future__ import annotations

from ironbook.store.client import Done, Patience, Refused, Store, Stored
from ironbook.store.items import Item


class MemoryStore(Store):
    """Agrees with itself alone; clients of one store share `items`."""

    def __init__(self, items: dict[str, Item] | None = None) -> None:
        super().__init__(Patience(0.01, 0.01), poll_seconds=0.001)
        self.items: dict[str, Item] = {} if items is None else items

    def _get(self, key: str, seconds: float) -> Stored | None:
        item = self.items.get(key)
        return None if item is None else Stored(item.document(), 0)

    def _put(self, key: str, item: Item, known: Item | None, seconds: float) -> Done | Refused:
        there = self.items.get(key)
        if (there and (there.version, there.writer)) != (known and (known.version, known.writer)):
            return Refused(self._get(key, seconds))
        self.items[key] = item
        return Done(0)
