# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles of the collection declare in a file of their meta/, with their variables filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

COLLECTION = Path(__file__).resolve().parents[2]


def unfilled(name: str, loader: Any, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield each role that has a meta/<name>, what it says, and the variables: its defaults under `variables`."""
    for path in sorted(COLLECTION.glob(f"roles/*/meta/{name}")):
        role = path.parents[1]
        defaults = loader.load_from_file(str(role / "defaults" / "main.yml"), trusted_as_template=True) or {}
        yield role.name, loader.load_from_file(str(path), trusted_as_template=True), {**defaults, **variables}


def of_roles(name: str, loader: Any, templar: Any, variables: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the mapping of each role's meta/<name>; a role's defaults give way to the inventory's `variables`."""
    for _role, declared, known in unfilled(name, loader, variables):
        yield templar.copy_with_new_env(available_variables=known).template(declared)
