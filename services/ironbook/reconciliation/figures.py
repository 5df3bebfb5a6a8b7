# SPDX-License-Identifier: GPL-3.0-or-later
"""What a place says of a shard, all in all, and what does not agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_SHOWN = 100  # differences in the report; a broken source has thousands
Positions = dict[tuple[str, str], int]


@dataclass
class Figures:
    """What one place says of the shard, all in all.

    `positions` is None where the place does not know who traded. With `unread` sessions the sums are not the whole.
    """

    place: str
    fills: int = 0
    quantity: int = 0
    notional: int = 0
    positions: Positions | None = None
    seconds: float = 0.0
    unread: list[str] = field(default_factory=list)

    def add(self, quantity: int, price: int) -> None:
        """Take one match in."""
        self.fills += 1
        self.quantity += quantity
        self.notional += quantity * price

    def as_dict(self) -> dict[str, Any]:
        """Return it for the report."""
        positions = None
        if self.positions is not None:
            positions = {f"{firm} {symbol}": amount for (firm, symbol), amount in sorted(self.positions.items())}
        return {**vars(self), "positions": positions, "seconds": round(self.seconds, 3)}


@dataclass
class Differences:
    """What does not agree, in the order in which it was found."""

    found: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, text: str) -> None:
        """Keep one difference, or count it if there are very many."""
        self.count += 1
        if len(self.found) < _SHOWN:
            self.found.append(text)

    def compare(self, mine: Figures, journal: Figures) -> None:
        """Compare the sums of one place with the journal's, if they are the whole."""
        if mine.unread:
            return
        for name in ("fills", "quantity", "notional"):
            ours, theirs = getattr(mine, name), getattr(journal, name)
            if ours != theirs:
                self.add(f"{mine.place}: {name} {ours}, the journal says {theirs}")
        if mine.positions is not None and journal.positions is not None:
            for key in sorted(set(mine.positions) | set(journal.positions)):
                ours, theirs = mine.positions.get(key, 0), journal.positions.get(key, 0)
                if ours != theirs:
                    self.add(f"{mine.place}: position of {' in '.join(key)} {ours}, the journal says {theirs}")
