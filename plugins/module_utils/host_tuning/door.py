# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door by which tuning changes a host: values of the kernel, files of ours, commands. No shell is between."""

from __future__ import annotations

import errno
import os
import tempfile

from .host import AbsentError, Host
from .runner import started

SECONDS = 300.0
"""update-grub takes 20 s on a slow host."""


class RefusedError(Exception):
    """The host did not take a change; the text says which and why."""

    def __init__(self, text: str, *, managed: bool = False) -> None:
        """Take the text; `managed` is the kernel's EIO for an interrupt that it places by itself."""
        super().__init__(text)
        self.managed = managed


class WritableHost(Host):
    """A host that can be changed, below its root."""

    def write_value(self, path: str, text: str) -> None:
        """Write a value into a file of the kernel, which is there already.

        Raises:
            AbsentError: it is not there.
            RefusedError: the kernel did not take the value.

        """
        try:
            file = os.open(self._below_root(path), os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(file, (text + "\n").encode())
            finally:
                os.close(file)
        except (FileNotFoundError, NotADirectoryError):
            raise AbsentError(path) from None
        except OSError as exc:
            raise RefusedError(f"{path}: {exc.strerror}", managed=exc.errno == errno.EIO) from None

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file as a whole, or not at all; its directory is there.

        Raises:
            RefusedError: it cannot be written.

        """
        place = self._below_root(path)
        try:
            handle, name = tempfile.mkstemp(dir=os.path.dirname(place), prefix=".ironbook-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(name, mode)
                os.replace(name, place)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as exc:
            raise RefusedError(f"{path}: {exc.strerror}") from None

    def make_directories(self, path: str) -> list[str]:
        """Make the directory of a file and those above it; return the ones that were not there, the outermost first.

        Raises:
            RefusedError: one cannot be made.

        """
        missing: list[str] = []
        directory = os.path.dirname(path)
        while directory != "/" and not self.exists(directory):
            missing.insert(0, directory)
            directory = os.path.dirname(directory)
        for made, name in enumerate(missing):
            try:
                os.mkdir(self._below_root(name), 0o755)
            except OSError as exc:
                for undone in reversed(missing[:made]):
                    os.rmdir(self._below_root(undone))
                raise RefusedError(f"{name}: {exc.strerror}") from None
        return missing

    def remove(self, path: str) -> None:
        """Remove a file, where it is there.

        Raises:
            RefusedError: it cannot be removed.

        """
        try:
            os.unlink(self._below_root(path))
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise RefusedError(f"{path}: {exc.strerror}") from None

    def remove_empty(self, directory: str) -> bool:
        """Remove a directory, where nothing is in it any more."""
        try:
            os.rmdir(self._below_root(directory))
        except OSError:
            return False
        return True


class Commands:
    """Starts commands of this machine; what they say with their exit code is not taken for the truth."""

    def run(self, *command: str) -> str:
        """Return what it prints; raises as :func:`runner.started` does."""
        return started(command, SECONDS)
