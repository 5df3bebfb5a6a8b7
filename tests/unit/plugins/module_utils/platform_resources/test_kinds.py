# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every kind: a file, a line in the list, a test with a case that reaches all of its fields."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import kinds as package
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.arguments import (
    arguments,
    documentation,
)
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kind import NEVER, Kind, unchangeable
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.lookups import LOOKUPS
from platform_resources import CASES, TAGS, case_of

PACKAGE = Path(package.__file__).parent


def test_each_file_is_a_kind_and_each_kind_a_file_with_its_test() -> None:
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert files == set(KINDS), "a kind is a file of its own name, in the list of kinds/__init__.py"
    assert files == {path.stem.removeprefix("test_") for path in CASES.glob("test_*.py")}, "each kind has a test"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kinds_test_reads_it_back_over_http(name: str) -> None:
    """By the fixture `served`, which is the emulator's process and no double."""
    module = ast.parse((CASES / f"test_{name}.py").read_text())
    tests = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert any(argument.arg == "served" for test in tests for argument in test.args.args)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kinds_case_moves_each_field_that_can_be_moved(name: str) -> None:
    """Else the property test would never see it changed."""
    kind, case = KINDS[name], case_of(name)
    for field in kind.fields:
        values = {str(variant.get(field.name, field.default)) for variant in case.variants}
        assert len(values) > 1 or field.change == NEVER, f"{name}: no two variants differ in {field.name}"
    assert case.drifts


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_declaration_is_whole(kind: Kind) -> None:
    names = [field.name for field in kind.fields]
    assert len(set(names)) == len(names) and not {"name", "state", "tags"} & set(names)
    assert kind.rests_on <= KINDS.keys() | LOOKUPS.keys()
    assert kind.not_found, "what AWS says where it is not there"
    assert kind.name_is_unique or not kind.id_is_name
    changes = {field.change for field in kind.fields}
    assert (kind.update is unchangeable) == ("in place" not in changes)
    assert all(field.says.endswith(".") for field in kind.fields)
    assert kind.name not in kind.rests_on
    options = {"tags": TAGS, kind.plural: [{"state": "present", **kind.example}]}
    assert len(plan.wanted_of(KINDS, options)) == 1, "its example is refused"


def test_kinds_do_not_rest_on_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter({kind.name: kind.rests_on for kind in KINDS.values()}).prepare()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_modules_say_of_a_kind_what_it_declares(kind: Kind) -> None:
    takes, says = arguments(KINDS)[kind.plural], documentation(KINDS)[kind.plural]
    assert takes["options"].keys() == says["suboptions"].keys() == {"name", "state", *(f.name for f in kind.fields)}
    for field in kind.fields:
        assert field.says in says["suboptions"][field.name]["description"]
        assert list(field.choices) == says["suboptions"][field.name].get("choices", [])
