# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the distribution `ironbook` from an archive of its sources and install it, whole or not at all.

    python install.py ARCHIVE DESTINATION

Runs under the interpreter that will run the services, which has cffi and setuptools already, so that no network is
needed. The installation is made beside DESTINATION, its core is loaded once to prove that it works, and only then is it
renamed into place. One line says what went wrong; what pip and the compiler said is in DESTINATION.log.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-index")
CHECK = "import ironbook.core, ironbook.cli"


def run(command: list[str], what: str, log: Path, **environment: str) -> None:
    """Run a command, its output into `log`; end this program with one line where it fails."""
    with log.open("a", encoding="utf-8") as output:
        status = subprocess.call(
            command, env=os.environ | environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    if status != 0:
        sys.exit(f"{what} (exit status {status}): see {log}")


def main(archive: Path, destination: Path) -> int:
    """Install `archive` at `destination`, which must not exist yet."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    log = destination.with_name(f"{destination.name}.log")
    log.unlink(missing_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        # pip moves what it built from TMPDIR: on the same file system that is a rename.
        options = ["--no-deps", "--no-build-isolation", "--target", str(unfinished), str(archive)]
        run([*PIP, *options], f"{archive.name} cannot be compiled and installed", log, TMPDIR=str(destination.parent))
        run([sys.executable, "-c", CHECK], "the compiled core does not load", log, PYTHONPATH=str(unfinished))
        unfinished.chmod(0o755)
        unfinished.rename(destination)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    print(f"{destination}: installed")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()))
