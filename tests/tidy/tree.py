# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as the tidy rules see it: the files that git would keep, their text, and the roles among them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

BINARY = {".png", ".gz", ".journal", ".pcap", ".pcapng", ".bin"}


@dataclass(frozen=True)
class Tree:
    """A checkout, or a small tree that a negative control made. Paths are relative to the root, with slashes."""

    root: Path

    @cached_property
    def files(self) -> list[str]:
        """Every file that git would keep, committed or not yet; without git, every file."""
        if (self.root / ".git").exists():
            command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listing = subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout
            names = set(listing.split("\0")) - {""}
        else:
            found = (path for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir())
            names = {path.relative_to(self.root).as_posix() for path in found}
        return sorted(name for name in names if (self.root / name).is_symlink() or (self.root / name).exists())

    @cached_property
    def roles(self) -> list[str]:
        """The names of the roles."""
        return sorted({name.split("/")[1] for name in self.files if name.startswith("roles/") and name.count("/") > 1})

    @cached_property
    def modules(self) -> list[str]:
        """The names of the modules."""
        return [PurePosixPath(name).stem for name in self.match("plugins/modules/*.py") if "__init__" not in name]

    def match(self, *patterns: str) -> list[str]:
        """Return the files that match one of the patterns; `*` does not cross a directory, `**` does."""
        return [name for name in self.files if any(PurePosixPath("/" + name).match("/" + p) for p in expand(patterns))]

    def text(self, name: str) -> str:
        """Return the text of a file; "" for one that does not exist or is binary."""
        path = self.root / name
        if path.suffix in BINARY or path.is_symlink() or not path.exists():
            return ""
        return path.read_text(encoding="utf-8", errors="replace")

    def lines(self, name: str) -> list[str]:
        """Return the lines of a file."""
        return self.text(name).splitlines()

    def yaml(self, name: str) -> Any:
        """Return what a YAML file holds; None if it is empty, absent or no YAML (which is the linters' matter)."""
        try:
            return yaml.load(self.text(name), Loader=Loader)
        except yaml.YAMLError:
            return None

    def tasks(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (file, task) for each task and handler of the roles and scenarios, those inside blocks included."""
        for name in self.match("roles/*/tasks/**.yml", "roles/*/handlers/**.yml"):
            yield from ((name, task) for task in flatten(self.yaml(name)))
        for name in self.match("molecule/**.yml"):
            for play in self.yaml(name) or []:
                if isinstance(play, dict):
                    sections = ("pre_tasks", "tasks", "post_tasks", "handlers")
                    yield from ((name, task) for part in sections for task in flatten(play.get(part)))


class Loader(yaml.CSafeLoader):
    """Reads Ansible's own tags (!vault, !unsafe) as plain values."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: str(getattr(node, "value", suffix)))


def expand(patterns: tuple[str, ...]) -> Iterator[str]:
    """Spell `**` out as zero to five directories, which pathlib of Python 3.11 does not know."""
    for pattern in patterns:
        if "**" in pattern:
            head, _, tail = pattern.partition("**")
            yield from (head + "*/" * depth + "*" + tail for depth in range(6))
        else:
            yield pattern


def flatten(tasks: Any) -> Iterator[dict[str, Any]]:
    """Yield each task of a list, and those of its blocks."""
    for task in tasks if isinstance(tasks, list) else []:
        if isinstance(task, dict):
            yield task
            for part in ("block", "rescue", "always"):
                yield from flatten(task.get(part))
