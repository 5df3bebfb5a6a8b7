# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of journals in S3 under Object Lock: what is there, what is to be done, and doing it.

An object is one segment or one seal, under its own name; its SHA-256 stands in its metadata and, for S3 to check on the
way, in its checksum. What is there is never written again: another content under a name of ours is an error.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ironbook.journal_segments import File, chain, promises

SIZE_MAX = 5 * 1024**3  # bytes; what S3 takes in one PutObject (User Guide, "Uploading objects")
METADATA = "sha256"
MODES = ("GOVERNANCE", "COMPLIANCE")


@dataclass(frozen=True)
class Archived:
    """One object. `retain_until`: seconds since the Unix epoch, 0 = no retention."""

    size: int
    sha256: str
    mode: str
    retain_until: int


@dataclass(frozen=True)
class Action:
    """What is done with one object: "put" it, or "extend" its retention. `retain_until` as in Archived."""

    action: str
    key: str
    sha256: str
    mode: str
    retain_until: int


def prefix_of(text: str) -> str:
    """The beginning of our keys; ValueError for one that would take in what is not ours."""
    if not text.strip("/") or text.startswith("/"):
        raise ValueError(f"prefix {text!r}: give the journal a place of its own, for instance journal/shard-00")
    return text.rstrip("/") + "/"


@dataclass(frozen=True)
class Wanted:
    """Where a journal is archived, for how many days, and in which mode of MODES."""

    prefix: str
    days: int
    mode: str

    def until(self, file: File) -> int:
        """When the retention of a file ends, in seconds since the Unix epoch.

        It is counted from the last command of the segment, so that it is the same on each run.
        """
        return file.last_ns // 1_000_000_000 + self.days * 86400


def plan(wanted: Wanted, files: Sequence[File], there: Mapping[str, Archived], now: int) -> list[Action]:
    """What to do; ValueError where the archive has something else under a name of ours.

    What is put so late that its retention would be over is kept for a day. Retention is made longer, never shorter,
    and COMPLIANCE stays.
    """
    actions = []
    for file in files:
        key, until = wanted.prefix + file.name, wanted.until(file)
        known = there.get(key)
        if known is None:
            if file.size > SIZE_MAX:
                raise ValueError(f"{file.path}: {file.size} bytes are more than S3 takes at once: lower segment_bytes")
            actions.append(Action("put", key, file.sha256, wanted.mode, max(until, now + 86400)))
            continue
        if (known.size, known.sha256) != (file.size, file.sha256):
            raise ValueError(f"{key}: the archive has another content under this name ({known.sha256[:16]}…, here "
                             f"{file.sha256[:16]}…): this is not the journal that was archived; give this one a prefix "
                             "of its own")  # fmt: skip
        is_short = known.retain_until < until and until > now
        if is_short or (known.mode, wanted.mode) == ("GOVERNANCE", "COMPLIANCE"):
            mode = "COMPLIANCE" if "COMPLIANCE" in (known.mode, wanted.mode) else "GOVERNANCE"
            actions.append(Action("extend", key, file.sha256, mode, max(until, known.retain_until, now + 86400)))
    return actions


def require_lock(s3: Any, bucket: str) -> None:
    """ValueError for a bucket without Object Lock: what is put there can be deleted."""
    try:
        answer = s3.get_object_lock_configuration(Bucket=bucket)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
            raise
        answer = {}
    if answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
        raise ValueError(f"bucket {bucket}: has no Object Lock, so what is archived there could be deleted: give one "
                         "that has, for instance that of the role aws_audit_storage")  # fmt: skip


def head(s3: Any, bucket: str, key: str) -> Archived:
    """One object as HeadObject describes it."""
    answer = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    until = answer.get("ObjectLockRetainUntilDate")
    return Archived(
        answer["ContentLength"],
        answer.get("Metadata", {}).get(METADATA, ""),
        answer.get("ObjectLockMode", ""),
        int(until.timestamp()) if until else 0,
    )


