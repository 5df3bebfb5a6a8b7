# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs: each role declares its own, and what they tell is of the resource that they name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.action.platform_outputs import value_of
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import read

ROOT = Path(__file__).parents[4]
# It makes nothing: it looks up an image of somebody else's.
MAKES_NOTHING = {"aws_image"}
DATABASE = {
    "kind": "db_instance", "id": "db-1", "name": "production-trading-engine-database", "arn": "arn:aws:rds:::db:x",
    "shown": {"endpoint": "db.example.com", "port": 5432, "database": "trading_platform"},
}  # fmt: skip


def declared() -> dict[str, dict[str, Any]]:
    """Role -> what its meta/outputs.yml has."""
    paths = ROOT.glob("roles/*/meta/outputs.yml")
    return {path.parents[1].name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}


def provisioning_roles() -> set[str]:
    """The roles that make something in AWS: those of the provisioners."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles/provisioners").glob("[tv]*/main.yml"))
    return {word.split(".")[-1].rstrip(",}") for word in text.split() if word.startswith("ironbook.trading.aws_")}


@pytest.mark.feature("ORC-15", by="U")
def test_each_role_that_makes_something_declares_what_it_puts_out() -> None:
    assert len(provisioning_roles()) >= 11
    assert sorted(provisioning_roles() - MAKES_NOTHING - declared().keys()) == []
    assert {"database_endpoint", "kinesis_stream_name", "vpc_id"} <= {name for of in declared().values() for name in of}
    assert [role for role, outputs in declared().items() if not outputs] == []


def test_each_output_names_a_kind_that_is_listed_and_no_two_are_named_alike() -> None:
    kinds = {listing.kind for listing in read.listings()}
    names: list[str] = []
    for role, outputs in declared().items():
        for name, output in outputs.items():
            assert output.keys() - {"name", "names"} == {"description", "kind", "value"}, f"{role}: {name}"
            assert ("name" in output) != ("names" in output), f"{role}: {name}"
            assert output["kind"] in kinds, f"{role}: {name}: no listing of plugins/module_utils/platform_state"
            names.append(name)
    assert len(names) == len(set(names))


def test_a_value_is_that_of_the_one_resource_that_is_named() -> None:
    output = {"kind": "db_instance", "name": DATABASE["name"], "value": "endpoint"}
    other = {**DATABASE, "name": "another", "shown": {**DATABASE["shown"], "endpoint": "other.example.com"}}
    assert value_of(output, [other, DATABASE]) == "db.example.com"
    assert value_of(output, [other]) is None
    both = {"kind": "db_instance", "names": ["another", "third"], "value": "endpoint"}
    assert value_of(both, [other, DATABASE]) == ["other.example.com", None]
    with pytest.raises(LookupError, match=r"has no colour; there is: arn, database, endpoint, id, name, port"):
        value_of({**output, "value": "colour"}, [DATABASE])
    with pytest.raises(LookupError, match=r"several of db_instance are named"):
        value_of(output, [DATABASE, {**DATABASE, "id": "db-2"}])


# ------------------------------------------------------------------------------------------------ through Ansible


def show(tmp_path: Path, *options: str, output: str = "", **variables: Any) -> subprocess.CompletedProcess[str]:
    tasks = [{"ironbook.trading.platform_outputs": {"resources": [DATABASE], "output": output}}]
    (tmp_path / "hosts.ini").write_text("localhost ansible_connection=local\n", encoding="utf-8")
    play = {"name": "Show", "hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    said = {
        "ironbook_name_prefix": "production-trading-engine", "ironbook_zones": [], "ironbook_engine_hosts": [],
        "ironbook_tags": {}, "aws_account_id": "1", "ironbook_port_base": 21000, **variables,
    }  # fmt: skip
    command = ["playbook", "-i", "hosts.ini", "-e", json.dumps(said), *options, "play.yml"]
    return subprocess.run(
        [sys.executable, "-m", "ansible", *command],
        cwd=tmp_path,
        env=os.environ
        | {
            "ANSIBLE_STDOUT_CALLBACK": "ironbook.trading.brief",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DISPLAY_OK_HOSTS": "no",
        }
        | {"ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_all_outputs_are_shown_with_their_names_and_what_is_not_there(tmp_path: Path) -> None:
    done = show(tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert ["database_endpoint", "db.example.com"] in lines
    assert ["vpc_id", "(not there yet)"] in lines


@pytest.mark.slow
def test_a_variable_of_the_inventory_goes_before_the_roles_default(tmp_path: Path) -> None:
    done = show(tmp_path, aws_database_name="elsewhere")
    assert ["database_endpoint", "(not there yet)"] in [line.split(maxsplit=1) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_one_output_is_all_that_standard_output_has(tmp_path: Path) -> None:
    done = show(tmp_path, "-e", "output=database_endpoint", output="database_endpoint")
    assert (done.returncode, done.stdout) == (0, "db.example.com\n")
    assert "changed=0 failed=0" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        ("database_endpont", "there is no output database_endpont; did you mean database_endpoint? There are: audit_"),
        ("vpc_id", "output vpc_id: not every vpc of production-trading-engine is there: provision it first"),
    ],
)
def test_an_output_that_there_is_not_fails_with_the_remedy(tmp_path: Path, output: str, complaint: str) -> None:
    done = show(tmp_path, "-e", f"output={output}", output=output)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
