# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a configuration store, each a class of its own, each one line.

All of them say that nothing was written by the call that raised them, as far as the store's own word goes. Where that
is not known, the call does not raise: it returns `Unknown` (client.py).
"""

from __future__ import annotations

from ironbook.errors import CommandError


class StoreError(CommandError):
    """The store did not do what it was asked."""


class StoreUnreachableError(StoreError):
    """Nobody answered within the time that was given. Asking again later may help."""


class StoreThrottledError(StoreError):
    """It answers, and refuses because it is asked too much. Asking again later may help."""


class StoreDeniedError(StoreError):
    """The credentials do not allow it; the line names the action and the table or key. Waiting does not help."""


class StoreMissingError(StoreError):
    """The table itself is not there, or is not one of ours."""


class StoreContradictionError(StoreError):
    """It answered what cannot be: an older version than before, or another record of the same version."""


class ItemError(StoreError):
    """What stands in the store is not to be acted upon, whoever wrote it."""


class MalformedItemError(ItemError):
    """A key is missing, unknown or of the wrong type, or the values contradict each other."""


class TwoPrimariesError(MalformedItemError):
    """A record names two primaries. Nobody may serve by it."""


class WrongShardError(ItemError):
    """The item under one name says that it is another's."""


class NewerFormatError(ItemError):
    """A newer build wrote it; this one does not know what it means."""


class InvalidChangeError(StoreError):
    """What was to be written may not follow what is there. Refused before anything was sent."""
