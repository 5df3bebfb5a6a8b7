# SPDX-License-Identifier: GPL-3.0-or-later
"""The negative control of simulation and flow: deliberate faults in the core, each of which one of them must notice.

    python3 sim/mutants.py BUILD_DIRECTORY

Each mutant is one changed line of one source file.  It is compiled with the others, unchanged, and run: first against
flows that the oracle of tests/unit/core has written (sim/flow.c), then, for rules 1, in the simulation, and at last
against a small snapshot of everything (tests/test_snapshot_bytes.c).  A mutant that
runs through unnoticed ends this script with 1; so does, before anything is compiled, one whose line the source
no longer has, or has twice.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from flows import HOME, write_flows
from mutants_rules_2 import MUTANTS as RULES_2
from mutants_snapshot import MUTANTS as SNAPSHOT

# Those that include the headers with the path of plain orders.
INCLUDERS = [
    *(
        "book",
        "book_check",
        "book_expiry",
        "book_index",
        "book_level",
        "book_walk",
        "matcher",
        "matcher_admin",
        "matcher_check",
        "matcher_dump",
        "matcher_event",
    ),
    *("matcher_look", "matcher_match", "matcher_order", "matcher_phase", "matcher_restore", "matcher_stop"),
    "terms",
]
CORE = [
    *INCLUDERS,
    *("auction", "buckets", "crc32c", "event_log", "event_log_load", "journal", "journal_ahead", "journal_open"),
    *("journal_reader", "journal_reader_open", "journal_record", "journal_segment", "journal_tail", "memory", "pool"),
    *("price_index", "price_window", "replay", "replica_frame", "risk", "sha256", "snapshot", "snapshot_format"),
    *("snapshot_store", "status"),
]
PROGRAMS = {"run_flow": ["flow"], "run_sim": ["sim", "reference"], "run_snapshot": ["test_snapshot_bytes"]}
FLAGS = ["-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-g", "-DIB_CHECK", f"-I{HOME}/include", f"-I{HOME}/src"]


ENDLESS_S = 120  # a fault may be a loop without end; the core itself takes some two seconds


class Mutant(NamedTuple):
    """One deliberate fault: `old` becomes `new` in one file."""

    name: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "the newest order trades first",
        "matcher_path.h",
        "name = ib_book_links(book, level_index)->next;",
        "name = ib_book_links(book, level_index)->prev;",
    ),
    Mutant(
        "no trade at the limit itself", "matcher_path.h", "~incoming->key, reporting", "~incoming->key - 1, reporting"
    ),
    Mutant(
        "a trade at the incoming price",
        "matcher_event",
        "event->quantity = quantity;\n    event->price = price;",
        "event->quantity = quantity;",
    ),
    Mutant("an event keeps what stood at its place", "matcher_event", "    event->match_ref = 0;\n", ""),
    Mutant(
        "an IOC order rests", "matcher_path.h", "if (incoming->time_in_force != IB_TIME_IN_FORCE_IOC) {", "if (1) {"
    ),
    Mutant(
        "a plain order is taken whatever its number",
        "matcher_path.h",
        "command->user_ref <= session->last_user_ref ||",
        "command->user_ref == 0 ||",
    ),
    Mutant("a plain cancel takes any size", "matcher_path.h", "if (command->quantity != 0 || ", "if ("),
    Mutant(
        "a filled order stays in the id index",
        "book_path.h",
        "        *bucket = ib_order_chain(order);\n",
        "        ;\n",
    ),
    Mutant(
        "a level that is traded off stays",
        "book_path.h",
        "if (oldest == level) {",
        "if (0) {",
    ),
    Mutant(
        "a bucket that is split loses orders",
        "book_index",
        "        *bucket = index;\n        index = next;\n",
        "        index = next;\n",
    ),
    Mutant(
        "a bucket keeps what belongs to its child",
        "book_index",
        "(scattered & mask) == to ? to : from",
        "(scattered & mask) == to ? from : from",
    ),
    Mutant("a bucket is taken for made", "book_path.h", "IB_LIKELY(first != IB_BUCKET_UNMADE)", "(first | 1)"),
    Mutant("a side keeps a near node that is gone", "price_index", "if (index->near[near] == *link) {", "if (0) {"),
    Mutant(
        "a price that is gone keeps its level in its leaf",
        "price_index.h",
        "    at->child[ib_price_digit(key, 0)] = IB_NONE;\n",
        "",
    ),
    Mutant(
        "an order has the client data of the one before in its slot",
        "book",
        "*cold = (struct ib_order_cold){.chain = ib_order_chain(order), .order = index};",
        "cold->chain = ib_order_chain(order), cold->order = index, cold->history = 0;",
    ),
    Mutant(
        "a replacement never keeps its place", "matcher_order", "return !ib_level_is_parked(level) &&", "return 0 &&"
    ),
    Mutant(
        "a cancel forgets what is filled", "matcher_order", "command->quantity - executed : 0", "command->quantity : 0"
    ),
    Mutant(
        "a replacement forgets what is filled",
        "matcher_order",
        ".executed = ib_book_executed(book, old),",
        ".executed = 0,",
    ),
    Mutant("orders of others can be cancelled", "book_path.h", " && ib_order_session(order) == session", ""),
    Mutant("a resend is taken again", "matcher", "session->last_user_ref = command->user_ref;", ""),
    Mutant(
        "a halt does not halt",
        "matcher_order",
        "OPEN) {\n        return IB_REASON_HALTED;\n    }\n    if (old",
        "OPEN && 0) {\n        return IB_REASON_HALTED;\n    }\n    if (old",
    ),
    Mutant(
        "the state hash misses fills",
        "book",
        "cold->history += quantity << IB_ORDER_CHAIN_BITS;",
        "cold->history += quantity << IB_ORDER_CHAIN_BITS; book->hash++;",
    ),
    Mutant(
        "the last price level is leaked",
        "book_path.h",
        "ib_pool_give(&book->levels, ib_index_of(index), sizeof(struct ib_far_level));",
        "",
    ),
    Mutant(
        "the best price is not searched again",
        "book_path.h",
        "if (next == IB_NONE || window != NULL) {",
        "if (0) {",
    ),
    Mutant(
        "far prices are forgotten when the best in the window goes",
        "book_path.h",
        "IB_LIKELY(side->root == IB_NONE) ? ib_price_window_above",
        "1 ? ib_price_window_above",
    ),
    Mutant(
        "a price is in the window and in the index",
        "book_path.h",
        "                       (side->root == IB_NONE || ring->next != index))) {",
        "                       1)) {",
    ),
    Mutant("a level keeps its bit", "book_path.h", "    ib_price_window_unset(window, key);\n", ""),
    Mutant(
        "the second best price is remembered when it is gone",
        "book_path.h",
        "window->second_key = second_key == key ? side->best_key : second_key;",
        "",
    ),
    Mutant(
        "a price that comes between the best and the second is overlooked",
        "price_window.h",
        "behind < window->second_key ? behind : window->second_key;",
        "key < best_key ? best_key : window->second_key;",
    ),
    Mutant(
        "the second best price is remembered when one comes that is not in the window",
        "book_level",
        "        window->second_key = side->best_key;\n        return added;",
        "        return added;",
    ),
    Mutant(
        "a window slides over what it holds",
        "price_window",
        "if (highest - lowest >= IB_WINDOW_KEYS) {",
        "if (0) {",
    ),
    Mutant(
        "a level of a window has the price that is as far from the window's end",
        "price_window.h",
        "return window->base + (slot - window->base) % IB_WINDOW_KEYS;",
        "return window->base + slot % IB_WINDOW_KEYS;",
    ),
    Mutant(
        "a level of a window is of the other side",
        "book.h",
        "    uint32_t side_index = at / (uint32_t)IB_WINDOW_KEYS;",
        "    uint32_t side_index = at / (uint32_t)IB_WINDOW_KEYS ^ 1;",
    ),
    Mutant(
        "the only order of a level leaves it behind",
        "level.h",
        "return links.next == links.prev;",
        "return 0;",
    ),
    Mutant(
        "the wheel is not gone round",
        "price_window",
        "found = found != NO_SLOT ? found : slot_from(window, 0); /* round the wheel */",
        "",
    ),
    Mutant(
        "ticks are not checked",
        "book.h",
        "return *ticks - 1 < instrument->ticks_max;",
        "return price > 0;",
    ),
]


def run(command: list[str], seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says; TimeoutExpired after so many seconds."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


def compile_object(source: Path, target: Path) -> None:
    """Compile one file; a mutant that does not compile proves nothing."""
    result = run(["gcc", *FLAGS, f"-I{HOME}/sim", "-c", str(source), "-o", str(target)])
    if result.returncode != 0:
        sys.exit(f"mutants: {source} does not compile:\n{result.stderr}")


def notice(programs: Path, flows: list[list[str]]) -> str | None:
    """Return what flows, simulation or the snapshot's test say about a core, or None when they notice nothing."""
    runs = [[str(programs / "run_flow"), *arguments] for arguments in flows]
    runs.append([str(programs / "run_sim"), "--seeds", "8", "--steps", "2000"])
    runs.append([str(programs / "run_snapshot")])
    for command in runs:
        try:
            result = run(command, ENDLESS_S)
        except subprocess.TimeoutExpired:
            return f"it does not end within {ENDLESS_S} s"
        if result.returncode != 0:
            return (result.stdout + result.stderr).strip().splitlines()[-1]
    return None


