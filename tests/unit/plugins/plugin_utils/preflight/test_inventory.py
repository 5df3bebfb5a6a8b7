# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of an inventory is declared, of its type and within its limits, or is named with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import declarations, inventory
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight.declarations import Declarations

ROOT = Path(__file__).resolve().parents[5]
DECLARED = Declarations(
    specs={
        "a_count": {"type": "int", "required": True, "description": ["How many.", "And more prose."]},
        "a_name": {"type": "str", "choices": ["x", "y"]},
        "a_secret": {"type": "int", "no_log": True},
        "a_switch": {"type": "bool"},
        "some_hosts": {"type": "list", "elements": "dict", "options": {"zone": {"type": "str", "required": True}}},
    },
    limits={"a_count": {"maximum": 5}},
    prefixes=("ironbook_", "some_role_"),
)


def complaints(tmp_path: Path, text: str, name: str = "group_vars/all/own.yml") -> list[str]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    lines = inventory.problems(inventory.read([str(tmp_path)]), DECLARED, template)
    return [line.removeprefix(f"{path}:") for line in lines]


def template(value: Any) -> Any:
    if isinstance(value, str) and "{{" in value:
        raise LookupError(value)
    return value


def test_a_right_inventory_is_passed_over(tmp_path: Path) -> None:
    text = "a_count: 5\na_name: x\na_switch: true\nsome_hosts: [{zone: z}]\nansible_user: me\n"
    assert complaints(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("---\n\na_cuont: 1\n", "3: a_cuont is not a variable of any role; did you mean a_count?"),
        ("zzzzzz: 1\n", "1: zzzzzz is not a variable of any role; remove it"),
        ("a_count: many\n", "1: a_count is 'many'; type int is wanted"),
        ("a_count:\n", "1: a_count has no value; type int is wanted"),
        ("a_count: '6'\n", "1: a_count is 6; the most is 5"),
        ("some_hosts: a,b\n", "1: some_hosts is 'a,b', which is text; type list is wanted (with -e: as JSON)"),
        ("a_count: true\n", "1: a_count is True; type int is wanted"),
        ("a_count: 6\n", "1: a_count is 6; the most is 5"),
        ("a_secret: hush\n", "1: a_secret is wrong; type int is wanted"),
        ("a_switch: perhaps\n", "1: a_switch is 'perhaps'; type bool is wanted"),
        ("a_name: z\n", "1: a_name is not as declared: value of a_name must be one of: x, y, got: z"),
        ("some_hosts: [{zome: z}]\n", "1: some_hosts is not as declared: "),
    ],
)
def test_each_wrong_setting_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    lines = complaints(tmp_path, text)
    assert lines
    assert lines[0].startswith(complaint)


def command_line(*options: str) -> list[str]:
    return inventory.problems(inventory.read_command_line(options), DECLARED, template)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("a_cuont=1", "-e: a_cuont is not a variable of any role; did you mean a_count?"),
        ("a_count=many", "-e: a_count is 'many'; type int is wanted"),
        ("b=1 a_count=6", "-e: a_count is 6; the most is 5"),
        ('{"a_count": 6}', "-e: a_count is 6; the most is 5"),
        ("some_hosts=a,b", "-e: some_hosts is 'a,b', which is text; type list is wanted (with -e: as JSON)"),
        ("some_role_colour=red", "-e: some_role_colour is not a variable of any role; remove it"),
        ("__some_role_made=1", "-e: __some_role_made is not a variable of any role; remove it"),
        ("ironbook_passed=1", "-e: ironbook_passed is not a variable of any role; remove it"),
    ],
)
def test_the_command_line_is_held_against_the_same_declarations(option: str, complaint: str) -> None:
    (line,) = command_line(option)
    assert line.startswith(complaint)


@pytest.mark.parametrize(
    "option", ["a_count=5 a_switch=no", '{"a_count": 5}', "ansible_user=me", "version=1.2 colour=x"]
)
def test_variables_of_the_users_own_and_right_ones_pass(option: str) -> None:
    assert command_line(option) == []


def test_a_file_of_the_command_line_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("---\ncolour: red\na_count: 6\n")
    assert command_line(f"@{path}") == [f"{path}:3: a_count is 6; the most is 5"]


def test_variables_of_hosts_and_groups_in_an_inventory_file_are_seen(tmp_path: Path) -> None:
    text = "all:\n  vars: {a_cuont: 1}\n  children:\n    g:\n      hosts:\n        h: {a_nmae: x}\n"
    assert [line.split()[1] for line in complaints(tmp_path, text, "hosts.yml")] == ["a_cuont", "a_nmae"]


def test_files_of_inventory_plugins_are_left_alone(tmp_path: Path) -> None:
    assert complaints(tmp_path, "plugin: amazon.aws.aws_ec2\ncompose: {engine_shard: '0'}\n", "a.aws_ec2.yml") == []


def test_host_vars_are_seen_and_vaulted_text_is_text(tmp_path: Path) -> None:
    assert complaints(tmp_path, "a_cuont: 1\n", "host_vars/h.yml")
    assert complaints(tmp_path / "b", "a_name: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n")[0].startswith(
        "1: a_name"
    )


def test_what_cannot_be_known_yet_is_not_judged(tmp_path: Path) -> None:
    assert complaints(tmp_path, 'a_count: "{{ hostvars.vpc.count }}"\n') == []


def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "group_vars" / "all.yml"
    path.parent.mkdir()
    path.write_text("a_count: 1\nb: [\n")
    with pytest.raises(inventory.InventoryError, match=r"all.yml:3: not valid YAML"):
        inventory.read([str(tmp_path)])


def test_names_of_hosts_are_no_files() -> None:
    assert inventory.read(["localhost,"]) == []


def test_a_required_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    assert inventory.missing({}, DECLARED) == ["a_count is not set: How many."]
    assert inventory.missing({"a_count": 1}, DECLARED) == []


@pytest.mark.parametrize("name", ["local", "production", "example"])
def test_our_own_inventories_set_nothing_that_no_role_declares(name: str) -> None:
    settings = inventory.read([str(ROOT / "inventories" / name)])
    assert len(settings) > 10
    assert inventory.problems(settings, declarations.read(ROOT), template) == []
