# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile ironbook-probe from the sources beside it, whole or not at all.

    python compile.py COMPILER PROGRAM

It is made under another name, run once to prove that it works, and only then renamed. One line says what went wrong;
what the compiler said is in PROGRAM.log.
"""

import shutil
import subprocess
import sys
from pathlib import Path

FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2")


def main(compiler: str, program: Path) -> int:
    """Compile the program."""
    if shutil.which(compiler) is None:
        sys.exit(f"{compiler}: missing on this host: apt-get install gcc libc6-dev")
    log = program.with_name(f"{program.name}.log")
    made = program.with_name(f"{program.name}.new")
    sources = sorted(str(path) for path in program.parent.glob("*.c"))
    with log.open("w", encoding="utf-8") as output:
        command = [compiler, *FLAGS, *sources, "-lpthread", "-o", str(made)]
        status = subprocess.call(command, stdout=output, stderr=output)
    if status != 0:
        sys.exit(f"{program.name} cannot be compiled (exit status {status}): see {log}")
    if subprocess.call([str(made), "--help"], stdout=subprocess.DEVNULL) != 0:
        sys.exit(f"{made} was compiled and does not run")
    made.rename(program)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