def link(objects: list[str], build: Path, programs: Path) -> None:
    """Link the programs with a core; one that does not link proves nothing."""
    for program, mains in PROGRAMS.items():
        result = run(["gcc", *objects, *[str(build / f"{main}.o") for main in mains], "-o", str(programs / program)])
        if result.returncode != 0:
            sys.exit(f"mutants: {program} does not link:\n{result.stderr}")


def file_of(mutant: Mutant) -> str:
    """Return the name of the file that a mutant changes."""
    return mutant.file if mutant.file.endswith(".h") else f"{mutant.file}.c"


def misfits(mutants: list[Mutant]) -> list[str]:
    """Return a line for each mutant that changes nothing, or does not say which of several places."""
    found = []
    for mutant in mutants:
        path = HOME / "src" / file_of(mutant)
        times = path.read_text(encoding="utf-8").count(mutant.old) if path.is_file() else 0
        if times != 1:
            found.append(f"mutants: {mutant.name}: {path.name} has its line {times} times, not once: correct it")
    return found


class Named(Protocol):
    """A fault, whatever else it is."""

    @property
    def name(self) -> str:
        """What it does."""


F = TypeVar("F", bound=Named)


def faulty_sources(mutants: list[Mutant], build: Path) -> Path:
    """Return a copy of the sources with some mutants in it.

    All of the sources: a header includes others from where it stands itself.
    """
    sources = build / "src"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(HOME / "src", sources)
    for mutant in mutants:
        path = sources / file_of(mutant)
        path.write_text(path.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")
    return sources


def try_all(script: str, faults: Sequence[F], notice: Callable[[F], str | None], bound: str = "") -> int:
    """Try every fault and tell what became of it; 1 when one is missed. `bound`: how far was looked, for the end."""
    missed = 0
    for fault in faults:
        said = notice(fault)
        missed += said is None
        print(
            f"  {'MISSED' if said is None else 'caught'}: {fault.name}{'' if said is None else f' ({said})'}",
            flush=True,
        )
    print(f"{script}: {len(faults) - missed} of {len(faults)} caught{bound}")
    return missed > 0


def catches(mutant: Mutant, build: Path, objects: dict[str, Path], flows: list[list[str]]) -> str | None:
    """Return what is said about a mutant, or None when it is not noticed."""
    file = file_of(mutant)
    sources = faulty_sources([mutant], build)
    names = INCLUDERS if file.endswith(".h") else [mutant.file]
    linked = [str(path) for name, path in objects.items() if name not in names]
    for name in names:
        compile_object(sources / f"{name}.c", build / f"mutant_{name}.o")
        linked.append(str(build / f"mutant_{name}.o"))
    link(linked, build, build)
    return notice(build, flows)


def main() -> int:
    """Try every mutant; 1 when one is missed."""
    mutants = MUTANTS + [Mutant(*fields) for fields in RULES_2 + SNAPSHOT]
    wrong = misfits(mutants)  # all of them, before minutes are spent on the first
    if wrong:
        sys.exit("\n".join(wrong))
    build = Path(sys.argv[1]) / "mutants"
    build.mkdir(parents=True, exist_ok=True)
    objects = {name: build / f"{name}.o" for name in CORE}
    for name, target in objects.items():
        compile_object(HOME / "src" / f"{name}.c", target)
    for name in ("sim/flow", "sim/sim", "sim/reference", "tests/test_snapshot_bytes"):
        compile_object(HOME / f"{name}.c", build / f"{Path(name).name}.o")
    flows = [[str(flow.capacity), str(flow.commands), str(flow.events)] for flow in write_flows(build)]
    link([str(path) for path in objects.values()], build, build)
    said = notice(build, flows)
    if said is not None:
        print(f"mutants: the core itself does not pass, so nothing is proven: {said}")
        return 1
    return try_all("mutants", mutants, lambda mutant: catches(mutant, build, objects, flows))


if __name__ == "__main__":
    sys.exit(main())
