# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owners asked to find at the top of the repository, and the packages that they asked to be used."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from tidy.rules import imports
from tidy.tree import Tree

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = Tree(ROOT)


def code_files(directory: str, *endings: str) -> list[str]:
    """Return the files below a directory that say something: more than five lines that are no comment."""
    found = [name for name in REPOSITORY.files if name.startswith(f"{directory}/") and name.endswith(endings)]
    return [name for name in found if sum(not line.startswith("#") for line in REPOSITORY.lines(name)) > 5]


def importers(package: str, *directories: str) -> list[str]:
    """Return the Python files that import a package."""
    files = [name for name in REPOSITORY.files if name.endswith(".py") and name.startswith(directories)]
    return [name for name in files if package in {word.split(".")[0] for word in imports(REPOSITORY.text(name))}]


def modules_used(collection: str) -> set[str]:
    """Return the modules of a collection that tasks of our roles call."""
    return {key for _, task in REPOSITORY.tasks() for key in task if key.startswith(f"{collection}.")}


@pytest.mark.feature("USR-02", by="U")
def test_top_level_holds_what_was_asked_for() -> None:
    """All nine exist, and each holds what its name promises."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert (galaxy["namespace"], galaxy["name"]) == ("ironbook", "trading")
    assert {"amazon.aws", "community.aws"} <= galaxy["dependencies"].keys()
    assert len(REPOSITORY.match("playbooks/*.yml")) >= 9
    assert len(REPOSITORY.roles) >= 10
    assert all(code_files(f"roles/{role}", ".yml") for role in REPOSITORY.roles)
    assert len(code_files("plugins/modules", ".py")) >= 3
    assert REPOSITORY.match("inventories/local/*.yml") and REPOSITORY.match("inventories/local/group_vars/*/*.yml")
    assert sum(len(REPOSITORY.lines(name)) for name in code_files("engine_native/src", ".c")) > 1500
    assert len(code_files("engine_native/tests", ".c")) >= 5
    assert "ironbook.trading.site" in REPOSITORY.text("molecule/default/converge.yml")
    assert all(code_files(f"tests/{part}", ".py") for part in ("unit", "integration", "host", "tidy"))
    readme = REPOSITORY.text("README.md")
    assert "make site" in readme and "make test" in readme and len(readme.splitlines()) > 60


# package of the requirements -> how one sees that it is used
USES = {
    "ansible": lambda: len(modules_used("ansible.builtin")) >= 5 and modules_used("amazon.aws"),
    "boto3": lambda: importers("boto3", "services/", "plugins/"),
    "cffi": lambda: importers("cffi", "engine_native/", "setup.py"),
    "molecule": lambda: REPOSITORY.yaml("molecule/default/molecule.yml")["provisioner"]["name"] == "ansible",
    "pytest": lambda: len(importers("pytest", "tests/unit/")) >= 5,
    "pytest-testinfra": lambda: importers("testinfra", "tests/host/"),
}


@pytest.mark.feature("USR-03", by="U")
@pytest.mark.parametrize("package", USES)
def test_package_is_pinned_installed_and_used(package: str) -> None:
    """ansible-core and amazon.aws come in `ansible`; each pin is what is installed, and something uses it."""
    pins = "\n".join(REPOSITORY.text(name) for name in ("requirements/site.txt", "requirements/test.txt"))
    pin = re.search(rf"^{re.escape(package)}==(\S+)$", pins, re.M)
    assert pin, f"{package} is not pinned in requirements/"
    assert metadata.version(package) == pin[1]
    assert USES[package](), f"nothing uses {package}"


@pytest.mark.feature("USR-03", by="U")
def test_ansible_core_and_amazon_aws_are_those_that_we_name() -> None:
    """Core is what meta/runtime.yml requires, and the networks and data services go through amazon.aws."""
    core = tuple(int(part) for part in metadata.version("ansible-core").split(".")[:2])
    required = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"]
    assert core >= tuple(int(part) for part in required.removeprefix(">=").split(".")[:2])
    assert len(modules_used("amazon.aws")) >= 10


def test_plays_of_the_controller_can_be_run_alone() -> None:
    """The group exists only after discover: a playbook that needs it brings discover along, or would do nothing."""
    needing = [
        plays
        for plays in map(REPOSITORY.yaml, REPOSITORY.match("playbooks/*.yml"))
        if any("'controller'" in play.get("hosts", "") for play in plays)
    ]
    assert len(needing) >= 2
    for plays in needing:
        assert plays[0].get("import_playbook") == "ironbook.trading.discover"
