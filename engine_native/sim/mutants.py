# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulation's negative control: deliberate faults in the core, each of which the simulation must notice.

    python3 sim/mutants.py BUILD_DIRECTORY

Each mutant is one changed line of one source file.  It is compiled with the others, unchanged, and run; a mutant that
runs through unnoticed ends this script with 1.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).resolve().parent.parent
# Those that include the headers with the path of plain orders.
INCLUDERS = [
    *("book", "book_check", "book_expiry", "book_walk", "matcher", "matcher_admin", "matcher_check", "matcher_event"),
    *("matcher_look", "matcher_match", "matcher_order", "matcher_phase", "matcher_stop", "terms"),
]
CORE = [
    *INCLUDERS,
    *("auction", "buckets", "crc32c", "event_log", "journal", "journal_reader", "journal_record", "memory", "pool"),
    *("price_index", "replay", "risk", "status"),
]
FLAGS = ["-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-g", "-DIB_CHECK", f"-I{HOME}/include", f"-I{HOME}/src"]


class Mutant(NamedTuple):
    """One deliberate fault: `old` becomes `new` in one file."""

    name: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant("the newest order trades first", "matcher_path.h", "index = level->head;", "index = level->tail;"),
    Mutant("no trade at the limit itself", "matcher_path.h", "= ~incoming->key; /*", "= ~incoming->key - 1; /*"),
    Mutant(
        "a trade at the incoming price",
        "matcher_event",
        "event.quantity = quantity;\n    event.price = price;",
        "event.quantity = quantity;",
    ),
    Mutant(
        "an IOC order rests", "matcher_path.h", "if (incoming->time_in_force != IB_TIME_IN_FORCE_IOC) {", "if (1) {"
    ),
    Mutant(
        "a plain order is taken whatever its number",
        "matcher_path.h",
        "command->user_ref <= session->last_user_ref ||",
        "command->user_ref == 0 ||",
    ),
    Mutant("a plain cancel takes any size", "matcher_path.h", "if (command->quantity != 0)", "if (0)"),
    Mutant("a filled order stays in the id index", "book_path.h", "        *bucket = ib_order_chain(order);\n", ""),
    Mutant(
        "a level that is traded off stays",
        "book_path.h",
        "level->tail = IB_NONE;\n        ib_book_drop_level(book, level_index);",
        "level->tail = IB_NONE;",
    ),
    Mutant(
        "a grown id index loses orders",
        "book",
        "ib_order_set_chain(order, *bucket);\n            *bucket = index;\n            index = next;",
        "index = next;",
    ),
    Mutant(
        "a grown price hash loses levels",
        "book",
        "level->chain = *bucket;\n            *bucket = index;\n            index = next;",
        "index = next;",
    ),
    Mutant(
        "an order has the client data of the one before in its slot",
        "book",
        "book->cold[index] = (struct ib_order_cold){0};\n        order",
        "order",
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
        "book->cold[index].history += quantity << IB_ORDER_CHAIN_BITS;",
        "book->cold[index].history += quantity << IB_ORDER_CHAIN_BITS; book->hash++;",
    ),
    Mutant(
        "the last price level is leaked", "book", "ib_pool_give(&book->levels, index, sizeof(struct ib_level));", ""
    ),
    Mutant(
        "the best price is not searched again",
        "book",
        "side->best_key = next_key != IB_KEY_NONE ? next_key : ib_price_index_from(side, &book->nodes, key);",
        "side->best_key = next_key;",
    ),
    Mutant(
        "ticks are not checked",
        "book.h",
        "return price > 0 && !__builtin_mul_overflow(*ticks, instrument->tick, &back);",
        "return price > 0;",
    ),
]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def compile_object(source: Path, target: Path) -> None:
    """Compile one file; a mutant that does not compile proves nothing."""
    result = run(["gcc", *FLAGS, f"-I{HOME}/sim", "-c", str(source), "-o", str(target)])
    if result.returncode != 0:
        sys.exit(f"mutants: {source} does not compile:\n{result.stderr}")


def catches(mutant: Mutant, build: Path, objects: dict[str, Path]) -> str | None:
    """Return what the simulation says about a mutant, or None when it does not notice."""
    file = mutant.file if mutant.file.endswith(".h") else f"{mutant.file}.c"
    text = (HOME / "src" / file).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        sys.exit(f"mutants: {mutant.name}: {file} has its line {text.count(mutant.old)} times")
    # A whole copy of the sources: a header includes others from where it stands itself.
    sources = build / "src"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(HOME / "src", sources)
    (sources / file).write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    names = INCLUDERS if file.endswith(".h") else [mutant.file]
    linked = [str(path) for name, path in objects.items() if name not in names]
    for name in names:
        compile_object(sources / f"{name}.c", build / f"mutant_{name}.o")
        linked.append(str(build / f"mutant_{name}.o"))
    program = build / "mutant"
    result = run(["gcc", *linked, "-o", str(program)])
    if result.returncode != 0:
        sys.exit(f"mutants: {mutant.name} does not link:\n{result.stderr}")
    result = run([str(program), "--seeds", "8", "--steps", "2000"])
    if result.returncode == 0:
        return None
    return (result.stdout + result.stderr).strip().splitlines()[-1]


def main() -> int:
    """Try every mutant; 1 when one is missed."""
    build = Path(sys.argv[1]) / "mutants"
    build.mkdir(parents=True, exist_ok=True)
    objects = {name: build / f"{name}.o" for name in [*CORE, "sim", "reference"]}
    for name, target in objects.items():
        compile_object(HOME / ("src" if name in CORE else "sim") / f"{name}.c", target)
    program = build / "sound"
    run(["gcc", *map(str, objects.values()), "-o", str(program)])
    sound = run([str(program), "--seeds", "8", "--steps", "2000"])
    if sound.returncode != 0:
        print(f"mutants: the core itself does not pass, so nothing is proven: {sound.stdout}{sound.stderr}")
        return 1
    missed = 0
    for mutant in MUTANTS:
        said = catches(mutant, build, objects)
        missed += said is None
        print(f"  {'MISSED' if said is None else 'caught'}: {mutant.name}{'' if said is None else f' ({said})'}")
    print(f"mutants: {len(MUTANTS) - missed} of {len(MUTANTS)} caught")
    return missed > 0


if __name__ == "__main__":
    sys.exit(main())
