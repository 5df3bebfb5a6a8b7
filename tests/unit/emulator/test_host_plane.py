# SPDX-License-Identifier: GPL-3.0-or-later
"""The EC2 plane of the audit over HTTP: what the emulator knows of an instance, and what it does not, by name."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import ec2_reader
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.service import run
from ansible_collections.ironbook.trading.plugins.modules.host_ec2_info import reason
from fixtures import host_trees

FORGOTTEN = {"ec2.ena_support"}
"""What the emulator does not say of an instance: EnaSupport; nor CpuOptions and ENA Express, which c5n.metal lacks, and
queue counts: test_host_ec2_answers.py has those."""


def test_the_plane_of_an_emulated_instance(repaired, tmp_path: Path) -> None:
    ec2 = repaired("ec2")
    ec2.create_placement_group(GroupName="plane", Strategy="cluster")
    launched = ec2.run_instances(
        ImageId="ami-0abcdef1234567890",
        InstanceType="c5n.metal",
        MinCount=1,
        MaxCount=1,
        EbsOptimized=True,
        Placement={"GroupName": "plane"},
        MetadataOptions={"HttpTokens": "optional", "HttpPutResponseHopLimit": 1},
    )
    name, gone = launched["Instances"][0]["InstanceId"], "i-00000000000000000"
    said = ec2_reader.read(ec2, [name, gone], reason)
    assert said[name]["refused"] == {}
    assert (
        "instance" not in said[gone] and said[gone]["refused"]["instance"] == f"ec2:DescribeInstances knows no {gone}"
    )

    host_trees.write(host_trees.tuned_metal(), tmp_path)
    rows = {row["id"]: row for row in run(str(tmp_path), "4-35", 1024, None, ec2=said[name])["findings"]}
    plane = {key: row["verdict"] for key, row in rows.items() if row["group"] == "ec2"}
    assert {key for key, verdict in plane.items() if verdict == "unknown"} == FORGOTTEN
    # One interface, where administration is to have its own, and metadata without a token: as it was launched.
    assert {key for key, verdict in plane.items() if verdict == "drift"} == {
        "ec2.admin_interface",
        "ec2.metadata_tokens",
    }
    assert plane["ec2.placement_group"] == plane["ec2.placement_strategy"] == plane["ec2.status_checks"] == "ok"
    ec2.terminate_instances(InstanceIds=[name])
