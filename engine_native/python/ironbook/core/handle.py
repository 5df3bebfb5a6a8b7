# SPDX-License-Identifier: GPL-3.0-or-later
"""What every object of the core that Python owns has in common: it is open until it is closed, once."""

from __future__ import annotations

from typing import Any, Self

from ironbook.core._core import ffi


class Handle:
    """An open object of the core. Use it with `with`, or call `close`; else the garbage collector closes it."""

    def __init__(self, pointer: Any, close: Any) -> None:
        """Own `pointer`, which the core's function `close` gives back."""
        self._handle = ffi.gc(pointer, close)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give back what it holds, once; it cannot be used any more."""
        if self._handle is not None:
            ffi.release(self._handle)
            self._handle = None
