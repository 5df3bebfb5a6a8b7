# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals archived in the emulator's S3 under Object Lock, by the module and read by its twin; read back by boto3."""

from __future__ import annotations

import datetime
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import journal_archive, journal_archive_info
from emulated_aws import stock_moto
from ironbook import journal_archive as archive
from ironbook import journal_segments as segments
from ironbook import seals
from ironbook.archiver import Archiver
from ironbook.core import Journal
from local_processes import IRONBOOK, environment, wait_for
from unit.core.test_binding import command_at

pytestmark = pytest.mark.slow

SEGMENT = 128 + 8 * 192  # bytes, eight commands
BEGIN_NS = 1_764_426_600_000_000_000
PREFIX = "journal/shard-00/"
DAY = 86400


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulator, which is moto as it comes: our launcher repairs nothing of S3's objects."""
    with stock_moto() as url:
        yield url


def client(url: str) -> Any:
    return boto3.client("s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id="testing",
                        aws_secret_access_key="testing")  # fmt: skip


class Place:
    """A bucket with Object Lock, and a journal in a directory of its own."""

    def __init__(self, url: str, directory: Path, bucket: str) -> None:
        self.url, self.bucket, self.directory = url, bucket, directory
        self.s3 = client(url)
        self.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        self.append(1, 30)

    def append(self, first: int, last: int) -> None:
        """Commands of one a day, and the seals of what is full."""
        commands = [command_at(seq)._replace(time_ns=self.time_ns(seq)) for seq in range(first, last + 1)]
        with Journal(self.directory, segment_bytes=SEGMENT) as journal:
            journal.append(commands)
        seals.seal(self.directory)

    @staticmethod
    def time_ns(seq: int) -> int:
        """One command a day, the first of them ten days ago."""
        now = int(datetime.datetime.now(datetime.UTC).timestamp()) // DAY * DAY
        return (now + (seq - 10) * DAY) * 1_000_000_000

    def keys(self) -> list[str]:
        """What is in the bucket."""
        return sorted(item["Key"] for item in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ()))

    def versions(self) -> int:
        """How often anything was written."""
        return len(self.s3.list_object_versions(Bucket=self.bucket).get("Versions", ()))


