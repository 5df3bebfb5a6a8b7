# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of our prerequisites are installed, and whether each is at least as new as the minimum that we test with."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path


def below_minimum(installed: Mapping[str, str | None], minimum: Mapping[str, str]) -> list[str]:
    """One line for each entry of `minimum` that `installed` lacks (None or absent) or has in an older version."""
    problems = []
    for name, least in minimum.items():
        found, wanted = installed.get(name), str(least)  # YAML takes an unquoted 2.19 for a number
        if found is None:
            problems.append(f"{name} is not installed; at least {wanted} is needed")
        elif _numbers(found) < _numbers(wanted):
            problems.append(f"{name} {found} is too old; at least {wanted} is needed")
    return problems


def installed_version(name: str) -> str | None:
    """Version of a Python distribution (`boto3`) or, where the name has a dot, of a collection (`amazon.aws`)."""
    if "." in name:
        return _collection_version(name)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _collection_version(name: str) -> str | None:
    try:
        package = importlib.import_module(f"ansible_collections.{name}")
    except ImportError:
        return None
    manifest = Path(next(iter(package.__path__))) / "MANIFEST.json"
    if not manifest.is_file():  # a checkout, not an installation: it says no version
        return None
    version: str = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]
    return version


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, without what marks a pre-release: "2.19.0rc1" is (2, 19, 0)."""
    numbers = []
    for part in version.split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            break
        numbers.append(int(digits[0]))
    while numbers and numbers[-1] == 0:  # 2.19 and 2.19.0 are the same version
        numbers.pop()
    return tuple(numbers)
