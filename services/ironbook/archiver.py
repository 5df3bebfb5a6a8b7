# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook archiver run`: ships an engine's sealed segments to S3 under Object Lock as they come.

It does what the module journal_archive does once (journal_archive.py), again and again, beside the engine and apart
from it: nothing of the journal is changed, and an engine waits for nothing here. Where S3 does not answer, or has
another content under a name of ours, it says why, once, and goes on trying. A segment is hashed once, when it is new.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ironbook import journal_archive as archive
from ironbook import journal_segments as segments
from ironbook.errors import CommandError
from ironbook.service import Stop, log_to_stderr

_MODES = ("COMPLIANCE", "GOVERNANCE")


class Archiver:
    """The archive of one journal. `now` in seconds since the Unix epoch."""

    def __init__(self, s3: Any, bucket: str, directory: Path, wanted: archive.Wanted, uncommitted: int) -> None:
        """`s3`: a client of boto3's. `uncommitted`: as segments.read has it."""
        self._s3, self._bucket, self._directory, self._wanted = s3, bucket, directory, wanted
        self._uncommitted = uncommitted
        self._files: dict[str, segments.File] = {}
        self._there: dict[str, archive.Archived] | None = None  # None: the bucket has to be asked

    def once(self, now: int) -> list[archive.Action]:
        """Archive what is new; return what was done. Raises ValueError, OSError and botocore's errors."""
        files = segments.read(self._directory, self._files, self._uncommitted)
        self._files = {file.name: file for file in files}
        there, self._there = self._there, None  # where this fails, the bucket is asked again
        if there is None:
            archive.require_lock(self._s3, self._bucket)
            there = archive.read(self._s3, self._bucket, self._wanted.prefix)
        actions = archive.plan(self._wanted, files, there, now)
        self._there = there | archive.apply(self._s3, self._bucket, actions, files)
        return actions


def run(arguments: argparse.Namespace) -> int:
    """Archive until asked to end."""
    if arguments.retention_days < 1 or arguments.every <= 0 or arguments.uncommitted < 0:
        raise CommandError(
            "archiver: --retention-days is one day at least, --every more than nothing, --uncommitted nothing or more"
        )
    try:
        wanted = archive.Wanted(archive.prefix_of(arguments.prefix), arguments.retention_days, arguments.retention_mode)
    except ValueError as error:
        raise CommandError(f"archiver: {error}") from error
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  (slow, and only here)
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # noqa: PLC0415

    stop, log, told = Stop(), log_to_stderr("archiver"), ""
    stop.catch_signals()
    try:
        archiver = Archiver(boto3.client("s3"), arguments.bucket, arguments.directory, wanted, arguments.uncommitted)
    except BotoCoreError as error:
        raise CommandError(f"archiver: {error}") from error
    while not stop:
        try:
            for action in archiver.once(int(time.time())):
                log.info("%s %s under %s", action.action, action.key, action.mode)
            told = ""
        except (ValueError, OSError, BotoCoreError, ClientError) as error:
            reason = " ".join(str(error).split())
            if reason != told:
                log.warning("not archived: %s", reason)
            told = reason
        stop.wait(arguments.every)
    return 0


def add_parser(subparsers: Any) -> None:
    """Add `ironbook archiver` to the command line."""
    parser = subparsers.add_parser("archiver", help="ship sealed segments of a journal to S3 as they come")
    command = parser.add_subparsers(dest="action", required=True).add_parser("run", help="until it is asked to end")
    command.add_argument("--directory", type=Path, required=True, help="the journal")
    command.add_argument("--bucket", required=True, help="a bucket with Object Lock")
    command.add_argument("--prefix", required=True, help="beginning of the keys of this one journal")
    command.add_argument("--retention-days", type=int, required=True, metavar="DAYS", help="nobody deletes it so long")
    command.add_argument("--retention-mode", choices=_MODES, default=_MODES[0], help="(default %(default)s)")
    command.add_argument(
        "--uncommitted", type=int, default=segments.UNCOMMITTED_MAX, metavar="N",
        help="the last N commands may still be replaced: 0 for an engine alone (default %(default)s)",
    )  # fmt: skip
    command.add_argument("--every", type=float, default=60.0, metavar="SECONDS", help="(default %(default)g)")
    command.set_defaults(function=run)
