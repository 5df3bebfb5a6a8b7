# SPDX-License-Identifier: GPL-3.0-or-later
"""A million commands through the core and through the oracle of tests/unit/core, compared byte by byte.

    python tests/core_flow.py [--steps 1000000] [--seed 1]

Every event is compared at each command, every live order, instrument and risk row each 100, and all of the core's
invariants are checked there. Every seed begins a new book. Exits with 1 at the first difference, naming the command,
and when some type of event, reason, phase or flag was never reached.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True  # nothing beside the sources
sys.path.insert(0, str(Path(__file__).resolve().parent))

from unit.core.differential import EVERYTHING, run_flow  # noqa: E402  (found through the line above)

CAPACITIES = (300, 12, 60)
STEPS = 50_000  # of one book


def main() -> int:
    """Run book after book."""
    parser = argparse.ArgumentParser(description="compare the core with the oracle over a long flow of commands")
    parser.add_argument("--steps", type=int, default=1_000_000, help="commands in all")
    parser.add_argument("--seed", type=int, default=1, help="of the first book; each next one has the next")
    arguments = parser.parse_args()
    seen: Counter[tuple[str, int]] = Counter()
    seed, done, trades, deepest = arguments.seed, 0, 0, 0
    while done < arguments.steps:
        steps = min(STEPS, arguments.steps - done)
        capacity = CAPACITIES[seed % len(CAPACITIES)]
        try:
            pair = run_flow(seed, steps, capacity=capacity, rules=3)
        except AssertionError as error:
            print(f"core-flow: seed {seed}, capacity {capacity}: {error}")
            return 1
        seen += pair.seen
        trades += pair.oracle.trades
        deepest = max(deepest, pair.deepest)
        seed += 1
        done += steps
    missing = sorted(EVERYTHING - set(seen))
    if missing:
        print(f"core-flow: never reached: {missing}")
        return 1
    print(f"core-flow: {done} commands, {trades} trades, at most {deepest} live orders, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
