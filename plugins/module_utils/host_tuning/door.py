# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door by which tuning changes a host: values of the kernel, files of ours, commands. No shell is between."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from .host import AbsentError, Host
from .runner import started

SECONDS = 300.0
"""update-grub takes 20 s on a slow host."""
LOCK = "/run/ironbook-host-tuning/lock"
"""The same as in roles/host_tuning/files/reapply.py, which waits for it, and whose unit makes the directory."""
PAUSE = Event().wait
WAIT_SECONDS = 10.0
"""What sets an adapter's values again after a reset takes a part of a second."""


class RefusedError(Exception):
    """The host did not take a change; the text says which and why."""

    def __init__(self, text: str, *, managed: bool = False) -> None:
        """Take the text; `managed` is the kernel's EIO for an interrupt that it places by itself."""
        super().__init__(text)
        self.managed = managed


class BusyError(Exception):
    """Another run is at work on the host."""


@contextmanager
def alone(host: Host) -> Iterator[None]:
    """Be the only one that changes a host meanwhile.

    Of two runs at a time each would take the other's values for those of the beginning. And what sets an adapter's
    values again goes by the list of the run before, until this run is through and has written its own.

    Raises:
        BusyError: somebody else was at work all the time; one line.

    """
    try:
        if host.live:
            os.makedirs(os.path.dirname(LOCK), 0o700, exist_ok=True)
            handle = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        else:
            handle = os.open(host.root, os.O_RDONLY)  # a tree is left without a file more
    except OSError as exc:
        raise BusyError(f"{LOCK if host.live else host.root}: {exc.strerror}") from None
    try:
        _take(handle)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> None:
    """Take the lock of an open file, which ends with the process; wait a while for it."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise BusyError("another run of the tuning is at work on this host: wait until it has ended") from None
            PAUSE(0.05)
        else:
            return


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

    def _place(self, path: str) -> str:
        """Return where a path lies on this machine; RefusedError where a link leads out of the tree."""
        try:
            return self._below_root(path)
        except AbsentError:
            raise RefusedError(f"{path}: a link leads out of the tree {self.root}") from None

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file as a whole, or not at all; its directory is there.

        Raises:
            RefusedError: it cannot be written.

        """
        place = self._place(path)
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
                os.mkdir(self._place(name), 0o755)
            except (OSError, RefusedError) as exc:
                for undone in reversed(missing[:made]):
                    os.rmdir(self._below_root(undone))
                raise exc if isinstance(exc, RefusedError) else RefusedError(f"{name}: {exc.strerror}") from None
        return missing

    def remove(self, path: str) -> None:
        """Remove a file, where it is there.

        Raises:
            RefusedError: it cannot be removed.

        """
        try:
            os.unlink(self._place(path))
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise RefusedError(f"{path}: {exc.strerror}") from None

    def remove_empty(self, directory: str) -> bool:
        """Remove a directory, where nothing is in it any more."""
        try:
            os.rmdir(self._place(directory))
        except (OSError, RefusedError):
            return False
        return True


class Commands:
    """Starts commands of this machine; what they say with their exit code is not taken for the truth."""

    def run(self, *command: str) -> str:
        """Return what it prints; raises as :func:`runner.started` does."""
        return started(command, SECONDS)
