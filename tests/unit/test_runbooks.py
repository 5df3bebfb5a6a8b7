# SPDX-License-Identifier: GPL-3.0-or-later
"""The runbooks name what there is: playbooks, modules, variables, tests and commands; and each page is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ironbook import cli

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))
THINGS = {path.stem for kind in ("playbooks", "plugins/modules") for path in (ROOT / kind).iterdir()}


def commands(text: str) -> list[str]:
    """What follows `ironbook ` in blocks of code and in line."""
    code = "\n".join(re.findall(r"```(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text))
    return re.findall(r"^ironbook (\w+)", code, re.MULTILINE)


def problems(name: str, text: str) -> list[str]:
    """Everything that a page names and that is not there."""
    found = [f"playbook or module {word}" for word in re.findall(r"ironbook\.trading\.([a-z]\w*)", text)
             if word not in THINGS]  # fmt: skip
    specs = yaml.safe_load((ROOT / "roles/engine_operation/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    found += [f"variable {word}" for word in re.findall(r"-e (engine_operation_\w+)=", text) if word not in options]
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    found += [f"test {word}" for word in re.findall(r"\btest_\w+\.py", text) if word not in tests]
    targets = (ROOT / "engine_native" / "Makefile").read_text()
    found += [f"target {word}" for word in re.findall(r"make -C engine_native (\w+)", text)
              if not re.search(rf"^{word}\b.*:", targets, re.MULTILINE)]  # fmt: skip
    found += [f"command {word}" for word in commands(text) if word not in cli.SUBCOMMANDS]
    found += [f"link {link}" for link in re.findall(r"\]\(([^)#]+)\)", text) if not (RUNBOOKS / link).exists()]
    if name != "README.md":
        wanted = ("**By itself.**", "**Promised.**", "**A person**", "**Tested.**")
        found += [
            f"no {part}" for part in wanted if part not in text and not (name == "planned.md" and "itself" in part)
        ]
    return found


@pytest.mark.feature("DRB-16", by="U", part="failures of a shard")
@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_a_page_names_only_what_there_is(path: Path) -> None:
    assert problems(path.name, path.read_text()) == []


def test_each_page_is_in_the_index_and_the_index_in_the_readme() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    assert {f"({path.name})" for path in PAGES if path.name != "README.md"} <= set(re.findall(r"\([\w.]+\)", index))
    assert "docs/runbooks/" in (ROOT / "README.md").read_text()


def test_what_there_is_not_is_noticed() -> None:
    """The control."""
    text = (
        "`ironbook.trading.no_such` -e engine_operation_such=1 `tests/unit/test_no_such.py` "
        "`make -C engine_native none`\n"
        "```\nironbook such thing\n```\n[page](such.md)"
    )
    assert len(problems("page.md", text)) == 6 + 4
