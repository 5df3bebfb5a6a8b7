# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the fuzz targets of a directory: what is in the corpus, then whatever they think of, then broken cores.

    python3 fuzz/run.py BUILD/fuzz [--seconds N] [--plain]    what `make fuzz` does
    python3 fuzz/run.py BUILD/fuzz-coverage --coverage        what the corpus alone reaches (`make fuzz-coverage`)
    python3 fuzz/run.py BUILD/fuzz --adopt                    the corpus anew, from itself and what the last run kept

fuzz/corpus/TARGET.txt holds the corpus of a target, one input a line, in hex; a long run keeps what it finds in
BUILD/fuzz/TARGET.found. Each target has a fault below that it must find within the same time: the negative control.
--plain: the targets were made without libFuzzer, which also leaves the negative controls out.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).resolve().parent.parent
CORPUS = HOME / "fuzz" / "corpus"
TARGETS = sorted(path.stem for path in (HOME / "fuzz").glob("fuzz_*.c"))
# Long inputs from the start: one is a whole session.
LIMITS = ["-max_len=2048", "-len_control=0", "-timeout=20"]
LLVM = next(iter(sorted(Path("/usr/lib").glob("llvm-*/bin"), reverse=True)), Path("/usr/bin"))
# What a corpus must reach. Commands: each that causes an event (SESSION_ADD, RULES and ACCOUNT_ADD cause none),
# every type of event and phase, and each reason that the core itself gives but RISK_TABLE_FULL (39), which takes more
# pairs than one input has room for. Order entry: every kind of message, every command and time in force that OUCH 5.0
# can carry (no GTC, no FOK), and every code with which the decoder rejects, which takes an option of nearly each kind.
REACHED = {
    "fuzz_commands": {
        "commands": {1, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 20},
        "events": set(range(1, 16)),
        "reasons": set(range(12)) | set(range(16, 25)) | {27, 28, 29} | set(range(32, 39)),
        "phases": set(range(7)),
    },
    "fuzz_order_entry": {
        "kinds": set(range(7)),
        "commands": {3, 4, 5, 15, 19, 20},
        "times_in_force": {0, 2, 3, 6, 7},
        "codes": {0x03, 0x04, 0x05, 0x09, 0x0C, 0x0D, 0x0F, 0x11, 0x13, 0x14, 0x16, 0x1A, 0x1D},
    },
}


class Fault(NamedTuple):
    """A line of the core that becomes another one."""

    file: str
    old: str
    new: str


FAULTS = {
    "fuzz_commands": Fault("book.c", "ib_pool_give(&book->extras, extra_index, sizeof(struct ib_order_extra));", ""),
    "fuzz_journal": Fault("journal_reader.c", "header->payload_crc32c != ib_crc32c(0, bytes, length)", "0"),
    "fuzz_order_entry": Fault("soupbintcp.c", "if (size < 2 + length) {", "if (size < length) {"),
}


# Which files of the core the report of --coverage is about.
COVERED = {
    "fuzz_commands": (
        *("matcher*.[ch]", "book.c", "book_[!cw]*.[ch]", "auction.c", "risk.[ch]", "terms.[ch]"),
        *("price_index.[ch]", "pool.[ch]", "buckets.[ch]"),
    ),
    "fuzz_journal": ("journal_reader.c", "journal_record.c", "replay.c"),
    "fuzz_order_entry": ("soupbintcp.c", "ouch50.c"),
}


def expand(target: str, into: Path) -> int:
    """Write the corpus of a target as files; return how many they are."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    lines = (CORPUS / f"{target}.txt").read_text(encoding="ascii").split()
    for line in lines:
        data = bytes.fromhex(line)
        (into / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(lines)


def start(program: Path, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a target in its own directory, which is where libFuzzer leaves what it found."""
    with log.open("wb") as output:
        return subprocess.Popen([str(program), *arguments], cwd=program.parent, stdout=output, stderr=subprocess.STDOUT)


def tail(log: Path) -> str:
    """Return the end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-60:])


def unreached(target: str, log: Path) -> dict[str, set[int]]:
    """Return what a run of a target did not reach of what its corpus must."""
    said = [line.split() for line in log.read_text(errors="replace").splitlines() if line.startswith("reached ")]
    reached = {words[1].rstrip(":"): {int(word) for word in words[2:]} for words in said}
    return {what: wanted - reached.get(what, set()) for what, wanted in REACHED.get(target, {}).items()}


def run_corpus(build: Path, target: str) -> str | None:
    """Run a target's corpus alone; return what is wrong."""
    log = build / f"{target}.corpus.log"
    if start(build / target, ["-runs=0", str(build / f"{target}.corpus")], log).wait() != 0:
        return f"{tail(log)}\nfuzz: {target}: an input of the corpus fails"
    missing = {what: sorted(numbers) for what, numbers in unreached(target, log).items() if numbers}
    return f"fuzz: {target}: the corpus does not reach {missing}" if missing else None


def fuzz(build: Path, seconds: int, plain: bool) -> int:
    """Run all targets at once for some seconds; return how many failed."""
    failed, running = 0, {}
    for target in TARGETS:
        count = expand(target, build / f"{target}.corpus")
        if (wrong := run_corpus(build, target)) is not None:
            print(wrong)
            failed += 1
            continue
        found = build / f"{target}.found"
        found.mkdir(exist_ok=True)
        arguments = [str(seconds)]
        if not plain:
            arguments = [f"-max_total_time={seconds}", *LIMITS, str(found), str(build / f"{target}.corpus")]
        running[target] = count, start(build / target, arguments, build / f"{target}.log")
    for target, (count, process) in running.items():
        log = build / f"{target}.log"
        if process.wait() != 0:
            print(f"{tail(log)}\nfuzz: {target}: FAILED")
            failed += 1
            continue
        done = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("Done ")]
        print(f"fuzz: {target}: {count} inputs of the corpus, then {seconds} s: {(done or ['no finding'])[-1]}")
    return failed


