# SPDX-License-Identifier: GPL-3.0-or-later
"""The negative control of the journal's tests: deliberate faults in writer and reader, each of which one must notice.

    python3 sim/mutants_journal.py BUILD_DIRECTORY

As mutants.py, and with its tools. The judges are the tests of the journal themselves, and a part of every_byte.c.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from flows import HOME
from mutants import CORE, FLAGS, Mutant, compile_object, faulty_sources, file_of, misfits, run, try_all

GOLDEN = HOME.parent / "tests" / "fixtures" / "core" / "golden" / "format_3_rules_3.hex"
# Each with its arguments; of the last one a share of all bytes.
JUDGES = {
    "test_journal": [],
    "test_journal_ahead": [],
    "test_journal_damage": [],
    "test_journal_faults": [],
    "every_byte": [str(GOLDEN), "0", "5", "32"],
}
ENDLESS_S = 120
WRITE_SYNC = "if (journal->fsync_policy == IB_FSYNC_GROUP && fdatasync(journal->fd) != 0) {"

MUTANTS = [
    # the writer
    Mutant("no sync before an acknowledgement", "journal", WRITE_SYNC, "if (0) {"),
    Mutant("a write of its own sync is not synced", "journal", "RWF_DSYNC : 0", "0 : 0"),
    Mutant(
        "a failed sync is tried again",
        "journal",
        WRITE_SYNC,
        WRITE_SYNC.replace(") {", " && fdatasync(journal->fd) != 0) {"),
    ),
    Mutant(
        "writing goes on after a failure",
        "journal",
        "    if (journal->status != IB_OK) {\n        return journal->status;\n    }\n    int status = check_group",
        "    journal->status = IB_OK;\n    int status = check_group",
    ),
    Mutant(
        "a short write is taken for all of it", "journal_segment", "while (size > 0) {", "for (int i = 0; i < 1; i++) {"
    ),
    Mutant("a name without a sync of its directory", "journal", "fsync(journal->directory_fd) != 0", "0"),
    Mutant("a new segment's header is not synced", "journal", " || fdatasync(fd) != 0", ""),
    Mutant("a full segment keeps its reserve", "journal", "ftruncate(fd, (off_t)journal->size) != 0 || ", ""),
    Mutant(
        "a full disk is found by a write",
        "journal_segment",
        "int reason = size == bytes ? 0 : posix_fallocate(fd, (off_t)size, (off_t)(bytes - size));",
        "int reason = 0;",
    ),
    Mutant(
        "room is counted twice",
        "journal_segment",
        "atomic_fetch_add(&next->room_seq, ib_segment_capacity(next))",
        "atomic_fetch_add(&next->room_seq, 2 * ib_segment_capacity(next))",
    ),
    # the recovery
    Mutant(
        "what was read is taken for synced",
        "journal_open",
        "    int status = write_last_group_again(journal);",
        "    int status = IB_OK;",
    ),
    Mutant(
        "what was read is synced, and not written again",
        "journal_open",
        "(size > 0 && ib_segment_write(journal->fd, journal->group, size, offset, 0) != IB_OK) ||",
        "",
    ),
    Mutant(
        "a name that was read is taken for synced",
        "journal_open",
        "fdatasync(journal->fd) != 0 || fsync(journal->directory_fd) != 0",
        "fdatasync(journal->fd) != 0",
    ),
    Mutant(
        "a failed sync passes for a full disk",
        "journal_open",
        "if (status == IB_ERROR_IO) {\n        return status;",
        "if (0) {\n        return status;",
    ),
    Mutant("a torn tail stays", "journal_open", "report->torn_bytes > 0 || is_old", "is_old"),
    Mutant(
        "a segment of an older format is gone on with",
        "journal_open",
        "report->segment_format < IB_JOURNAL_FORMAT_MARKED || report->rules < IB_RULES_NEWEST;",
        "0;",
    ),
    # the reader
    Mutant("a damaged record in the middle is cut off", "journal_reader", "tail->written < record_size)", "1)"),
    Mutant(
        "a damaged last record is taken for torn",
        "journal_reader",
        "tail->written < record_size)",
        "tail->written <= record_size)",
    ),
    Mutant(
        "an earlier segment may be torn",
        "journal_reader",
        "if (reader->segment < reader->segment_count || reader->offset == 0) {",
        "if (reader->offset == 0) {",
    ),
    Mutant(
        "the header's sum is not looked at",
        "journal_record",
        "header->header_crc32c == ib_crc32c(0, header, offsetof(struct ib_record_header, header_crc32c))",
        "1",
    ),
    Mutant(
        "the payload's sum is not looked at",
        "journal_reader",
        "header->payload_crc32c != ib_crc32c(0, bytes, length)",
        "0",
    ),
    Mutant(
        "what an engine wrote meanwhile is taken for damage",
        "journal_reader",
        "if (!ib_tail_is(reader->fd, reader->offset, reader->buffer + reader->begin, judged)) {",
        "if (0) {",
    ),
    Mutant("the chain is not looked at", "journal_reader", "header->chain != report->chain", "0"),
    # the reading ahead
    Mutant("what the reader failed with is lost", "journal_ahead", "return batch->status;", "return IB_OK;"),
    Mutant(
        "a batch is filled while it is visited",
        "journal_ahead",
        "sem_init(&ahead->empty, 0, BATCHES)",
        "sem_init(&ahead->empty, 0, BATCHES + 1)",
    ),
    Mutant(
        "a visitor's failure is lost",
        "journal_ahead",
        "        if (*visit_status != IB_OK) {\n            return *visit_status;",
        "        if (*visit_status != IB_OK) {\n            return IB_OK;",
    ),
]


def judge(programs: Path) -> str | None:
    """Return what the tests say about a journal, or None when they notice nothing."""
    for name, arguments in JUDGES.items():
        try:
            result = run([str(programs / name), *arguments], ENDLESS_S)
        except subprocess.TimeoutExpired:
            return f"{name} does not end within {ENDLESS_S} s"
        if result.returncode != 0:
            lines = (result.stderr + result.stdout).strip().splitlines() or [f"ended with {result.returncode}"]
            return f"{name}: {lines[0]}"
    return None


def link(objects: list[str], build: Path) -> None:
    """Link the tests with a core; one that does not link proves nothing."""
    for name in JUDGES:
        result = run(["gcc", *objects, str(build / f"{name}.o"), "-lpthread", "-o", str(build / name)])
        if result.returncode != 0:
            sys.exit(f"mutants_journal: {name} does not link:\n{result.stderr}")


def catches(mutant: Mutant, build: Path, objects: dict[str, Path]) -> str | None:
    """Return what is said about a mutant, or None when it is not noticed."""
    sources = faulty_sources([mutant], build)
    compile_object(sources / file_of(mutant), build / "mutant.o")
    link([*(str(path) for name, path in objects.items() if name != mutant.file), str(build / "mutant.o")], build)
    return judge(build)


def main() -> int:
    """Try every mutant; 1 when one is missed."""
    if wrong := misfits(MUTANTS):
        sys.exit("\n".join(wrong))
    build = Path(sys.argv[1]) / "mutants_journal"
    build.mkdir(parents=True, exist_ok=True)
    objects = {name: build / f"{name}.o" for name in CORE}
    for name, target in objects.items():
        compile_object(HOME / "src" / f"{name}.c", target)
    for name in JUDGES:
        result = run(["gcc", *FLAGS, f"-I{HOME}/tests", "-c", str(HOME / "tests" / f"{name}.c"), "-o",
                      str(build / f"{name}.o")])  # fmt: skip
        if result.returncode != 0:
            sys.exit(f"mutants_journal: {name}.c does not compile:\n{result.stderr}")
    link([str(path) for path in objects.values()], build)
    said = judge(build)
    if said is not None:
        print(f"mutants_journal: the journal itself does not pass, so nothing is proven: {said}")
        return 1
    return try_all("mutants_journal", MUTANTS, lambda mutant: catches(mutant, build, objects))


if __name__ == "__main__":
    sys.exit(main())
