# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of the core, which are bytes closed by a zero, as Python has them."""

from __future__ import annotations

from typing import Any, cast

from ironbook.core._core import ffi


def text_of(raw: Any) -> str:
    """Return a `char[]` or `char *` as text; what is no UTF-8 is marked as such."""
    return cast(bytes, ffi.string(raw)).decode(errors="replace")
