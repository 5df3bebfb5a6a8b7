# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to the host: every file is read through here, below a root that a test or a captured tree may set.

Nothing here writes, starts a process, or needs root. What cannot be read is told apart: a path that is absent, and one
that is there and refuses.
"""

from __future__ import annotations

import glob
import os
import stat


class AbsentError(Exception):
    """The host has no such path."""


class UnreadableError(Exception):
    """The path is there, and could not be read or understood."""


class Host:
    """Files of a host, below ``root``."""

    def __init__(self, root: str = "/") -> None:
        """Take the root: ``/`` is this machine, anything else a captured tree."""
        self.root = os.path.realpath(root)

    def check_root(self) -> None:
        """Refuse a directory that is no host.

        Raises:
            ValueError: with one line that names it.

        """
        if not self.exists("/proc/cmdline") and not self.exists("/sys"):
            raise ValueError(
                f"root {self.root}: neither /proc nor /sys is in it, so it is no host and no captured tree"
            )

    @property
    def live(self) -> bool:
        """Tell whether this is the machine itself."""
        return self.root == "/"

    def read(self, path: str) -> str:
        """Return the content of a file.

        Raises:
            AbsentError: there is no such file.
            UnreadableError: no permission, or the kernel refused (some files answer EIO or EINVAL). Of a captured tree
                also what is no regular file: a pipe in it would never answer.

        """
        place = self._below_root(path)
        try:
            if not self.live and not stat.S_ISREG(os.stat(place).st_mode):
                raise UnreadableError(f"{path}: no regular file")
            with open(place, encoding="utf-8", errors="replace") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            raise AbsentError(path) from None
        except OSError as exc:
            raise UnreadableError(f"{path}: {exc.strerror}") from None

    def exists(self, path: str) -> bool:
        """Tell whether a path is there."""
        try:
            return os.path.exists(self._below_root(path))
        except AbsentError:
            return False

    def matching(self, pattern: str) -> list[str]:
        """Return the paths that match a pattern, as the host sees them, in order."""
        prefix = "" if self.live else self.root
        return sorted(path[len(prefix) :] for path in glob.glob(glob.escape(prefix) + pattern))

    def names(self, directory: str) -> list[str]:
        """Return the names in a directory, in order; none when it is absent."""
        return [os.path.basename(path) for path in self.matching(f"{directory}/*")]

    def link_name(self, path: str) -> str:
        """Return the last part of where a symbolic link leads, such as the driver's name.

        Raises:
            AbsentError: there is no such link.

        """
        try:
            return os.path.basename(os.readlink(self.root.rstrip("/") + path))
        except OSError:
            raise AbsentError(path) from None

    def _below_root(self, path: str) -> str:
        """Follow links; one that leads out of a captured tree is absent, or it would show this machine's value."""
        real = os.path.realpath(self.root.rstrip("/") + path)
        if not self.live and not real.startswith(self.root + "/"):
            raise AbsentError(path)
        return real


class ReadOnce(Host):
    """A host of which every file is read once: what many tunables look at is one state, and takes one system call."""

    def __init__(self, host: Host) -> None:
        """Take the host."""
        self.root = host.root
        self.host = host
        self.texts: dict[str, str | AbsentError | UnreadableError] = {}
        self.paths: dict[str, list[str]] = {}

    def read(self, path: str) -> str:
        """Return what the first reading returned, or raise what it raised."""
        if path not in self.texts:
            try:
                self.texts[path] = self.host.read(path)
            except (AbsentError, UnreadableError) as exc:
                self.texts[path] = exc
        found = self.texts[path]
        if isinstance(found, str):
            return found
        raise found

    def matching(self, pattern: str) -> list[str]:
        """Return what the first look returned."""
        if pattern not in self.paths:
            self.paths[pattern] = self.host.matching(pattern)
        return self.paths[pattern]
