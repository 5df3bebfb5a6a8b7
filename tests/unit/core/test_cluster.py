# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated shard of three: the same seed is the same run, and what it has broken has lost nothing.

Lane `cluster` runs ten thousand seeds, through two builds, and the faults that it must find (engine_native/sim).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

CORE = Path(__file__).parents[3] / "engine_native"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the simulation with the core."""
    program = tmp_path_factory.mktemp("cluster") / "cluster"
    sources = [*sorted((CORE / "src").glob("*.c")), *sorted((CORE / "sim").glob("cluster*.c"))]
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", "-O1", f"-I{CORE}/include", f"-I{CORE}/src", f"-I{CORE}/sim"]
    command = ["gcc", *flags, *map(str, sources), "-lcrypt", "-lpthread", "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def run(cluster: Path, first: int, seeds: int) -> str:
    """Run some seeds and return what is said of them."""
    command = [str(cluster), "--first", str(first), "--seeds", str(seeds)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def number(said: str, words: str) -> int:
    """Return the number before or behind some words of the report."""
    found = re.search(rf"(\d+) {words}|{words} (\d+)", said)
    assert found is not None, f"no {words} in {said}"
    return int(found[1] or found[2])


@pytest.mark.slow
@pytest.mark.feature("ENG-13", by="U", part="simulated: kills and power losses anywhere; each state against a replay")
@pytest.mark.feature("ENG-14", by="U", part="simulated: bits flipped in a member's journal are found and made good")
@pytest.mark.feature("ENG-15", by="U", part="simulated: takeover, nothing acknowledged lost, the old primary refused")
def test_nothing_is_lost_whatever_breaks(cluster: Path) -> None:
    """The checker of the simulation ends a run that breaks an invariant; and these runs do reach what is promised."""
    said = run(cluster, 1, 200)
    assert "nothing lost" in said
    for fault in ("process", "host", "pause", "isolated", "one way", "store down", "bit flip", "all hosts", "new disk"):
        assert number(said, fault) > 10, fault
    assert number(said, "takeovers") > 200
    assert number(said, "primaries stepped down") > 10
    assert number(said, "suffixes cut off") > 5
    assert number(said, "starts in doubt") > 10
    assert number(said, "a lost host") < 3000  # virtual milliseconds


@pytest.mark.slow
def test_a_seed_is_a_run(cluster: Path) -> None:
    """The same seeds are the same to the last bit, whatever ran before them; others are not."""
    assert run(cluster, 40, 8) == run(cluster, 40, 8)
    assert run(cluster, 40, 8).splitlines()[-1] != run(cluster, 41, 8).splitlines()[-1]
