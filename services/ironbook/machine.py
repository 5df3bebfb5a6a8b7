# SPDX-License-Identifier: GPL-3.0-or-later
"""On what a figure was measured: processor, kernel, commit, load. Without these a figure says nothing."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

from ironbook import core


def processor() -> str:
    """Model, cores and kernel of this machine in one line."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"


def commit(*paths: str) -> str | None:
    """Commit of the checkout that the installed core lies in, with + when what `paths` hold was changed; else None.

    Without paths: the core's sources and the services'.
    """
    place = str(Path(core.__file__).parent)

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", place, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        root = git("rev-parse", "--show-toplevel")
        changed = git("-C", root, "status", "--porcelain", "--", *(paths or ("engine_native", "services")))
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def now() -> str:
    """Date and time, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def load() -> float:
    """How many processes wanted a core, on the average of the last minute."""
    return round(os.getloadavg()[0], 2)
