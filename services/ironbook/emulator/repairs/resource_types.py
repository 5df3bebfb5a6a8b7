# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of resource types: an Elastic IP is an `elastic-ip`, a NAT gateway a `natgateway`.

AWS: EC2 API reference, TagSpecification.ResourceType and DescribeTags, filter `resource-type`.
moto says `vpc-elastic-ip` and `nat-gateway`, so that DescribeTags with AWS's own names finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.ec2 import utils

if TYPE_CHECKING:
    from . import Settings

AWS_RESOURCE_TYPE = {"eipalloc": "elastic-ip", "nat": "natgateway"}


def apply(settings: Settings) -> None:
    """Correct moto's table from prefixes of ids to resource types."""
    utils.EC2_PREFIX_TO_RESOURCE.update(AWS_RESOURCE_TYPE)
