# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks AWS what there is of all that an environment needs: a dozen questions, side by side.  Nothing is changed.

What provision asks as well has to be answered: a refusal is a ResourceError.  What only this check asks, quotas and the
VPCs of other regions, may be denied: then it is not known, and a note says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

with contextlib.suppress(ImportError):  # the module says what is missing
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from ..platform_resources.calls import Account, Calls, ResourceError, code_of
from ..platform_resources.kind import tags_of
from ..platform_resources.plan import Run
from .needs import QUOTAS, Found, Needs

WORKERS = 16
READING = "reading what there is"
LIVE = ["pending", "running"]


class Reader:
    """The questions. `account_of` gives the Account of a region; `notes` gathers what could not be known."""

    def __init__(self, account_of: Callable[[str], Account], region: str, tags: Mapping[str, str]) -> None:
        """Ask about `region`; an instance with `tags` that say whose it is, is ours."""
        self.account_of, self.region, self.environment = account_of, region, Run(tags)
        self.account = account_of(region)
        self.notes: list[str] = []

    def read(self, needs: Needs, regions: Sequence[str]) -> Found:
        """Return what there is. `regions`: those whose VPCs are looked at beside the own one's; none: all."""
        types = sorted({one["type"] for one in needs.instances})
        with ThreadPoolExecutor(WORKERS) as pool:
            zones = pool.submit(self._zones)
            vpcs = pool.submit(self._vpcs, regions, pool)
            gateways = pool.submit(self._nat_gateways)
            addresses = pool.submit(self._addresses)
            offered = pool.submit(self._offered, types)
            instances = pool.submit(self._instances, types)
            quotas = {name: pool.submit(self._quota, name) for name in QUOTAS}
            streams = pool.submit(self._streams, [stream["name"] for stream in needs.streams])
            shards = pool.submit(self._shards)
            running, vcpus = instances.result()
            return Found(
                self.region,
                zones.result(),
                self._of_all(vpcs.result()),
                gateways.result(),
                running,
                offered.result(),
                vcpus,
                addresses.result(),
                {name: answer.result() for name, answer in quotas.items()},
                streams.result(),
                shards.result(),
            )

    # ------------------------------------------------------------------------------------------------------ of EC2

    def _ec2(self, what: str, operation: str, key: str, region: str = "", **parameters: Any) -> list[Any]:
        account = self.account if region in {"", self.region} else self.account_of(region)
        calls = Calls(account, "ec2", what, read_only=True)
        with calls.explained(f"of {region or self.region}", READING):
            return calls.pages(operation, key, **parameters)

    def _zones(self) -> list[str]:
        found = self._ec2("availability zones", "describe_availability_zones", "AvailabilityZones")
        return [zone["ZoneName"] for zone in found if zone["State"] == "available"]

    def _vpcs(self, regions: Sequence[str], pool: ThreadPoolExecutor) -> list[Any]:
        """Return futures, and no answers: one of this pool's threads must not wait for another."""
        named = list(regions) or [one["RegionName"] for one in self._ec2("regions", "describe_regions", "Regions")]
        return [pool.submit(self._vpcs_of, region) for region in sorted({self.region, *named})]

    def _vpcs_of(self, region: str) -> list[dict[str, Any]]:
        try:
            found = self._ec2("VPCs", "describe_vpcs", "Vpcs", region)
        except ResourceError as error:
            if region == self.region:
                raise
            self.notes.append(f"addresses in {region} are not known: {error}")
            return []
        return [
            {
                "id": vpc["VpcId"],
                "name": tags.get("Name", ""),
                "ours": self.environment.owner(tags) == "ours",
                "region": region,
                "cidrs": [one["CidrBlock"] for one in vpc.get("CidrBlockAssociationSet", ())] or [vpc["CidrBlock"]],
            }
            for vpc in found
            for tags in (tags_of(vpc.get("Tags", ())),)
        ]

    @staticmethod
    def _of_all(answers: Sequence[Any]) -> list[dict[str, Any]]:
        return [vpc for answer in answers for vpc in answer.result()]

    def _nat_gateways(self) -> list[str]:
        states = [{"Name": "state", "Values": ["pending", "available"]}]
        found = self._ec2("NAT gateways", "describe_nat_gateways", "NatGateways", Filter=states)
        return [tags_of(one.get("Tags", ())).get("Name", "") for one in found]

    def _addresses(self) -> int:
        return len(self._ec2("Elastic IP addresses", "describe_addresses", "Addresses"))

    def _offered(self, types: Sequence[str]) -> dict[str, set[str]]:
        offered: dict[str, set[str]] = {}
        if types:
            wanted = [{"Name": "instance-type", "Values": list(types)}]
            found = self._ec2(
                "instance types", "describe_instance_type_offerings", "InstanceTypeOfferings",
                LocationType="availability-zone", Filters=wanted,
            )  # fmt: skip
            for one in found:
                offered.setdefault(one["Location"], set()).add(one["InstanceType"])
        return offered

    def _instances(self, types: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Return what runs, and the vCPUs of those types and of the wanted ones."""
        states = [{"Name": "instance-state-name", "Values": LIVE}]
        found = self._ec2("instances", "describe_instances", "Reservations", Filters=states)
        running = []
        for instance in (one for reservation in found for one in reservation["Instances"]):
            tags = tags_of(instance.get("Tags", ()))
            ours = self.environment.owner(tags) == "ours"
            running.append({"name": tags.get("Name", ""), "type": instance["InstanceType"], "ours": ours})
        # As a filter: a type that there is not at all is no error there, and another line says so.
        every = sorted({*types, *(one["type"] for one in running)})
        known = self._ec2(
            "instance types", "describe_instance_types", "InstanceTypes",
            Filters=[{"Name": "instance-type", "Values": every}],
        ) if every else []  # fmt: skip
        return running, {one["InstanceType"]: one["VCpuInfo"]["DefaultVCpus"] for one in known}

    # ------------------------------------------------------------------------------------------------- of quotas

    def _quota(self, name: str) -> float | None:
        """Return the account's own figure; AWS's where the account has none of its own."""
        quota = QUOTAS[name]
        calls = Calls(self.account, "service-quotas", "quota", read_only=True)
        asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
        with contextlib.suppress(ClientError):
            return float(calls.call("get_service_quota", **asked)["Quota"]["Value"])
        try:
            return float(calls.call("get_aws_default_service_quota", **asked)["Quota"]["Value"])
        except ClientError as error:
            self.notes.append(
                f"the quota of {quota.what} ({quota.code}) is not known: {code_of(error)}: "
                "allow servicequotas:GetServiceQuota"
            )
            return None

    def _streams(self, names: Sequence[str]) -> dict[str, int]:
        calls = Calls(self.account, "kinesis", "stream", ("ResourceNotFoundException",), read_only=True)
        shards = {}
        for name in names:
            with calls.explained(name, READING):
                ask = partial(calls.call, "describe_stream_summary", StreamName=name)
                found = calls.unless_gone(ask, None)
                if found:
                    shards[name] = int(found["StreamDescriptionSummary"]["OpenShardCount"])
        return shards

    def _shards(self) -> tuple[int, int] | None:
        calls = Calls(self.account, "kinesis", "quota", read_only=True)
        try:
            limits = calls.call("describe_limits")
        except ClientError as error:
            self.notes.append(
                f"the quota of Kinesis shards is not known: {code_of(error)}: allow kinesis:DescribeLimits"
            )
            return None
        return int(limits["OpenShardCount"]), int(limits["ShardLimit"])
