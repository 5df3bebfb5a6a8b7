# SPDX-License-Identifier: GPL-3.0-or-later
"""GetServiceQuota and GetAWSDefaultServiceQuota know the quotas of EC2 that a platform runs into first.

AWS: Service Quotas API reference, these two actions, the data type ServiceQuota and the error NoSuchResourceException;
the codes and defaults are in "Amazon EC2 endpoints and quotas" of the AWS General Reference.
moto knows the quotas of VPC alone, and not the second action.  The emulated account has AWS's default of addresses. Of
vCPUs it has what an account gets that asked for more: AWS begins with 5, with which no metal host starts.
"""

from __future__ import annotations

import json
from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

if TYPE_CHECKING:
    from . import Settings

# Code -> name, AWS's default, and what this account has.
EC2_QUOTAS = {
    "L-0263D0A3": ("EC2-VPC Elastic IPs", 5.0, 5.0),
    "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5.0, 1152.0),
}


def apply(settings: Settings) -> None:
    """Wrap the backend's method, and give the dispatcher the second action."""
    stock = ServiceQuotasBackend.get_service_quota
    if hasattr(stock, "__wrapped__"):
        return

    @wraps(stock)
    def get_service_quota(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code == "ec2":
            return _of_ec2(self, quota_code, applied=True)
        return dict(stock(self, service_code, quota_code))

    ServiceQuotasBackend.get_service_quota = get_service_quota  # type: ignore[method-assign]
    ServiceQuotasResponse.get_aws_default_service_quota = get_aws_default_service_quota  # type: ignore[attr-defined]


def get_aws_default_service_quota(self: Any) -> str:
    """GetAWSDefaultServiceQuota. What moto has of VPC are defaults."""
    asked = json.loads(self.body)
    service, code = str(asked.get("ServiceCode")), str(asked.get("QuotaCode"))
    if service == "ec2":
        return json.dumps({"Quota": _of_ec2(self.backend, code, applied=False)})
    return json.dumps({"Quota": self.backend.get_service_quota(service_code=service, quota_code=code)})


def _of_ec2(backend: Any, code: str, applied: bool) -> dict[str, Any]:
    if code not in EC2_QUOTAS:
        raise NoSuchResource
    name, default, granted = EC2_QUOTAS[code]
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{backend.region_name}:{backend.account_id if applied else ''}:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": granted if applied else default,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