def read(s3: Any, bucket: str, prefix: str) -> dict[str, Archived]:
    """Key -> object, of all below the prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"]: head(s3, bucket, item["Key"]) for page in pages for item in page.get("Contents", ())}


def _hash_there(s3: Any, bucket: str, key: str) -> str:
    """SHA-256 of an object's content, read back."""
    digest = hashlib.sha256()
    for part in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20):
        digest.update(part)
    return digest.hexdigest()


def differences(s3: Any, bucket: str, there: Mapping[str, Archived]) -> list[str]:
    """A line for each object whose content, byte by byte, is not what its SHA-256 says."""
    found = {key: _hash_there(s3, bucket, key) for key in sorted(there)}
    return [f"{key}: what {bucket} gives back has the SHA-256 {found[key]}, not {there[key].sha256}"
            for key in found if found[key] != there[key].sha256]  # fmt: skip


def verify(s3: Any, bucket: str, there: Mapping[str, Archived]) -> None:
    """ValueError with the first of the differences."""
    for line in differences(s3, bucket, there):
        raise ValueError(line)


def _date(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def apply(s3: Any, bucket: str, actions: Iterable[Action], files: Sequence[File]) -> dict[str, Archived]:
    """Do it, and read back each content and each retention: key -> object. ValueError where S3 did not keep it so."""
    kept = {}
    paths = {file.name: file.path for file in files}
    for action in actions:
        until = _date(action.retain_until)
        if action.action == "put":
            with paths[action.key.rpartition("/")[2]].open("rb") as body:
                s3.put_object(
                    Bucket=bucket,
                    Key=action.key,
                    Body=body,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(bytes.fromhex(action.sha256)).decode(),
                    Metadata={METADATA: action.sha256},
                    ObjectLockMode=action.mode,
                    ObjectLockRetainUntilDate=until,
                )
        else:
            retention = {"Mode": action.mode, "RetainUntilDate": until}
            s3.put_object_retention(Bucket=bucket, Key=action.key, Retention=retention)
        found = head(s3, bucket, action.key)
        if action.action == "put":
            verify(s3, bucket, {action.key: found})
            if found.sha256 != action.sha256:
                raise ValueError(f"{action.key}: {bucket} has another SHA-256 of it than was given: {found.sha256!r}")
        if found.mode != action.mode or found.retain_until < action.retain_until:
            said = f"until {_date(found.retain_until):%Y-%m-%d} under {found.mode}" if found.mode else "for no time"
            raise ValueError(f"{action.key}: was to be kept until {until:%Y-%m-%d} under {action.mode}, and {bucket} "
                             f"keeps it {said}")  # fmt: skip
        kept[action.key] = found
    return kept


def problems(s3: Any, bucket: str, there: Mapping[str, Archived]) -> list[str]:
    """What is wrong with an archive by itself: each segment against its seal, each seal against the one before."""
    wrong = []
    seals = []
    for key in sorted(there):
        name = key.rpartition("/")[2]
        if not key.endswith(".sha256"):
            if key.removesuffix(".journal") + ".sha256" not in there:
                wrong.append(f"{key}: has no seal")
            continue
        text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        said = promises(text.decode("ascii", "replace"), key)
        seals.append((name, said, hashlib.sha256(text).hexdigest()))
        segment = key.removesuffix(".sha256") + ".journal"
        if segment not in there:
            wrong.append(f"{segment}: is sealed and not in the archive")
        elif said.get(segment.rpartition("/")[2]) != there[segment].sha256:
            wrong.append(f"{segment}: is not what {name} has sealed")
    return wrong + chain(seals)


def described(there: Mapping[str, Archived]) -> list[dict[str, Any]]:
    """Objects as a module returns them, in order of their keys."""
    return [{"key": key, **asdict(there[key])} for key in sorted(there)]