def control(build: Path, target: str, seconds: int) -> str | None:
    """Break the core as FAULTS has it, and let the target find out; return what is wrong."""
    fault, place = FAULTS[target], build / "broken" / target
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(HOME / "src", place / "src")
    text = (place / "src" / fault.file).read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        return f"{fault.file} has {fault.old!r} {text.count(fault.old)} times: the negative control does not apply"
    (place / "src" / fault.file).write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    broken = place / "src" / fault.file
    objects = [str(path) for path in sorted((build / "objects").glob("*.o")) if path.stem != broken.stem]
    command = ["clang", "-std=c11", "-O1", "-g", "-DIB_CHECK", f"-I{HOME}/include", f"-I{place}/src"]
    command += ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    command += [str(HOME / "fuzz" / f"{target}.c"), str(broken), *objects, "-lcrypt", "-lpthread", "-o"]
    made = subprocess.run([*command, str(place / target)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"the broken core does not compile:\n{made.stderr}"
    arguments = [f"-max_total_time={seconds}", *LIMITS, str(build / f"{target}.corpus")]
    if start(place / target, arguments, place / "log").wait() == 0:
        return f"the fault in {fault.file} was not found: {fault.old!r} became {fault.new!r}"
    return None


def coverage(build: Path) -> int:
    """Print what the corpora alone reach of the core, line by line counted by clang."""
    for target in TARGETS:
        expand(target, build / f"{target}.corpus")
        os.environ["LLVM_PROFILE_FILE"] = str(build / f"{target}.profraw")
        if (wrong := run_corpus(build, target)) is not None:
            print(wrong)
            return 1
        profile = build / f"{target}.profdata"
        merge = [str(LLVM / "llvm-profdata"), "merge", "-o", str(profile), str(build / f"{target}.profraw")]
        subprocess.run(merge, check=True)
        files = [str(path.relative_to(HOME)) for word in COVERED[target] for path in sorted(HOME.glob(f"src/{word}"))]
        report = [str(LLVM / "llvm-cov"), "report", str(build / target), f"-instr-profile={profile}", *files]
        text = subprocess.run(report, check=True, capture_output=True, text=True, cwd=HOME).stdout
        print(f"{target}:")
        for line in text.splitlines():
            words = line.split()
            if len(words) > 9 and (line.startswith("TOTAL") or ".c" in words[0] or ".h" in words[0]):
                name = "all" if words[0] == "TOTAL" else Path(words[0]).name
                print(f"  {name:20} regions {words[3]:>8}  functions {words[6]:>8}  lines {words[9]:>8}")
    return 0


def keep_what_reaches(build: Path, target: str, kept: Path) -> None:
    """Add the inputs of the old corpus without which the new one would not reach what it must: an edge is not all."""
    log = build / f"{target}.merge.log"

    def missing(*of: Path) -> set[tuple[str, int]]:
        if start(build / target, ["-runs=0", *map(str, of)], log).wait() != 0:
            sys.exit(f"{tail(log)}\nfuzz: {target}: an input fails")
        return {(what, number) for what, numbers in unreached(target, log).items() for number in numbers}

    lacking = missing(kept)
    for path in sorted((build / f"{target}.corpus").iterdir(), key=lambda path: path.stat().st_size):
        if lacking - missing(path):
            shutil.copy(path, kept)
            lacking = missing(kept)


def adopt(build: Path) -> int:
    """Write each corpus anew: the fewest inputs, of the old one and what a run kept, that reach the same edges.

    And beside them those inputs of the old one that alone reach what REACHED asks for.
    """
    for target in TARGETS:
        kept = build / f"{target}.kept"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        given = [str(build / f"{target}.{kind}") for kind in ("corpus", "found")]
        merge = ["-merge=1", "-use_counters=0", str(kept), *given]
        if start(build / target, merge, build / f"{target}.merge.log").wait() != 0:
            print(tail(build / f"{target}.merge.log"))
            return 1
        keep_what_reaches(build, target, kept)
        lines = sorted((path.read_bytes().hex() for path in kept.iterdir()), key=lambda line: (len(line), line))
        (CORPUS / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines if line), encoding="ascii")
        print(f"fuzz: {target}: {len(lines)} inputs, {sum(map(len, lines)) // 2} bytes")
    return 0


def main() -> int:
    """Do what the command line says; 1 when a target found something, or did not find its fault."""
    parser = argparse.ArgumentParser(description="run the fuzz targets")
    parser.add_argument("build", type=Path)
    parser.add_argument("--seconds", type=int, default=30, help="of each target, all at once")
    parser.add_argument("--plain", action="store_true", help="the targets were made without libFuzzer")
    parser.add_argument("--coverage", action="store_true", help="print what the corpus reaches")
    parser.add_argument("--adopt", action="store_true", help="write the corpus anew")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    if arguments.coverage or arguments.adopt:
        return coverage(build) if arguments.coverage else adopt(build)
    failed = fuzz(build, arguments.seconds, arguments.plain)
    controls = [] if arguments.plain or failed else TARGETS
    for target in controls:
        if (wrong := control(build, target, arguments.seconds)) is not None:
            print(f"fuzz: {target}: {wrong}")
            failed += 1
    if not failed:
        found = f"{len(controls)} faults found" if controls else "no faults tried: there is no libFuzzer"
        print(f"fuzz: {len(TARGETS)} targets, {arguments.seconds} s each, nothing found; {found}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
