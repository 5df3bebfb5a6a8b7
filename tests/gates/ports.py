# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of `make test`: those behind a site's own, 200 to each lane that starts servers.

They are counted from IRONBOOK_PORT_BASE, so two clones that set it 5000 apart disturb each other in nothing. The first
200 are for a `bench/site.py` beside the tests; then comes the lane of molecule, whose ports are fixed since its site is
configured before it runs. All others take what is free among their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BEHIND_THE_SITE = 1000
OF_ONE_LANE = 200  # as many as belong to a site
LANES_MAX = 24
KERNELS_OWN = 32768  # from here on the kernel hands them to clients (ip_local_port_range)
BASE_MIN, BASE_MAX = 1024, KERNELS_OWN - BEHIND_THE_SITE - OF_ONE_LANE * (LANES_MAX + 1)
_FIXED = {
    0: "the emulated AWS",
    1: "PostgreSQL",
    **{2 + replica: "replication" for replica in range(3)},
    **{100 + replica: "order entry" for replica in range(3)},
}


def first() -> int:
    """Return the first port of all; SystemExit with one line where IRONBOOK_PORT_BASE leaves no room for them."""
    given = os.environ.get("IRONBOOK_PORT_BASE") or "21000"
    if not (given.isascii() and given.isdecimal() and BASE_MIN <= int(given) <= BASE_MAX):
        raise SystemExit(
            f"IRONBOOK_PORT_BASE={given}: the tests take the ports from {BEHIND_THE_SITE} above it, all of them below "
            f"{KERNELS_OWN}: set a number between {BASE_MIN} and {BASE_MAX}"
        )
    return int(given) + BEHIND_THE_SITE


def of_lane(number: int) -> int:
    """Return the first port of the lane with this number, from 0."""
    if not 0 <= number < LANES_MAX:
        raise ValueError(f"there are ports for {LANES_MAX} lanes, not for number {number}: raise LANES_MAX")
    return first() + OF_ONE_LANE * (number + 1)


def require_fixed(state: Path, port_base: int) -> None:
    """Have molecule's site in `state` find its ports free; SystemExit with one line that says whose one is.

    What an interrupted run left of that site is ended first.
    """
    from ironbook.loopback import why_not_free  # noqa: PLC0415  (of the installed distribution, which not all lanes need)

    if state.exists():
        command = [sys.executable, "-m", "ironbook.cli", "local", "down", "--remove"]
        subprocess.run(command, env={**os.environ, "IRONBOOK_STATE": str(state)}, check=True, capture_output=True)
    for offset, what in _FIXED.items():
        if reason := why_not_free(port_base + offset):
            raise SystemExit(
                f"port {port_base + offset}, which the tests need for {what}: {reason}: "
                "end it, or set IRONBOOK_PORT_BASE to another number"
            )
