# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the reconcile engine share: an account with what others provide, and a case for each kind.

Each kind has tests/unit/plugins/module_utils/platform_resources/kinds/test_<kind>.py with a `CASE`, from which the
property test draws, and which test_kinds.py demands.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import plan
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account, Clock
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.engine import Outcome, reconcile
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from botocore.config import Config
from botocore.exceptions import ClientError

Client = Callable[[str], Any]
CASES = Path(__file__).parent / "unit" / "plugins" / "module_utils" / "platform_resources" / "kinds"
TAGS = {
    "Environment": "production", "Project": "trading-engine", "ManagedBy": "ansible",
    "Team": "devops", "CostCenter": "engineering", "Compliance": "PCI-DSS",
}  # fmt: skip
FOREIGN = {**TAGS, "Project": "somebody-elses"}
# What a module takes beside its own options.
CONNECTION = {"region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
BUCKET = "arn:aws:s3:::trading-flow"
ROLE = "arn:aws:iam::123456789012:role/flow-logs"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Case:
    """How a kind is tried. `variants`: options of one resource, which together give each field two values or more.

    `drifts`: what somebody does by hand to the resource with this id.
    `beside`: resources of other kinds that the variants name, by argument of the module.
    """

    variants: Sequence[Mapping[str, Any]]
    drifts: Sequence[Callable[[Client, str], None]]
    beside: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def case_of(kind: str) -> Case:
    """The case of a kind, out of its test."""
    spec = importlib.util.spec_from_file_location(f"case_{kind}", CASES / f"test_{kind}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    case: Case = module.CASE
    return case


def clients(url: str | None = None) -> Client:
    """Makes clients, of an emulator at `url`, or of moto in this process; each service's only once."""
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=url,
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return made[service]

    return client


def provide(client: Client) -> None:
    """What others provide: two VPCs with subnets and more, two transit gateways with an attachment each, a bucket."""
    ec2 = client("ec2")
    vpc, other = [
        ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=named("vpc", name))["Vpc"]["VpcId"]
        for name in ("trading", "other")
    ]
    for number, (name, where) in enumerate((("endpoints-a", vpc), ("endpoints-b", vpc), ("endpoints-other", other))):
        ec2.create_subnet(VpcId=where, CidrBlock=f"10.1.{10 + number}.0/24", TagSpecifications=named("subnet", name))
        ec2.create_route_table(VpcId=where, TagSpecifications=named("route-table", name))
        ec2.create_security_group(
            VpcId=where, GroupName=name, Description=name, TagSpecifications=named("security-group", name)
        )
    gateways = [
        ec2.create_transit_gateway(TagSpecifications=named("transit-gateway", name))["TransitGateway"]
        for name in ("trading", "other")
    ]
    for index, zone in enumerate("abc"):
        place = {"CidrBlock": f"10.1.{index}.0/24", "AvailabilityZone": f"us-east-1{zone}"}
        ec2.create_subnet(VpcId=other, TagSpecifications=named("subnet", f"other-{zone}"), **place)
    for index, venue in enumerate(("venue-a", "venue-b")):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{index}.0/24")["Subnet"]["SubnetId"]
        answer = ec2.create_transit_gateway_vpc_attachment(
            TransitGatewayId=gateways[index]["TransitGatewayId"], VpcId=vpc, SubnetIds=[subnet]
        )
        attachment = answer["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
        ec2.create_tags(Resources=[attachment], Tags=[{"Key": "Name", "Value": venue}])
    client("s3").create_bucket(Bucket=BUCKET.rpartition(":")[2])


def named(resource_type: str, name: str) -> list[dict[str, Any]]:
    """TagSpecifications with a name alone."""
    return [{"ResourceType": resource_type, "Tags": [{"Key": "Name", "Value": name}]}]


class FastClock(Clock):
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.time, self.waits = 0.0, 0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.waits += 1


@dataclass
class Recorder:
    """Clients that keep each request, and refuse the `fail_at`-th write and all after it (counted from 0)."""

    client: Client
    fail_at: int | None = None
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, service: str) -> Any:
        return _Recorded(self, self.client(service))

    @property
    def writes(self) -> list[str]:
        """The operations that changed something, or tried to."""
        return [name for name, _ in self.calls if not name.startswith(("describe", "list", "search", "get"))]


class _Recorded:
    def __init__(self, recorder: Recorder, client: Any) -> None:
        self._recorder, self._client = recorder, client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in {"can_paginate", "get_paginator", "exceptions", "meta"}:
            return found

        def call(**parameters: Any) -> Any:
            recorder = self._recorder
            recorder.calls.append((name, parameters))
            if recorder.fail_at is not None and len(recorder.writes) > recorder.fail_at and name in recorder.writes:
                raise ClientError({"Error": {"Code": "InternalError", "Message": "cut off here"}}, name)
            return found(**parameters)

        return call


def converge(
    client: Client, options: Mapping[str, Any], *, check: bool = False, adopt: bool = False, **more: Any
) -> Outcome:
    """One run of the module without Ansible; `options` lists resources. `more`: clock, seconds, workers, purge."""
    wanted = plan.wanted_of(KINDS, {"tags": TAGS, **options})
    run = plan.Run({**TAGS, **options.get("tags", {})}, adopt, check, more.get("purge", ()))
    account = Account(client, more.get("seconds", 60), more.get("clock"))
    return reconcile(KINDS, wanted, run, account, more.get("workers", 10))


def told(outcome: Outcome) -> list[str]:
    """The planned steps, shortly."""
    return [" ".join([step.action, step.wanted.kind, step.wanted.name, *step.changed]) for step in outcome.planned]


def first(client: Client, options: Mapping[str, Any]) -> str:
    """Converge, and return the id of the one resource that is asked for; a second run must have nothing to do."""
    outcome = converge(client, options)
    assert not outcome.problems, outcome.problems
    assert [step.told for step in outcome.done] and len(outcome.done) == len(outcome.planned)
    again = converge(client, options)
    assert (again.problems, told(again)) == ([], [])
    return list(outcome.ids.values())[-1]


@contextmanager
def in_this_process() -> Iterator[None]:
    """An account that is empty but for what AWS gives everybody, by moto in this process, with our repairs."""
    from ironbook.emulator.repairs import REPAIRS, Settings, apply  # noqa: PLC0415
    from moto import mock_aws  # noqa: PLC0415

    with mock_aws():
        for service in REPAIRS.keys() & {kind.service for kind in KINDS.values()}:
            apply(service, Settings(1, Path("none"), "none"))
        yield
