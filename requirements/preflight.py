# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight of `make`: what pip cannot install must be on the machine already.

Runs under the system's interpreter before anything else exists, so it imports the standard library only. Prints one
apt line for all that is missing and exits 1; prints nothing and exits 0 when the machine is ready.
"""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

PYTHON_MINIMUM = (3, 11)  # pyproject.toml, requires-python


def missing_packages(root: Path = Path("/")) -> list[str]:
    """Debian packages that this machine lacks for building and running the venue, all of them at once.

    The headers of the C library are asked for whether or not there is a compiler: gcc only recommends them.
    """
    missing = []
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        missing.append(f"python{version}-venv")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append(f"python{version}-dev")
    if shutil.which("gcc") is None:
        missing.append("gcc")
    if not (root / "usr/include/stdio.h").exists():
        missing.append("libc6-dev")
    if shutil.which("make") is None:
        missing.append("make")
    return missing


def main() -> int:
    """Print what is missing, as the command that installs it."""
    if sys.version_info[:2] < PYTHON_MINIMUM:
        wanted = ".".join(map(str, PYTHON_MINIMUM))
        print(
            f"{sys.executable} is Python {sys.version.split()[0]}; Ironbook needs {wanted} or newer: "
            "make PYTHON=/path/to/python3.11",
            file=sys.stderr,
        )
        return 1
    missing = missing_packages()
    if missing:
        print(f"missing on this machine: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