@pytest.fixture
def place(endpoint: str, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return Place(endpoint, tmp_path / "journal", "archive-" + str(abs(hash(request.node.name)))[:10])


def call(place: Place, capsys: pytest.CaptureFixture[str], module: ModuleType, **options: Any) -> dict[str, Any]:
    """Run the module as Ansible does."""
    arguments: dict[str, Any] = {
        "bucket": place.bucket,
        "prefix": "journal/shard-00",
        "region": "us-east-1",
        "access_key": "testing",
        "secret_key": "testing",
        "endpoint_url": place.url,
    }
    if module is journal_archive:
        arguments |= {"directory": str(place.directory), "retention_days": 100, "uncommitted": 0}
    with patch_module_args(arguments | options), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


NAMES = [f"{seq:020}.{kind}" for seq in (1, 9, 17) for kind in ("journal", "sha256")]


def test_sealed_segments_are_archived_once_and_kept(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Content, hash and retention are read back; a second run changes nothing; what came since is put by the next."""
    preview = call(place, capsys, journal_archive, _ansible_check_mode=True)
    assert preview["changed"] is True
    assert place.keys() == []
    answer = call(place, capsys, journal_archive)
    assert answer["actions"] == preview["actions"] and answer["segments"] == 3
    assert place.keys() == [PREFIX + name for name in NAMES]
    for name in NAMES:
        body = place.s3.get_object(Bucket=place.bucket, Key=PREFIX + name)["Body"].read()
        assert body == (place.directory / name).read_bytes()
        head = place.s3.head_object(Bucket=place.bucket, Key=PREFIX + name)
        assert head["ObjectLockMode"] == "COMPLIANCE"
        last = int(name[:20]) + 7  # its last command, from whose day the retention is counted
        assert head["ObjectLockRetainUntilDate"].timestamp() == place.time_ns(last) // 10**9 + 100 * DAY
        assert answer["diff"]["before"][PREFIX + name] == {}
        assert answer["diff"]["after"][PREFIX + name]["sha256"] == seals.hash_of(place.directory / name)
        with pytest.raises(place.s3.exceptions.ClientError, match="AccessDenied"):
            place.s3.delete_object(Bucket=place.bucket, Key=PREFIX + name, VersionId=head["VersionId"])
    again = call(place, capsys, journal_archive, verify=True)
    assert (again["changed"], again["actions"], place.versions()) == (False, [], 6)
    place.append(31, 40)
    later = call(place, capsys, journal_archive)
    assert [action["key"][-27:] for action in later["actions"]] == [
        f"{seq:020}.{kind}"[-27:] for seq in (25,) for kind in ("journal", "sha256")]  # fmt: skip
    assert place.versions() == 8


def test_the_twin_reads_an_archive_that_is_whole(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Every object and its retention, and no problem; nothing is written."""
    assert call(place, capsys, journal_archive_info)["objects"] == []
    call(place, capsys, journal_archive)
    answer = call(place, capsys, journal_archive_info, verify=True)
    assert answer["changed"] is False
    assert answer["problems"] == []
    assert [item["key"] for item in answer["objects"]] == place.keys()
    assert {item["mode"] for item in answer["objects"]} == {"COMPLIANCE"}
    assert place.versions() == 6


def test_retention_grows_and_never_shrinks(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """More days extend; fewer change nothing; GOVERNANCE becomes COMPLIANCE, and stays that."""
    call(place, capsys, journal_archive, retention_mode="GOVERNANCE")
    longer = call(place, capsys, journal_archive, retention_days=200, retention_mode="GOVERNANCE")
    assert {action["action"] for action in longer["actions"]} == {"extend"}
    assert call(place, capsys, journal_archive, retention_days=50, retention_mode="GOVERNANCE")["changed"] is False
    stricter = call(place, capsys, journal_archive, retention_days=50)
    assert {action["mode"] for action in stricter["actions"]} == {"COMPLIANCE"}
    assert call(place, capsys, journal_archive, retention_days=50, retention_mode="GOVERNANCE")["changed"] is False
    for item in call(place, capsys, journal_archive_info)["objects"]:
        last = int(item["key"].rpartition("/")[2][:20]) + 7
        assert (item["mode"], item["retain_until"]) == ("COMPLIANCE", place.time_ns(last) // 10**9 + 200 * DAY)
    assert place.versions() == 6


def test_what_is_over_before_it_is_put_is_kept_for_a_day(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A retention of one day from a command of last week."""
    answer = call(place, capsys, journal_archive, retention_days=1)
    now = datetime.datetime.now(datetime.UTC).timestamp()
    assert 0 < answer["actions"][0]["retain_until"] - now - DAY + 60 < 120
    assert call(place, capsys, journal_archive, retention_days=1)["changed"] is False


def refused(place: Place, capsys: pytest.CaptureFixture[str], module: ModuleType = journal_archive, **more: Any) -> str:
    before = place.versions()
    answer = call(place, capsys, module, **more)
    assert answer["failed"] is True
    assert place.versions() == before
    message: str = answer["msg"]
    assert "\n" not in message
    return message


def test_another_journal_under_the_same_name_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own sums and seals are right; the archive has another history, which stays."""
    call(place, capsys, journal_archive)
    for path in place.directory.iterdir():
        path.unlink()
    commands = [command_at(seq)._replace(time_ns=place.time_ns(seq)) for seq in range(1, 31)]
    commands[5] = commands[5]._replace(quantity=commands[5].quantity + 1)
    with Journal(place.directory, segment_bytes=SEGMENT) as journal:
        journal.append(commands)
    seals.seal(place.directory)
    assert "the archive has another content under this name" in refused(place, capsys)
    assert "give the journal a place of its own" in refused(place, capsys, prefix="/")


def test_a_segment_that_is_not_as_sealed_is_not_archived(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """One bit, in a segment or in a seal; nothing at all is put then."""
    segment = place.directory / f"{9:020}.journal"
    sound = segment.read_bytes()
    segment.write_bytes(sound[:300] + bytes([sound[300] ^ 1]) + sound[301:])
    assert f"{segment}: is not what" in refused(place, capsys)
    segment.write_bytes(sound)
    seal = segment.with_suffix(".sha256")
    text = seal.read_text()
    lines = text.splitlines()
    seal.write_text(f"{lines[0]}\n{'0' * 64}{lines[1][64:]}\n")
    assert "does not cover" in refused(place, capsys)
    seal.write_text("nothing\n")
    assert "is no seal" in refused(place, capsys)
    seal.write_text(text)
    assert call(place, capsys, journal_archive)["changed"] is True


def test_places_that_cannot_be_used_are_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A bucket without Object Lock, none at all, no directory, no days."""
    place.s3.create_bucket(Bucket="has-no-lock")
    assert "bucket has-no-lock: has no Object Lock" in refused(place, capsys, bucket="has-no-lock")
    assert "bucket is-not-there cannot be read or written" in refused(place, capsys, bucket="is-not-there")
    assert "is no directory" in refused(place, capsys, directory=str(place.directory / "nowhere"))
    assert "give it one day at least" in refused(place, capsys, retention_days=0)
    assert "bucket is-not-there cannot be read" in refused(place, capsys, journal_archive_info, bucket="is-not-there")


def test_an_archive_that_was_tampered_with_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody wrote a newer version over a segment, or a seal, or put a segment beside: each is a problem's line."""
    call(place, capsys, journal_archive)
    key = PREFIX + f"{9:020}.journal"
    head = place.s3.head_object(Bucket=place.bucket, Key=key)
    place.s3.put_object(Bucket=place.bucket, Key=key, Body=b"x" * head["ContentLength"], Metadata=head["Metadata"])
    assert call(place, capsys, journal_archive_info)["problems"] == []  # what S3 says of itself is right …
    [line] = call(place, capsys, journal_archive_info, verify=True)["problems"]  # … and the bytes are not
    assert line.startswith(f"{key}: what {place.bucket} gives back")
    assert f"{key}: what {place.bucket} gives back" in refused(place, capsys, verify=True)
    place.s3.put_object(Bucket=place.bucket, Key=key, Body=b"x")
    assert f"{key}: is not what" in call(place, capsys, journal_archive_info)["problems"][0]
    place.s3.put_object(Bucket=place.bucket, Key=PREFIX + f"{99:020}.journal", Body=b"x")
    assert f"{PREFIX}{99:020}.journal: has no seal" in call(place, capsys, journal_archive_info)["problems"]


class Forgetful:
    """An S3 that takes a retention and keeps none, or gives back other bytes than it was given."""

    def __init__(self, s3: Any, fault: str) -> None:
        self._s3, self._fault = s3, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **options: Any) -> Any:
        if self._fault == "retention":
            options = {key: value for key, value in options.items() if not key.startswith("ObjectLock")}
        else:
            options |= {"Body": b"other bytes"}
            del options["ChecksumSHA256"]  # which the real S3 would hold against them
        return self._s3.put_object(**options)


@pytest.mark.parametrize(("fault", "named"), [("retention", "keeps it for no time"), ("bytes", "gives back")])
def test_what_s3_did_not_keep_is_noticed(place: Place, fault: str, named: str) -> None:
    """Reading back is not for show."""
    files = segments.read(place.directory, uncommitted=0)
    actions = archive.plan(archive.Wanted(PREFIX, 100, "COMPLIANCE"), files, {}, 0)
    with pytest.raises(ValueError, match=named):
        archive.apply(Forgetful(place.s3, fault), place.bucket, actions, files)


# ---- the service that does it again and again


def archiver_of(place: Place) -> Archiver:
    return Archiver(place.s3, place.bucket, place.directory, archive.Wanted(PREFIX, 100, "COMPLIANCE"), 0)


@pytest.mark.parametrize(("uncommitted", "archived"), [(0, 3), (6, 3), (7, 2), (22, 1), (23, 0), (32768, 0)])
def test_what_another_member_could_still_replace_is_not_archived(place: Place, uncommitted: int, archived: int) -> None:
    """Thirty commands, eight to a segment: the third segment ends at 24."""
    assert [file.name for file in segments.read(place.directory, uncommitted=uncommitted)] == NAMES[: 2 * archived]


def test_the_module_waits_for_what_is_final(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Told nothing, it takes as much for uncommitted as any shard may have."""
    assert segments.read(place.directory) == []
    assert call(place, capsys, journal_archive, uncommitted=7)["segments"] == 2
    assert place.keys() == [PREFIX + name for name in NAMES[:4]]


def test_what_is_sealed_meanwhile_is_archived_and_nothing_is_read_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    hash_of = segments.hash_of
    monkeypatch.setattr(segments, "hash_of", lambda path: [hashed.append(path.name), hash_of(path)][1])
    service, now = archiver_of(place), int(time.time())
    assert [action.action for action in service.once(now)] == ["put"] * 6
    assert place.keys() == [PREFIX + name for name in NAMES] and sorted(hashed) == sorted(NAMES)
    assert service.once(now) == [] and len(hashed) == 6
    place.append(31, 40)
    new = [f"{25:020}.{kind}" for kind in ("journal", "sha256")]
    assert [action.key for action in service.once(now)] == [PREFIX + name for name in new]
    assert sorted(hashed) == sorted([*NAMES, *new])
    assert archiver_of(place).once(now) == [] and place.versions() == 8  # one that was started again puts nothing


def test_a_segment_that_is_written_behind_the_seal_is_refused_though_it_was_known(place: Place) -> None:
    service, now = archiver_of(place), int(time.time())
    service.once(now)
    segment = place.directory / NAMES[0]
    data = bytearray(segment.read_bytes())
    data[300] ^= 1
    segment.write_bytes(data)
    with pytest.raises(ValueError, match=r"is not what 0+1\.sha256 has sealed"):
        service.once(now)
    data[300] ^= 1
    segment.write_bytes(data)
    assert service.once(now) == []


def test_the_service_says_once_why_it_cannot_and_goes_on(place: Place) -> None:
    """As its service manager runs it: a bucket without a lock, which gets one; SIGTERM ends it."""
    plain = f"{place.bucket}-later"
    place.s3.create_bucket(Bucket=plain)
    command = [*IRONBOOK, "archiver", "run", "--directory", str(place.directory), "--bucket", plain,
               "--prefix", "journal/shard-00", "--retention-days", "100", "--every", "0.05",
               "--uncommitted", "0"]  # fmt: skip
    aws = {"AWS_ENDPOINT_URL": place.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing",
           "AWS_SECRET_ACCESS_KEY": "testing"}  # fmt: skip
    log = place.directory.with_name("log")
    with log.open("w") as written:
        running = subprocess.Popen(command, env=environment(**aws), stderr=written)
    try:
        wait_for(lambda: "has no Object Lock" in log.read_text(), "a refusal")
        time.sleep(0.5)  # many looks
        place.s3.delete_bucket(Bucket=plain)
        place.s3.create_bucket(Bucket=plain, ObjectLockEnabledForBucket=True)
        wait_for(lambda: log.read_text().count(" put ") == 6, "six objects")
        running.terminate()
        assert running.wait(20) == 0
    finally:
        running.kill()
        running.wait()
    assert len(place.s3.list_objects_v2(Bucket=plain)["Contents"]) == 6
    assert log.read_text().count("has no Object Lock") == 1
    refused = subprocess.run([*command[:-4], "--retention-days", "0"], env=environment(**aws), capture_output=True,
                             text=True, check=False)  # fmt: skip
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
