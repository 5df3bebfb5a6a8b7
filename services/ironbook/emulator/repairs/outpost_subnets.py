# SPDX-License-Identifier: GPL-3.0-or-later
"""A subnet that is made on an Outpost says so.

AWS: EC2 API reference, CreateSubnet (OutpostArn; the zone is the Outpost's) and Subnet (outpostArn). moto ignores the
argument. It has no service Outposts, so that any ARN is taken here: AWS takes those of its own racks alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.responses.subnets import Subnets

if TYPE_CHECKING:
    from . import Settings


def apply(settings: Settings) -> None:
    """Keep the ARN on the subnet, whose attributes are what an answer shows."""
    create = Subnets.create_subnet
    if hasattr(create, "__wrapped__"):
        return

    @functools.wraps(create)
    def create_on_an_outpost(self: Any) -> ActionResult:
        answer = create(self)
        if outpost := self._get_param("OutpostArn"):
            made: Any = answer.result
            made["Subnet"].outpost_arn = outpost
        return answer

    Subnets.create_subnet = create_on_an_outpost  # type: ignore[method-assign]
