# SPDX-License-Identifier: GPL-3.0-or-later
"""What an order passes through cannot allocate, lock or call the system: its object files name no such function.

    python3 tests/quiet_path.py BUILD_DIRECTORY

BUILD/optimised holds the objects of the product. Of those on the path, every symbol that they leave to others is either
the core's own (ib_memory_reserve is called at open alone) or one of WORDS. Then the same is shown of the
running program (quiet_path.c), which gets the commands of the golden journal of rules 3: every type there is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
GOLDEN = HOME.parent / "tests" / "fixtures" / "core" / "golden" / "format_2_rules_3.hex"
HEADER, COMMAND = 64, 128  # bytes of a record
PATH = [
    *("auction", "book", "book_check", "book_expiry", "book_walk", "buckets", "matcher", "matcher_admin"),
    *("matcher_check", "matcher_event", "matcher_look", "matcher_match", "matcher_order", "matcher_phase"),
    *("matcher_stop", "ouch50", "pool", "price_index", "risk", "soupbintcp", "terms"),
    *("replica", "replica_frame", "replica_members", "replica_primary", "replica_standby", "replica_store"),
    *("replica_takeover",),
]
# Plain work on memory. snprintf: in the checks, whose words are for people, and in the answer to a login.
WORDS = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strlen", "_GLOBAL_OFFSET_TABLE_"}
PRINTS = {"book_check", "matcher_check", "soupbintcp"}
LOCKED = re.compile(r"\block\b|\bxchg\b.*\(|\bmfence\b|\bsyscall\b|\bldaxr|\bstlxr|\bcasal")


def output(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def judge(name: str, undefined: set[str], instructions: str) -> list[str]:
    """Return what is wrong with one object."""
    allowed = WORDS | {"snprintf"} if name in PRINTS else WORDS
    wrong = [f"{name}.o calls {symbol}" for symbol in sorted(undefined - allowed) if not symbol.startswith("ib_")]
    return wrong + [f"{name}.o: {line.strip()}" for line in instructions.splitlines() if LOCKED.search(line)]


def main() -> int:
    """Look at the objects, then run the program; 1 when one of them says no."""
    build = Path(sys.argv[1])
    wrong: list[str] = []
    for name in PATH:
        path = str(build / "optimised" / f"{name}.o")
        undefined = {line.split()[-1] for line in output("nm", "--undefined-only", path).splitlines() if line.strip()}
        wrong += judge(name, undefined, output("objdump", "-d", "--no-show-raw-insn", path))
    if not judge("book", {"ib_pool_take", "malloc"}, "") or not judge("book", set(), "  lock cmpxchg %rdx,(%rdi)"):
        wrong.append("negative control: a malloc or a lock would not be noticed")
    if wrong:
        print("\n".join(wrong) + "\nquiet_path: FAILED")
        return 1
    records = [bytes.fromhex(line) for line in GOLDEN.read_text(encoding="ascii").split()[1:]]
    commands = build / "tests" / "quiet_path.commands"
    commands.write_bytes(b"".join(record[HEADER : HEADER + COMMAND] for record in records))
    return subprocess.run([str(build / "tests" / "quiet_path"), str(commands)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
