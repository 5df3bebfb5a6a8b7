# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: a tarball that is built, installed into an empty directory, and used from there.

What is asked of the installed copy runs away from the checkout, with that copy alone on its path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")

# What ansible-galaxy reads and does not pack, and what it writes instead.
NOT_PACKED = {"galaxy.yml"}
WRITTEN_BY_GALAXY = {"MANIFEST.json", "FILES.json"}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command away from the checkout. Returns what it printed; fails with what it said."""
    inherited = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}
    inherited |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the directory in which everything happens."""
    return tmp_path_factory.mktemp("installed")


@pytest.fixture(scope="module")
def tarball(empty: Path) -> Path:
    """Build the tarball from the checkout, as it lies there."""
    run(BIN / "ansible-galaxy", "collection", "build", ROOT, "--output-path", empty, cwd=empty)
    return next(empty.glob("ironbook-trading-*.tar.gz"))


@pytest.fixture(scope="module")
def installed(empty: Path, tarball: Path) -> Path:
    """Install the tarball into the empty directory. Returns the directory of the collection."""
    options = ("--collections-path", empty / "collections", "--no-deps", "--offline")
    run(BIN / "ansible-galaxy", "collection", "install", tarball, *options, cwd=empty)
    return empty / "collections" / "ansible_collections" / "ironbook" / "trading"


@pytest.fixture(scope="module")
def target(empty: Path, installed: Path) -> Path:
    """Build the distribution `ironbook`, its C core included, from the installed collection alone."""
    options = ("--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--target", empty / "target")
    run(sys.executable, "-m", "pip", "install", *options, installed, cwd=empty)
    return empty / "target"


def ask_python(program: str, cwd: Path, *paths: Path) -> str:
    """Run a Python program that finds `paths` before anything else, and nothing of the checkout."""
    return run(sys.executable, "-c", program, cwd=cwd, PYTHONPATH=":".join(map(str, paths))).strip()


def ansible(installed: Path) -> dict[str, str]:
    """Return the environment in which Ansible finds the installed copy, and the checkout nowhere."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(installed.parents[2]),
        "ANSIBLE_HOME": str(installed.parents[3] / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }


def test_tarball_carries_sources_and_nothing_built(tarball: Path) -> None:
    """The sources of the core and the services are in it; binaries, caches and state are not."""
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    wanted = (
        "setup.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "engine_native/include/ironbook.h",
        "services/ironbook",
    )
    assert set(wanted) <= set(names)
    endings = {".so", ".o", ".pyc", ".journal", ".egg-info"}
    kept = {".ci", ".config", ".gitignore", ".yamllint"}
    paths = [PurePosixPath(name) for name in names]
    assert not [path for path in paths if path.suffix in endings or {"__pycache__", "build"} & set(path.parts)]
    assert {path.parts[0] for path in paths if path.parts[0].startswith(".")} <= kept


def under_version_control() -> set[str]:
    """What git has of the checkout, or would take, and is there: a file that is being written counts."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    names = run(*command, cwd=ROOT).split("\0")
    return {name for name in names if (ROOT / name).is_file()}


@pytest.mark.feature("ORC-24", by="U")
@pytest.mark.feature("USR-01", by="U")
def test_tarball_is_what_git_has_and_what_galaxy_adds(tarball: Path, installed: Path) -> None:
    """Every role, playbook, inventory and plugin is packed and installed: `build_ignore` names nothing of use."""
    with tarfile.open(tarball) as archive:
        packed = {member.name for member in archive.getmembers() if not member.isdir()}
    assert sorted(under_version_control() - packed - NOT_PACKED) == []
    assert sorted(packed - under_version_control() - WRITTEN_BY_GALAXY) == []
    assert packed.isdisjoint(NOT_PACKED)
    assert [name for name in sorted(packed) if not (installed / name).is_file()] == []


@pytest.mark.feature("USR-01", by="U")
def test_ansible_doc_lists_every_module(empty: Path, installed: Path) -> None:
    """`ansible-doc` finds each module in the installed copy, with its documentation."""
    listing = json.loads(
        run(BIN / "ansible-doc", "--list", "--json", "ironbook.trading", cwd=empty, **ansible(installed))
    )
    assert sorted(listing) == [f"ironbook.trading.{module}" for module in MODULES]
    assert all(listing.values())
    documents = json.loads(run(BIN / "ansible-doc", "--json", *sorted(listing), cwd=empty, **ansible(installed)))
    assert {Path(document["doc"]["filename"]).parent for document in documents.values()} == {
        installed / "plugins/modules"
    }


@pytest.mark.feature("ORC-24", by="U")
def test_modules_are_imported_from_the_installed_path(empty: Path, installed: Path) -> None:
    """Each module is imported from the installed copy, and so is every package of module_utils."""
    names = [f"plugins.modules.{module}" for module in MODULES]
    for path in sorted((installed / "plugins" / "module_utils").rglob("*.py")):
        names.append(".".join(path.relative_to(installed).with_suffix("").parts))
    program = f"""
import importlib
for name in {names!r}:
    print(importlib.import_module("ansible_collections.ironbook.trading." + name).__file__)
"""
    files = ask_python(program, empty, installed.parents[2]).splitlines()
    assert len(files) == len(names) >= 3
    assert all(Path(file).is_relative_to(installed) for file in files)


def test_engine_is_built_from_the_installed_collection(empty: Path, target: Path) -> None:
    """The core is compiled from the tarball's sources; it is loaded from where it was installed, and it counts."""
    program = "import ironbook.core, ironbook.cli; print(ironbook.core.__file__, ironbook.cli.__file__)"
    files = ask_python(program, empty, target).split()
    assert all(Path(file).is_relative_to(target) for file in files)
    assert list(target.rglob("*.so"))


@pytest.mark.parametrize("part", ["include/ironbook.h", "src"])
def test_engine_is_not_built_without_its_sources(empty: Path, installed: Path, part: str, tmp_path: Path) -> None:
    """Negative control: with a part of the core's sources missing there is no core, rather than an old one."""
    copy = tmp_path / "trading"
    run("cp", "-r", installed, copy, cwd=empty)
    run("rm", "-rf", copy / "build", copy / "engine_native" / part, cwd=empty)
    options = ("--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--target", tmp_path / "target")
    with pytest.raises(AssertionError, match="ironbook"):
        run(sys.executable, "-m", "pip", "install", *options, copy, cwd=empty)
        ask_python("import ironbook.core", empty, tmp_path / "target")


def test_audit_runs_from_the_installed_collection(empty: Path, installed: Path) -> None:
    """The audit reads this machine, by its fully qualified name, from the installed copy."""
    variables = json.dumps({"ansible_python_interpreter": sys.executable})
    output = run(
        *(BIN / "ansible", "localhost", "--connection", "local", "--extra-vars", variables),
        *("--module-name", "ironbook.trading.host_tuning_info"),
        cwd=empty,
        **ansible(installed),
        ANSIBLE_CALLBACK_RESULT_FORMAT="json",
    )
    assert "SUCCESS" in output.splitlines()[0]
    result: dict[str, Any] = json.loads("{" + output.partition("{")[2])
    assert result["changed"] is False
    findings = result["audit"]["findings"]
    assert len({finding["id"] for finding in findings}) >= 30
    assert sum(finding["planes"]["live"] is not None for finding in findings) >= 20
