# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody changes by hand is drift, whoever made the resource; the report names each and the run fails."""

from __future__ import annotations

import pytest
from integration import platform_drift as drift
from integration.production_site import PREFIX, Venue

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


@pytest.mark.feature("ORC-19", by="M", repaired="tags of NAT gateways and addresses")
def test_what_was_changed_by_hand_is_reported_and_nothing_else_is(venue: Venue, ec2, subnets) -> None:
    kms, s3 = venue.client("kms"), venue.client("s3")
    key = kms.describe_key(KeyId=f"alias/{PREFIX}")["KeyMetadata"]["KeyId"]
    subnet = subnets["10.0.2.0/24"]
    marks = [tag for tag in subnet["Tags"] if tag["Key"] in ("Project", "Environment", "ManagedBy")]
    (hub,) = ec2.describe_transit_gateways()["TransitGateways"]
    kms.disable_key_rotation(KeyId=key)  # a module of others
    s3.put_bucket_versioning(Bucket=drift.BUCKET, VersioningConfiguration={"Status": "Suspended"})  # no preview
    ec2.delete_tags(Resources=[subnet["SubnetId"]], Tags=marks)  # no longer ours
    ec2.modify_transit_gateway(TransitGatewayId=hub["TransitGatewayId"], Options={"VpnEcmpSupport": "enable"})  # ours
    found = venue.play("refresh", check=True)
    assert found.returncode != 0
    checked = drift.found_problems(venue.client)
    assert [line for line in checked if line.startswith(f"bucket {drift.BUCKET} is not versioned")]
    drifted = [
        f"~ kms_key {PREFIX}",
        f"~ subnet {PREFIX}-private-us-east-1b",
        f"~ transit_gateway {PREFIX}",
        f"subnet {subnet['SubnetId']} lacks the tags that say whose it is: it lies in the VPC {PREFIX}",
        *checked,
    ]
    (said,) = [line for line in found.err.splitlines() if "not as the inventory says: " in line]
    assert f"{len(drifted)} not as the inventory says: {'; '.join(drifted)}" in said

    kms.enable_key_rotation(KeyId=key)
    s3.put_bucket_versioning(Bucket=drift.BUCKET, VersioningConfiguration={"Status": "Enabled"})
    ec2.create_tags(Resources=[subnet["SubnetId"]], Tags=marks)
    ec2.modify_transit_gateway(TransitGatewayId=hub["TransitGatewayId"], Options={"VpnEcmpSupport": "disable"})
    assert venue.must("refresh", check=True).lines[-2] == "plan: 0 to add, 0 to change, 0 to destroy"
