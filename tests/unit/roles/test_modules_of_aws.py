# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and data services are made by amazon.aws; what is not has its reason in docs/aws_modules.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_collections.amazon.aws as amazon_aws
import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS

ROOT = Path(__file__).resolve().parents[3]
AMAZON = {path.stem for path in (Path(next(iter(amazon_aws.__path__))) / "plugins" / "modules").glob("*.py")}
# What each module of amazon.aws begins with, before it says what it makes.
SERVICE = re.compile(r"^(ec2|cloudwatchlogs|cloudwatch|cloudwatchevent|elb|iam|rds)_(vpc_)?")
# The same thing in the words of amazon.aws.
IN_THEIR_WORDS = {
    "network_acl": "nacl",
    "scaling_group": "autoscaling_group",
    "virtual_private_gateway": "vgw",
    "vpc_endpoint": "endpoint",
    "vpn_connection": "vpn",
}
# A network and the services for data, by the roles that provide them.
DEMANDED = {
    "aws_network": {"ec2_vpc_net", "ec2_vpc_subnet", "ec2_vpc_igw", "ec2_vpc_nat_gateway", "ec2_vpc_route_table"},
    "aws_security_groups": {"ec2_security_group"},
    "aws_compute": {"ec2_instance"},
    "aws_placement": {"ec2_placement_group"},
    "aws_database": {"rds_instance", "rds_subnet_group"},
    "aws_audit_storage": {"s3_bucket"},
    "aws_encryption": {"kms_key"},
    "aws_identity": {"iam_role", "iam_policy", "iam_instance_profile"},
}


def tasks_in(node: Any) -> Iterator[dict[str, Any]]:
    """Each task of a file, blocks and what is in them too."""
    for task in node if isinstance(node, list) else ():
        if isinstance(task, dict):
            yield task
            for inner in ("block", "rescue", "always"):
                yield from tasks_in(task.get(inner))


def modules_of(role: Path) -> set[str]:
    """The modules that a role's tasks and handlers name, by their full names."""
    files = [path for folder in ("tasks", "handlers") for path in (role / folder).glob("*.yml")]
    tasks = [task for file in files for task in tasks_in(yaml.safe_load(file.read_text()))]
    return {key for task in tasks for key in task if key.count(".") == 2}


USED = {role.name: modules_of(role) for role in (ROOT / "roles").iterdir()}


def asks_aws(module: str) -> bool:
    """Whether a module talks to AWS: all of amazon.aws and community.aws, and of ours what is built on their base."""
    collection, _, name = module.rpartition(".")
    source = ROOT / "plugins" / "modules" / f"{name}.py"
    if collection == "ironbook.trading" and source.exists():
        return "AnsibleAWSModule(" in source.read_text()
    return collection in {"amazon.aws", "community.aws"}


def told(heading: str) -> dict[str, str]:
    """The table under a heading of the document: name -> reason."""
    text = (ROOT / "docs" / "aws_modules.md").read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", text, re.MULTILINE))


def has_counterpart(kind: str) -> bool:
    """Whether amazon.aws has a module for a kind of ours, by its name."""
    return IN_THEIR_WORDS.get(kind, kind) in {SERVICE.sub("", module) for module in AMAZON}


@pytest.mark.feature("USR-04", by="U")
def test_networks_and_data_services_are_made_by_amazon_aws() -> None:
    """Whatever else the roles of AWS use, has its reason, and each reason is of something that is used."""
    for role, demanded in DEMANDED.items():
        assert {f"amazon.aws.{module}" for module in demanded} <= USED[role], role
    of_aws = {module for used in USED.values() for module in used if asks_aws(module)}
    provided = {module for role, used in USED.items() if role.startswith("aws_") for module in used if asks_aws(module)}
    assert len([module for module in provided if module.startswith("amazon.aws.")]) >= 18
    others = {module for module in provided if not module.startswith("amazon.aws.")}
    reasons = told("Other modules")
    assert others <= reasons.keys() <= of_aws
    assert all(len(reason) > 20 for reason in reasons.values())


def test_a_kind_of_ours_has_no_module_in_amazon_aws_or_a_reason() -> None:
    reasons = told("Kinds of platform_resources that amazon.aws has a module for")
    assert {kind for kind in KINDS if has_counterpart(kind)} == reasons.keys()
    for kind, reason in reasons.items():
        (module,) = re.findall(r"`([a-z0-9_]+)`", reason)
        assert module in AMAZON, f"{kind}: amazon.aws has no {module}"


def test_the_check_sees_what_it_is_for(tmp_path: Path) -> None:
    """Another module in a block, and a kind that amazon.aws has."""
    (tmp_path / "tasks").mkdir()
    block = [{"name": "n", "block": [{"name": "m", "community.aws.sns_topic": {}}, {"amazon.aws.ec2_vpc_net": {}}]}]
    (tmp_path / "tasks" / "main.yml").write_text(yaml.safe_dump(block))
    assert modules_of(tmp_path) == {"community.aws.sns_topic", "amazon.aws.ec2_vpc_net"}
    assert asks_aws("ironbook.trading.platform_resources") and not asks_aws("ironbook.trading.announce")
    assert has_counterpart("launch_template") and has_counterpart("log_group") and not has_counterpart("flow_log")
