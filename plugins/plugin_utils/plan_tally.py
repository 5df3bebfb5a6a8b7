# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preview of provision would add, change and destroy, counted by resource.

Modules of others say in check mode that something would change, and not what. Each names its resource by one of its
arguments, and what there is has been listed before (the role platform_plan): a resource that is there would be changed,
any other would be added. Our own modules say what they would do. A change that names no resource is counted, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Module -> the kind of its resource, as platform_state_info lists it, and the argument that names it; "Name": its tag.
NAMED = {
    "amazon.aws.ec2_instance": ("instance", "name"),
    "amazon.aws.ec2_placement_group": ("placement_group", "name"),
    "amazon.aws.ec2_security_group": ("security_group", "name"),
    "amazon.aws.ec2_vpc_endpoint": ("vpc_endpoint", "Name"),
    "amazon.aws.ec2_vpc_igw": ("internet_gateway", "Name"),
    "amazon.aws.ec2_vpc_nacl": ("network_acl", "name"),
    "amazon.aws.ec2_vpc_nat_gateway": ("nat_gateway", "Name"),
    "amazon.aws.ec2_vpc_net": ("vpc", "name"),
    "amazon.aws.ec2_vpc_route_table": ("route_table", "Name"),
    "amazon.aws.ec2_vpc_subnet": ("subnet", "Name"),
    "amazon.aws.iam_instance_profile": ("instance_profile", "name"),
    "amazon.aws.iam_policy": ("iam_role", "iam_name"),
    "amazon.aws.iam_role": ("iam_role", "name"),
    "amazon.aws.kms_key": ("kms_key", "alias"),
    "amazon.aws.rds_instance": ("db_instance", "db_instance_identifier"),
    "amazon.aws.rds_subnet_group": ("db_subnet_group", "name"),
    "amazon.aws.s3_bucket": ("s3_bucket", "name"),
    "amazon.aws.s3_bucket_info": ("s3_bucket", "name"),
    "community.aws.kinesis_stream": ("kinesis_stream", "name"),
    "ironbook.trading.aws_configuration_table": ("dynamodb_table", "name"),
}
ADD, CHANGE, DESTROY = "+", "~", "-"
SIGNS = {"create": (ADD,), "update": (CHANGE,), "tag": (CHANGE,), "replace": (DESTROY, ADD), "delete": (DESTROY,)}

Key = tuple[str, str]  # (kind, name)


class Tally:
    """What a run would do, once `begin` has said what there is. Until then nothing is counted."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self.begun = False
        self.done: dict[Key, set[str]] = {}
        self._there: set[Key] = set()
        self._by_id: dict[str, Key] = {}

    def begin(self, resources: Iterable[Mapping[str, Any]]) -> None:
        """Count from now on; `resources`: what there is, as platform_state_info lists it."""
        self._by_id = {each["id"]: (each["kind"], each["name"]) for each in resources}
        self._there = set(self._by_id.values())
        self.begun = True

    def note(self, module: str, who: str, result: Mapping[str, Any]) -> None:
        """Count one result of a module. `who`: host and task, for what names no resource."""
        if not self.begun or not result.get("changed"):
            return
        actions = result.get("actions")
        if isinstance(actions, list) and all(isinstance(action, dict) for action in actions):
            for action in actions:
                self._note_action(action)
            return
        arguments = result.get("invocation", {}).get("module_args") or {}
        key = self._key(module, arguments) or ("task", who)
        is_there = key in self._there or key[0] == "task"
        sign = CHANGE if is_there else ADD
        self._add(key, DESTROY if arguments.get("state") == "absent" and is_there else sign)

    def lines(self) -> list[str]:
        """Return a line for each resource, and the counts."""
        told = [f"{sign} {kind} {name}" for (kind, name), signs in sorted(self.done.items()) for sign in sorted(signs)]
        added, changed, destroyed = (
            sum(sign in signs for signs in self.done.values()) for sign in (ADD, CHANGE, DESTROY)
        )
        return [*told, f"plan: {added} to add, {changed} to change, {destroyed} to destroy"]

    def _note_action(self, action: Mapping[str, Any]) -> None:
        if "part" in action:  # of aws_part_tags; what is not there yet is a part of what is added
            self._add(self._by_id.get(action["part"], ("part", action["part"])), CHANGE)
        else:
            for sign in SIGNS[action["action"]]:
                self._add((action["kind"], action["name"]), sign)

    def _key(self, module: str, arguments: Mapping[str, Any]) -> Key | None:
        if module == "amazon.aws.ec2_tag":
            return self._by_id.get(arguments["resource"])
        if module not in NAMED:
            return None
        kind, argument = NAMED[module]
        name = (arguments.get("tags") or {}).get("Name") if argument == "Name" else arguments.get(argument)
        return (kind, name) if name else None

    def _add(self, key: Key, sign: str) -> None:
        """Count it once: what is added is not changed as well."""
        signs = self.done.setdefault(key, set())
        signs.add(sign)
        if ADD in signs and sign != DESTROY:
            signs.discard(CHANGE)


# That of this process: the callback counts, and a task that comes later, in a fork, may ask.
RUN = Tally()
