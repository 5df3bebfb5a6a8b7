# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of this package: a line that names the thing and the remedy."""

from __future__ import annotations

from typing import Any


class SchemaError(Exception):
    """A migration that must not run, or could not; the text is shown to the operator as it stands."""

    def __init__(self, message: str, applied: list[dict[str, Any]] | None = None) -> None:
        """Keep the line, and what this call had applied before it failed: that stays applied."""
        super().__init__(message)
        self.applied = applied or []
