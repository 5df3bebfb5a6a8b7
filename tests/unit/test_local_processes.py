# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of a kill rest on: that nothing which was started lives on, in whatever session, but what has detached."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from local_processes import kill_family, state_and_parent, wait_for

# Of a shell: a child in a session of its own, as Ansible's workers have, its child, and one that has detached itself.
STARTS = """
setsid sh -c 'echo $$ >worker; sleep 300 & echo $! >module; wait' &
setsid sh -c 'echo $$ >parent; sleep 300 & echo $! >detached'
wait
"""


def is_over(pid: int) -> bool:
    """Whether it has ended, though nobody may have asked how."""
    found = state_and_parent(Path("/proc") / str(pid))
    return found is None or found[0] in "ZX"


def test_a_family_is_killed_over_sessions_and_what_has_detached_lives_on(tmp_path: Path) -> None:
    started = subprocess.Popen(["sh", "-c", STARTS], cwd=tmp_path, start_new_session=True)
    names = ("worker", "module", "parent", "detached")
    wait_for(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text().strip() for name in names), "all")
    pids = {name: int((tmp_path / name).read_text()) for name in names}
    detached = Path("/proc") / str(pids["detached"])

    def is_detached() -> bool:
        found = state_and_parent(detached)
        assert found is not None
        return found[1] != pids["parent"]

    try:
        wait_for(is_detached, "a parent that has ended")
        assert kill_family(started.pid) == 3
        started.wait(10)
        wait_for(lambda: is_over(pids["worker"]) and is_over(pids["module"]), "the end of all", 10)
        found = state_and_parent(detached)
        assert found is not None and found[0] not in "TZX"
    finally:
        for pid in (pids[name] for name in names if name != "parent"):
            if not is_over(pid):
                os.kill(pid, signal.SIGKILL)
        started.kill()
        started.wait(10)
