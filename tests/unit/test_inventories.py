# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories that we ship: each is right by the roles' declarations, and no two of them meet in an account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight import addresses
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import account, declarations, inventory

ROOT = Path(__file__).resolve().parents[2]
INVENTORIES = ROOT / "inventories"
ON_AWS = ["dev", "dr", "example", "production", "staging"]
DECLARED = declarations.read(ROOT)
NETWORK = yaml.safe_load((ROOT / "roles/aws_network/defaults/main.yml").read_text())
SECRET = re.compile(r"password|passwd|secret|token|credential|private_key|api_key|auth", re.IGNORECASE)
# Keys of AWS (IAM User Guide, "Unique identifiers"), keys in PEM, passwords in a URL, and those that the owners'
# documents show.
SECRET_VALUE = re.compile(
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:]+:[^/\s@]+@|admin123|YourSecure"
)


def settings(name: str) -> list[inventory.Setting]:
    return inventory.read([str(INVENTORIES / name)])


def variables(name: str) -> dict[str, Any]:
    """What the inventory sets for all hosts, and the defaults of the network's addresses."""
    found = {
        key: value
        for path in sorted((INVENTORIES / name / "group_vars" / "all").glob("*.yml"))
        for key, value in yaml.safe_load(path.read_text()).items()
    }
    return {key: value for key, value in NETWORK.items() if key.endswith("_cidrs") or key.endswith("_cidr")} | found


def as_it_is(value: Any) -> Any:
    """No Jinja is filled in: a value that takes some cannot be known here."""
    if "{{" in str(value):
        raise LookupError
    return value


def secrets(found: Mapping[str, Any], texts: Mapping[str, str]) -> list[str]:
    """What of variables and of files looks like a secret: a value under the name of one, and the form of a key."""
    named = [
        f"{name} is set to {value!r}"
        for name, value in found.items()
        if (SECRET.search(name) or DECLARED.specs.get(name, {}).get("no_log")) and isinstance(value, str)
        if value and "{{" not in value and not name.endswith(("_file", "_directory"))
    ]
    return named + [f"{file}: {match[0]}" for file, text in texts.items() for match in SECRET_VALUE.finditer(text)]


def network_problems(known: Mapping[str, Any]) -> list[str]:
    """What is wrong with the addresses that these variables give."""
    tiers = {tier: known[f"aws_network_{tier}_cidrs"] for tier in ("public", "private", "database")}
    elsewhere = {name: known[name] for name in ("aws_network_on_premises_cidrs", "aws_network_partner_cidrs")}
    zones, hosts = known["ironbook_zones"], known["ironbook_engine_hosts"]
    return addresses.problems(known["aws_network_cidr"], tiers, zones, elsewhere, hosts, 1)


@pytest.mark.parametrize("name", [*ON_AWS, "local"])
def test_each_inventory_is_as_the_roles_declare(name: str) -> None:
    assert len(settings(name)) > 10
    assert inventory.problems(settings(name), DECLARED, as_it_is) == []
    known = variables(name)
    assert inventory.missing(known, declarations.read(ROOT, "preflight")) == []
    assert account.zone_problems(known["aws_region"], known["ironbook_zones"]) == []
    assert network_problems(known) == []


def test_no_two_environments_meet_in_an_account() -> None:
    known = {name: variables(name) for name in ON_AWS}
    for what in ("ironbook_name_prefix", "ironbook_tags", "aws_compute_key_name"):
        assert len({str(one[what]) for one in known.values()}) == len(ON_AWS), what
    networks = [addresses.Network(one["aws_network_cidr"], name) for name, one in known.items()]
    assert list(addresses.overlaps(combinations(networks, 2))) == []
    prefixes = [one["ironbook_name_prefix"] for one in known.values()]
    assert not [pair for pair in combinations(sorted(prefixes), 2) if pair[1].startswith(pair[0])]


def test_the_recovery_region_is_another_one_with_addresses_of_its_own() -> None:
    production, dr = variables("production"), variables("dr")
    assert (production["aws_region"], dr["aws_region"]) == ("us-east-1", "us-west-2")
    assert (production["aws_network_cidr"], dr["aws_network_cidr"]) == ("10.0.0.0/16", "10.1.0.0/16")
    assert production["aws_account_id"] == dr["aws_account_id"]


@pytest.mark.parametrize("name", ON_AWS)
def test_what_no_environment_has_of_its_own_is_said_alike(name: str) -> None:
    """Ansible has no file that several inventories share; so they are held against each other."""
    for file in ("a_account_only.yml", "hosts.yml", "group_vars/engine_hosts.yml"):
        mine, theirs = ((INVENTORIES / one / file).read_text() for one in (name, "production"))
        assert yaml.safe_load(mine) == yaml.safe_load(theirs), file
    mine, theirs = (
        yaml.safe_load((INVENTORIES / one / "engines.aws_ec2.yml").read_text()) for one in (name, "production")
    )
    tags = variables(name)["ironbook_tags"]
    assert mine.pop("filters") == {
        "tag:Project": tags["Project"],
        "tag:Environment": tags["Environment"],
        "tag:Role": "engine",
        "instance-state-name": ["pending", "running"],
    }
    theirs.pop("filters")
    assert mine == theirs


