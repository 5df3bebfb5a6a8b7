# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes away all that an environment has in AWS, what rests on others first; what stays is told with its reason.

Only what carries our tags is touched. What AWS refuses while another thing is not quite gone is tried again for a time.
Where something cannot be removed, the rest goes on, and the next run does what is lacking.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ..platform_resources.calls import Account, Calls, Refused, ResourceError, code_of, pauses
from ..platform_resources.engine import WORKERS
from .items import Estate, Item
from .removal import REMOVALS, Kept, stages

with contextlib.suppress(ImportError):  # the modules say what is missing
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

# By these AWS says that something else still uses it, which may be going just now.
IN_USE = frozenset({
    "Client.InvalidHost.Occupied", "DeleteConflict", "DependencyViolation", "IncorrectState",
    "InvalidDBSubnetGroupStateFault", "InvalidGroup.InUse", "InvalidIPAddress.InUse", "InvalidPlacementGroup.InUse",
    "ResourceInUse", "ResourceInUseException", "VolumeInUse",
})  # fmt: skip
# How long is waited for that; what stays longer is not ours, or could not be removed either.
PATIENCE_S = 300
DOING = "removing it"


@dataclass
class Outcome:
    """What was removed, what stays with its reason, and a line for each thing that could not be removed."""

    removed: list[Item] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether this run did anything."""
        return bool(self.removed) or any(kept.changed for kept in self.kept)


def in_order(items: Sequence[Item]) -> list[list[Item]]:
    """Return what is removable by stages; within one, by kind and name."""
    return [
        sorted((item for item in items if item.kind in kinds), key=lambda item: (item.kind, item.name, item.id))
        for kinds in stages()
    ]


def remove(account: Account, items: Sequence[Item]) -> Outcome:
    """Remove these, which are ours. It raises nothing that AWS may cause."""
    outcome = Outcome()
    with ThreadPoolExecutor(WORKERS) as pool:
        for batch in in_order(items):
            kept = tuple(outcome.kept)
            running = [(item, pool.submit(_remove, account, item, kept)) for item in batch]
            for item, future in running:
                try:
                    stays = future.result()
                except ResourceError as error:
                    outcome.problems.append(str(error))
                    continue
                if stays is None or stays.item.id != item.id:
                    outcome.removed.append(item)
                if stays is not None:
                    outcome.kept.append(stays)
    return outcome


def left(outcome: Outcome, there: Estate) -> list[Item]:
    """Return what is there after a removal and should not be; the tagging API knows for a while what has ended."""
    kept = {kept.item.id for kept in outcome.kept}
    ended = {item.id for item in outcome.removed} | {part for item in outcome.removed for part in item.parts}
    listed = {item.id for item in there.everything}
    return [item for item in there.ours if item.id not in kept and (item.id in listed or item.id not in ended)]


def _remove(account: Account, item: Item, kept: Sequence[Kept]) -> Kept | None:
    removal = REMOVALS[item.kind]
    aws = Calls(account, removal.service, item.kind, removal.not_found)
    end = account.clock.now() + PATIENCE_S
    with aws.explained(item.name or item.id, DOING):
        for seconds in pauses():
            try:
                return aws.unless_gone(lambda: removal.remove(aws, item, kept), None)
            except (Refused, ClientError) as error:
                code = code_of(error)
                if code not in IN_USE:
                    raise
                if account.clock.now() > end or not account.pause(seconds):
                    raise ResourceError(f"something still uses it ({code}): remove that, and run again") from error
    raise AssertionError("pauses have no end")
