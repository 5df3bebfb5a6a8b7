# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the controller can keep its state where the inventory says, asked before anything is made."""

from __future__ import annotations

import os
from pathlib import Path


def directory_problems(name: str, path: str) -> list[str]:
    """Why this user can neither write to the directory `path` nor make it.  `name` is the variable that sets it."""
    if not path.startswith("/"):  # which the limits of the variable say better
        return []
    nearest = next(place for place in (Path(path), *Path(path).parents) if place.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return []
    return [
        f"{name} is {path}, and this user cannot write to {nearest}: "
        f"make it (sudo install -d -m 0700 -o $USER {path}), or export IRONBOOK_STATE with a directory of yours"
    ]
