# SPDX-License-Identifier: GPL-3.0-or-later
"""The same commands through every build of the core that this machine can make must give the same bytes.

    python3 sim/builds.py BUILD_DIRECTORY

Builds: gcc and clang without and with optimisation, gcc with the sanitizers and every invariant checked after each
command, and arm64, compiled by the cross compiler and run by QEMU. Through each go the simulation, flows that the
oracle of tests/unit/core has aimed, and the golden journals. Compared are, byte by byte: every event (those of a flow
with the oracle's, too), the totals with the state hash after each command, the journal as written, and what the
simulation says.
A build whose compiler is missing is named and left out. The last build is the negative control: a core whose state hash
leaves out one constant, which the comparison must tell apart.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from flows import HOME, Written, write_flows
from mutants import CORE

GOLDEN = HOME.parent / "tests" / "fixtures" / "core" / "golden"
COMMON = ["-std=c11", "-D_DEFAULT_SOURCE", f"-I{HOME}/sim"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DIB_CHECK"]
SIMULATION = ["--seeds", "6", "--steps", "1500"]
ARM_COMPILER, ARM_RUNNER = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
FAULT = ("matcher_admin.c", "words[1] + IB_HASH_C + session->account", "words[1] + session->account")


class Build(NamedTuple):
    """One way to make the core: what compiles it, with which options, and what runs it."""

    name: str
    compiler: str
    options: tuple[str, ...]
    runner: tuple[str, ...] = ()


BUILDS = (
    Build("gcc -O3", "gcc", ("-O3",)),
    Build("gcc -O0", "gcc", ("-O0",)),
    Build("gcc -O1, sanitizers, checks", "gcc", ("-O1", *SANITIZE)),
    Build("clang -O0", "clang", ("-O0",)),
    Build("clang -O3", "clang", ("-O3",)),
    Build("arm64 gcc -O2", ARM_COMPILER, ("-O2", "-static"), (ARM_RUNNER,)),
)


def run(command: list[str], what: str) -> str:
    """Run a command; what it says, or the end of this script."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"builds: {what}: failed: {' '.join(command[-4:])}\n{result.stdout}{result.stderr}")
    return result.stdout


def compile_build(build: Build, directory: Path, sources: Path) -> None:
    """Make both programs of a build."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    options = [*build.options, *COMMON, f"-I{sources}", f"-I{HOME}/include"]
    core = [str(sources / f"{name}.c") for name in CORE]
    (directory / "core").mkdir()
    compile_core = ["env", "-C", str(directory / "core"), build.compiler, *options, "-c", *core]
    run(compile_core, build.name)
    objects = [str(directory / "core" / f"{name}.o") for name in CORE]
    for program, mains in (("determinism", ["determinism"]), ("run_sim", ["sim", "reference"])):
        written = [str(HOME / "sim" / f"{main}.c") for main in mains]
        run([build.compiler, *options, *written, *objects, "-o", str(directory / program)], build.name)


def digest(directory: Path) -> str:
    """Return one sum over the names and the bytes of all files below a directory."""
    total = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(directory)} {path.stat().st_size}\n".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def outputs(build: Build, directory: Path, flows: list[Written], goldens: list[Path]) -> dict[str, str]:
    """Run everything through a build. Input -> what came out: sums of the files, and what was said."""
    program, found = [*build.runner, str(directory / "determinism")], {}
    for flow in flows:
        out = directory / flow.name
        out.mkdir()
        said = run([*program, "run", str(flow.capacity), str(flow.commands), str(out)], build.name)
        found[flow.name] = f"{digest(out)} {said.strip()}"
        if (out / "events").read_bytes() != flow.events.read_bytes():
            sys.exit(f"builds: {build.name}: {flow.name}: other events than the oracle's")
    for golden in goldens:
        out = directory / golden.name
        out.mkdir()
        found[golden.name] = f"{run([*program, 'replay', str(golden), str(out)], build.name).strip()} {digest(out)}"
    found["simulation"] = run([*build.runner, str(directory / "run_sim"), *SIMULATION], build.name).strip()
    return found


def lay_out_goldens(build: Path) -> list[Path]:
    """Write each golden journal as the one segment of a directory of its own."""
    made = []
    for source in sorted(GOLDEN.glob("*.hex")):
        directory = build / "golden" / source.stem
        directory.mkdir(parents=True, exist_ok=True)
        segment = directory / "00000000000000000001.journal"
        segment.write_bytes(bytes.fromhex(source.read_text(encoding="ascii")))
        made.append(directory)
    return made


def break_core(sources: Path) -> None:
    """Copy the sources, one line changed."""
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(HOME / "src", sources)
    file, old, new = FAULT
    text = (sources / file).read_text(encoding="utf-8")
    if text.count(old) != 1:
        sys.exit(f"builds: {file} has {old!r} {text.count(old)} times: the negative control does not apply")
    (sources / file).write_text(text.replace(old, new), encoding="utf-8")


def main() -> int:
    """Compare all builds; 1 when two differ, or when the broken one does not."""
    directory = Path(sys.argv[1]) / "builds"
    directory.mkdir(parents=True, exist_ok=True)
    flows, goldens = write_flows(directory), lay_out_goldens(directory)
    break_core(directory / "broken_src")
    control = Build("negative control", "gcc", ("-O0",))
    there = [b for b in BUILDS if all(map(shutil.which, (b.compiler, *b.runner)))]

    def one(build: Build) -> tuple[float, dict[str, str]]:
        begin = time.monotonic()
        place = directory / build.name.replace(" ", "_").replace(",", "")
        compile_build(build, place, directory / "broken_src" if build is control else HOME / "src")
        return time.monotonic() - begin, outputs(build, place, flows, goldens)

    with ThreadPoolExecutor(2) as pool:
        results = dict(zip((*there, control), pool.map(one, (*there, control)), strict=True))
    first = results[there[0]][1]
    broken = results.pop(control)[1]
    for name, said in first.items():
        print(f"  {name}: {said}")
    different = 0
    for build, (seconds, found) in results.items():
        wrong = [name for name in first if found[name] != first[name]]
        different += bool(wrong)
        print(f"  {build.name}, {seconds:.0f} s to compile: {'DIFFERENT: ' + str(wrong) if wrong else 'the same'}")
        for name in wrong:
            print(f"    {name}: {found[name]}")
    missing = [build.name for build in BUILDS if build not in there]
    if all(broken[name] == first[name] for name in first):
        print("builds: the negative control is not told apart, so nothing is proven")
        return 1
    left_out = f"; no compiler or no QEMU for: {', '.join(missing)}" if missing else ""
    print(f"builds: {len(there)} builds, {len(first)} inputs, {different} differ; the broken one does{left_out}")
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
