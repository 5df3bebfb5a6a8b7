# SPDX-License-Identifier: GPL-3.0-or-later
"""Service Quotas knows quotas of EC2, the account's own figures and AWS's."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

ADDRESSES = {"ServiceCode": "ec2", "QuotaCode": "L-0263D0A3"}
VCPUS = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
VPCS = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}


def test_stock_moto_knows_neither_ec2_nor_the_defaults(stock) -> None:
    quotas = stock("service-quotas")
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas.get_service_quota(**ADDRESSES)
    with pytest.raises(ClientError):
        quotas.get_aws_default_service_quota(**VPCS)


def test_the_accounts_figures_and_awss_are_told(repaired, conforms) -> None:
    quotas = repaired("service-quotas")
    for asked, applied, default in ((ADDRESSES, 5, 5), (VCPUS, 1152, 5), (VPCS, 5, 5)):
        answer = quotas.get_service_quota(**asked)
        conforms(quotas, "GetServiceQuota", answer)
        assert (answer["Quota"]["QuotaCode"], answer["Quota"]["Value"]) == (asked["QuotaCode"], applied)
        answer = quotas.get_aws_default_service_quota(**asked)
        conforms(quotas, "GetAWSDefaultServiceQuota", answer)
        assert (answer["Quota"]["QuotaCode"], answer["Quota"]["Value"]) == (asked["QuotaCode"], default)


def test_a_quota_that_there_is_not_is_refused(repaired) -> None:
    quotas = repaired("service-quotas")
    for operation in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
        with pytest.raises(ClientError, match="NoSuchResourceException"):
            operation(ServiceCode="ec2", QuotaCode="L-00000000")