@pytest.mark.feature("ORC-09", by="U")
def test_each_variable_of_the_example_is_a_roles_and_an_unset_address_is_refused() -> None:
    set_there = settings("example")
    consumed = {
        name
        for path in ROOT.glob("roles/*/meta/argument_specs.yml")
        for entry_point in yaml.safe_load(path.read_text())["argument_specs"].values()
        for name in entry_point.get("options") or {}
    }
    ours = {setting.name for setting in set_there if not setting.name.startswith("ansible_")}
    assert len(ours) > 25
    assert ours <= consumed
    for name in ("aws_hybrid_customer_gateway_ip", "aws_network_on_premises_cidrs", "aws_network_cidr"):
        assert name in ours
        for unset in (None, "", [""], [None]):
            changed = [setting for setting in set_there if setting.name != name]
            changed.append(inventory.Setting(name, unset, "group_vars/all/aws_hybrid.yml:4"))
            (line,) = inventory.problems(changed, DECLARED, as_it_is)
            assert line.startswith(f"group_vars/all/aws_hybrid.yml:4: {name} ")


@pytest.mark.feature("OPS-07", by="U")
@pytest.mark.parametrize("name", [*ON_AWS, "local"])
def test_no_inventory_holds_a_secret(name: str) -> None:
    files = {str(path): path.read_text() for path in (INVENTORIES / name).rglob("*") if path.is_file()}
    assert len(files) > 5
    assert secrets(variables(name), files) == []


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"aws_database_password": "correct-10"}, ""),
        ({"portal_api_token": "a"}, ""),
        ({}, "aws_compute_key_name: AKIAIOSFODNN7EXAMPLE"),
        ({}, "x: |\n  -----BEGIN RSA PRIVATE KEY-----"),
        ({}, "host: postgres://admin:correct@db"),
        ({}, "# admin/admin123"),
    ],
)
def test_a_secret_would_be_seen(found: dict[str, Any], text: str) -> None:
    assert len(secrets(found, {"file": text})) == 1


PROFILES = sorted((INVENTORIES / "profiles").glob("*.yml"))
# What the owners' documents say, each of its own platform, as far as it can be said in variables.
FIGURES: dict[str, dict[str, Any]] = {
    "real_time_trading_platform": {
        "ironbook_name_prefix": "real-time-trading-platform",
        "aws_database_user": "trading_admin",
        "aws_database_dbname": "trading_platform",
    },
    "ic_markets": {
        "ironbook_zones": ["us-east-1a", "us-east-1b"],
        "aws_network_nat_gateway_count": 2,
        "aws_network_cidr": "10.0.0.0/16",
        "aws_network_vpc_endpoints": ["kinesis-streams", "s3", "dynamodb"],
        "aws_compute_tenancy": "dedicated",
        "aws_streams_shard_count": 10,
        "aws_database_multi_az": True,
    },
    "tech_99": {
        "ironbook_zones": ["us-east-1a", "us-east-1b", "us-east-1c"],
        "aws_network_cidr": "10.0.0.0/16",
        "aws_database_multi_az": True,
    },
    "ai_trading_platform": {
        "aws_network_nat_gateway_count": 3,
        "aws_database_engine_version": "15.4",
        "aws_database_instance_class": "db.r6g.2xlarge",
        "aws_database_multi_az": True,
        "aws_database_deletion_protection": True,
        "aws_database_backup_days": 30,
    },
    "trading_engine": {
        "ironbook_name_prefix": "production-trading-engine",
        "aws_network_cidr": "10.0.0.0/16",
        "aws_network_public_cidrs": ["10.0.101.0/24", "10.0.102.0/24", "10.0.103.0/24"],
        "aws_network_private_cidrs": ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"],
        "aws_network_database_cidrs": ["10.0.11.0/24", "10.0.12.0/24", "10.0.13.0/24"],
        "aws_database_engine_version": "16.1",
        "aws_database_instance_class": "db.r6i.xlarge",
        "aws_database_storage_gib": 100,
        "aws_database_storage_gib_max": 1000,
        "aws_database_backup_days": 30,
    },
}


def test_there_is_a_profile_for_each_of_the_owners_documents() -> None:
    assert {path.stem for path in PROFILES} == set(FIGURES)
    assert len({yaml.safe_load(path.read_text())["ironbook_name_prefix"] for path in PROFILES}) == len(FIGURES)


@pytest.mark.parametrize("base", [name for name in ON_AWS if variables(name)["aws_region"] == "us-east-1"])
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_each_profile_is_right_over_each_inventory_of_its_region_and_has_its_documents_figures(
    path: Path, base: str
) -> None:
    given = inventory.read_command_line([f"@{path}"])
    declared = [replace(setting, ours=True) for setting in given]
    assert inventory.problems(declared, DECLARED, as_it_is) == []
    profile = {setting.name: setting.value for setting in given}
    assert FIGURES[path.stem].items() <= profile.items()
    assert secrets(profile, {path.name: path.read_text()}) == []
    known = {**variables(base), **profile}
    zones, hosts = known["ironbook_zones"], known["ironbook_engine_hosts"]
    assert network_problems(known) == []
    assert account.zone_problems(known["aws_region"], zones) == []
    assert {host["zone"] for host in hosts} <= set(zones)
