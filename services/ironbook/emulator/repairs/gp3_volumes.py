# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of type gp3 have the IOPS and the throughput that was asked for, when an instance is made with them too.

AWS: EC2 API reference, data type EbsBlockDevice (Iops 3,000 to 80,000, Throughput 125 to 2,000 MiB/s, of gp3 alone) and
CreateVolume; "General Purpose SSD volumes" in the EBS user guide (without either, 3,000 and 125; at most 500 IOPS for
each GiB, and 0.25 MiB/s for each IOPS).
moto drops both from RunInstances, has no default for the throughput, refuses nothing, and makes a second volume beside
those of a launch template. The codes of the refusals are not documented; InvalidParameterValue and, where two values
contradict each other, InvalidParameterCombination are what this file answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses import EC2Response

if TYPE_CHECKING:
    from . import Settings

IOPS_MIN, IOPS_MAX, IOPS_OF_A_GIB = 3000, 80000, 500
MIBPS_MIN, MIBPS_MAX, MIBPS_OF_AN_IOPS = 125, 2000, 0.25


def apply(settings: Settings) -> None:
    """Wrap the making of a volume, the reading of a request's volumes, and the making of instances from both."""
    stock_create, stock_run, stock_parse = (
        EBSBackend.create_volume,
        InstanceBackend.run_instances,
        EC2Response._parse_block_device_mapping,
    )
    if hasattr(stock_create, "__wrapped__"):
        return

    @wraps(stock_create)
    def create_volume(self: Any, size: Any, *arguments: Any, **more: Any) -> Any:
        if more.get("volume_type") == "gp3":
            must_fit(size, more.get("iops"), more.get("throughput"))
        volume = stock_create(self, size, *arguments, **more)
        if volume.volume_type == "gp3":
            volume.throughput = int(volume.throughput or MIBPS_MIN)
        return volume

    @wraps(stock_parse)
    def _parse_block_device_mapping(self: Any) -> list[dict[str, Any]]:
        mappings = stock_parse(self)
        for mapping, asked in zip(mappings, self._get_param("BlockDeviceMappings", []), strict=True):
            mapping["Ebs"]["Throughput"] = asked.get("Ebs", {}).get("Throughput")
        return mappings

    @wraps(stock_run)
    def run_instances(self: Any, *arguments: Any, **more: Any) -> Any:
        if template := more.get("launch_template"):
            of_template = self._get_template_from_args(template).data.get("BlockDeviceMappings")
            more = {**({"block_device_mappings": of_template} if of_template else {}), **more}
        volumes = _volumes(more.get("block_device_mappings"))
        for volume in volumes.values():
            must_fit(volume.get("VolumeSize"), volume.get("Iops"), volume.get("Throughput"))
        reservation = stock_run(self, *arguments, **more)
        for instance in reservation.instances:
            for device, volume in volumes.items():
                made = self.volumes[instance.block_device_mapping[device].volume_id]
                made.iops = int(volume.get("Iops") or made.iops)
                made.throughput = int(volume.get("Throughput") or made.throughput)
        return reservation

    EBSBackend.create_volume = create_volume  # type: ignore[method-assign]
    InstanceBackend.run_instances = run_instances  # type: ignore[method-assign]
    EC2Response._parse_block_device_mapping = _parse_block_device_mapping  # type: ignore[method-assign]


def _volumes(mappings: Iterable[Mapping[str, Any]] | None) -> dict[str, Mapping[str, Any]]:
    """Return device -> volume of type gp3."""
    wanted = {mapping["DeviceName"]: mapping.get("Ebs") or {} for mapping in mappings or ()}
    return {device: volume for device, volume in wanted.items() if volume.get("VolumeType") == "gp3"}


def must_fit(gib: Any, iops: Any, mibps: Any) -> None:
    """Refuse what EC2 refuses of a volume of type gp3."""
    iops, mibps = int(iops or IOPS_MIN), int(mibps or MIBPS_MIN)
    for value, least, most, what in ((iops, IOPS_MIN, IOPS_MAX, "iops"), (mibps, MIBPS_MIN, MIBPS_MAX, "throughput")):
        if not least <= value <= most:
            raise EC2ClientError("InvalidParameterValue", f"Volume {what} of {value}: {least} to {most} is valid.")
    if gib is not None and iops > max(IOPS_MIN, int(gib) * IOPS_OF_A_GIB):
        message = f"{iops} iops of a volume of {gib} GiB: the most are {IOPS_OF_A_GIB} for each GiB."
        raise EC2ClientError("InvalidParameterCombination", message)
    if mibps > iops * MIBPS_OF_AN_IOPS:
        message = f"Throughput {mibps} of a volume of {iops} iops: the most are {MIBPS_OF_AN_IOPS} MiB/s for each iops."
        raise EC2ClientError("InvalidParameterCombination", message)
