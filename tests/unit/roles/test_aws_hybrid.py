# SPDX-License-Identifier: GPL-3.0-or-later
"""What contradicts itself in an inventory's Direct Connect is refused with the names of its variables."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from integration.role_play import run_play

PORT = {"name": "port", "location": "EqDC2"}
NYSE = {"name": "nyse", "connection": "port", "vlan": 201, "bgp_asn": 65201}
RIGHT = {
    "aws_network_on_premises_cidrs": ["192.168.0.0/16"], "aws_hybrid_customer_gateway_ip": "203.0.113.10",
    "aws_hybrid_direct_connects": [PORT], "aws_hybrid_venues": [NYSE],
    "aws_hybrid_clients": [{**NYSE, "name": "client", "vlan": 202}],
}  # fmt: skip
# Name -> what is otherwise, and a part of the one line that says so; nothing where all is well.
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "right": ({}, ""),
    "the same VLAN on another port": (
        {"aws_hybrid_direct_connects": [PORT, {**PORT, "name": "second"}],
         "aws_hybrid_clients": [{**NYSE, "name": "client", "connection": "second"}]}, "",
    ),
    "no premises": (
        {"aws_network_on_premises_cidrs": [], "aws_hybrid_customer_gateway_ip": ""},
        "aws_hybrid_direct_connects is set, and aws_network_on_premises_cidrs names no network",
    ),
    "two gateways alike": (
        {"aws_hybrid_direct_connect_asn": 64512},
        "aws_hybrid_direct_connect_asn are 65000, 64512, 64512",
    ),
    "an exchange as AWS": (
        {"aws_hybrid_venues": [{**NYSE, "bgp_asn": 64513}]},
        "no bgp_asn of an interface may be the last",
    ),
    "an unknown port": (
        {"aws_hybrid_venues": [{**NYSE, "connection": "prot"}]},
        "names the connection prot, which is not in aws_hybrid_direct_connects",
    ),
    "one VLAN twice": (
        {"aws_hybrid_clients": [{**NYSE, "name": "client"}]},
        "give one VLAN of a connection twice: port, VLAN 201; port, VLAN 201",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.feature("HYB-05", by="Stub", part="what contradicts itself is refused before anything is asked")
def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """All cases in one play, since each play takes seconds to begin."""
    refuse = {"name": "ironbook.trading.aws_hybrid", "tasks_from": "preflight", "rolespec_validate": False}
    tasks = [
        {
            "name": name,
            "vars": RIGHT | otherwise,
            "block": [{"ansible.builtin.include_role": refuse}],
            "rescue": [
                {"ansible.builtin.set_fact": {"said": "{{ said | combine({case: ansible_failed_result.msg}) }}"},
                 "vars": {"case": name}}
            ],
        }
        for name, (otherwise, _) in CASES.items()
    ]  # fmt: skip
    tasks.append({"ansible.builtin.copy": {"content": "{{ said | to_json }}", "dest": str(tmp_path / "said.json")}})
    tags = {"ironbook_name_prefix": "trading", "ironbook_tags": {}, "ironbook_zones": [], "said": {}}
    (tmp_path / "play.json").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": tags,
                                                     "tasks": tasks}]))  # fmt: skip
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"localhost": here}}}))
    done = run_play(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((tmp_path / "said.json").read_text())
    assert said.keys() == {name for name, (_, line) in CASES.items() if line}
    for name, line in said.items():
        assert CASES[name][1] in line
