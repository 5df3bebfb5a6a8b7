# SPDX-License-Identifier: GPL-3.0-or-later
"""One exception for each status of the core (`enum ib_status` in ironbook.h)."""

from __future__ import annotations

from typing import ClassVar, cast

from ironbook.core._core import ffi, lib


class CoreError(Exception):
    """A call of the core failed. `status` is its `enum ib_status`."""

    status: ClassVar[int] = -1


class ArgumentError(CoreError, ValueError):
    """A caller's mistake: a value out of range, or a command out of sequence."""

    status = lib.IB_ERROR_ARGUMENT


class OutOfMemoryError(CoreError, MemoryError):
    """Memory could not be had at open."""

    status = lib.IB_ERROR_MEMORY


class CapacityError(CoreError):
    """A table that was sized at open is full."""

    status = lib.IB_ERROR_CAPACITY


class InputOutputError(CoreError, OSError):
    """The operating system refused."""

    status = lib.IB_ERROR_IO


class JournalDamagedError(CoreError):
    """The journal holds a record that cannot be right. Nothing was changed; restore the file that is named."""

    status = lib.IB_ERROR_JOURNAL_DAMAGED


class JournalForeignError(CoreError):
    """The journal belongs to another shard, or has a format or rules that this build does not know."""

    status = lib.IB_ERROR_JOURNAL_FOREIGN


class AddressError(CoreError):
    """An address is in use, not local, or the path of a socket is too long."""

    status = lib.IB_ERROR_ADDRESS


class ConfigurationError(CoreError):
    """The configuration contradicts itself or the journal."""

    status = lib.IB_ERROR_CONFIGURATION


BY_STATUS: dict[int, type[CoreError]] = {
    error.status: error
    for error in (
        ArgumentError,
        OutOfMemoryError,
        CapacityError,
        InputOutputError,
        JournalDamagedError,
        JournalForeignError,
        AddressError,
        ConfigurationError,
    )
}


def check(status: int, text: str = "") -> None:
    """Raise the exception of a status, with `text` or else the status's name; do nothing for IB_OK."""
    if status == lib.IB_OK:
        return
    name = cast(bytes, ffi.string(lib.ib_status_text(status))).decode()
    raise BY_STATUS.get(status, CoreError)(text or name)
