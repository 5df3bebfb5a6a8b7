# SPDX-License-Identifier: GPL-3.0-or-later
"""What provision asks of the account before it makes anything, and how it refuses: one line, and no traceback."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest
from integration.platform_runs import Run
from integration.production_site import ZONES, Venue

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

DEPLOYER = "deployer"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["ec2:AllocateAddress", "iam:SimulatePrincipalPolicy"], "Resource": "*"},
    ],
}


def refused(run: Run) -> list[str]:
    """The lines of a run that had to fail, none of which is a traceback."""
    assert run.returncode != 0, run.output
    assert "Traceback" not in run.output
    return [line for line in run.output.splitlines() if line.strip()]


@pytest.fixture(name="keys")
def keys_of_a_user_who_may_not_allocate_addresses(venue: Venue) -> Iterator[dict[str, str]]:
    """The emulator's IAM decides while they are there; before and afterwards everybody may do everything."""
    iam = venue.client("iam")
    iam.create_user(UserName=DEPLOYER)
    iam.put_user_policy(UserName=DEPLOYER, PolicyName="all-but-one", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName=DEPLOYER)["AccessKey"]
    iam_decides(venue, "0")
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    iam_decides(venue, "inf")
    iam.delete_access_key(UserName=DEPLOYER, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=DEPLOYER, PolicyName="all-but-one")
    iam.delete_user(UserName=DEPLOYER)


def iam_decides(venue: Venue, after: str) -> None:
    """Have the emulator ask IAM from that many requests on."""
    url = f"{venue.environment['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
    # As a form, which is what urllib says of a body by itself, it would be read as one.
    asked = urllib.request.Request(url, after.encode(), {"Content-Type": "text/plain"})
    urllib.request.urlopen(asked, timeout=30).close()


@pytest.mark.feature("ORC-04", by="M")
def test_a_denied_action_and_missing_credentials_are_named(venue: Venue, keys: dict[str, str]) -> None:
    said = refused(venue.play("provision", **keys))
    (line,) = [line for line in said if "is denied to" in line]
    assert "ec2:AllocateAddress on * is denied to arn:aws:iam::123456789012:user/deployer (" in line
    assert not [line for line in said if "Provision what needs nothing else" in line], "nothing was begun"
    assert [line for line in said if "allow iam:SimulatePrincipalPolicy" in line]
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    (line,) = refused(venue.play("provision", **none))
    assert "does not say whose account this is: Unable to locate credentials; export AWS_PROFILE, or" in line


def test_what_the_account_lacks_is_said_before_anything_is_made(venue: Venue, ec2) -> None:
    theirs = ec2.create_vpc(CidrBlock="10.0.192.0/18")["Vpc"]["VpcId"]
    try:
        run = venue.apply("aws_preflight", variables="aws_compute_instance_type: c5n.huge")
        said = refused(run)
    finally:
        ec2.delete_vpc(VpcId=theirs)
    overlap = (
        f"10.0.0.0/16 (VPC production-trading-engine) and 10.0.192.0/18 (VPC {theirs} of us-east-1) have addresses"
    )
    assert [line for line in said if overlap in line]
    for n, zone in enumerate(ZONES):
        assert [line for line in said if f"is not offered in {zone}, where engine-0-{n} is; nor elsewhere" in line]
    assert [line for line in said if "4 problems, listed above; nothing was touched" in line]


def test_what_is_there_already_is_not_asked_for_once_more(venue: Venue) -> None:
    """Three of five addresses are in use, and all that is needed is made."""
    assert venue.apply("aws_preflight").returncode == 0
