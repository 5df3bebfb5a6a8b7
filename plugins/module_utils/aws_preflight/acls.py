# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether network ACLs have no more rules than AWS takes.  Pure: nothing is asked of anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# VPC User Guide, "Amazon VPC quotas", Rules per network ACL: the quota holds for each direction, AWS's own last rule
# counts, and it can be raised to this.
RAISED = 40


def problems(acls: Sequence[Mapping[str, Any]], variables: Mapping[str, Sequence[str]], quota: int) -> Iterator[str]:
    """A line for each direction of an ACL that is too long.

    `acls`: as the module platform_resources takes them. `variables`: variable -> the networks that rules are for on
    its account. `quota`: the rules that AWS takes in one direction.
    """
    for acl in acls:
        for direction in ("ingress", "egress"):
            rules = [str(rule) for rule in acl[direction].values()]
            if len(rules) + 1 > quota:
                networks = [rule.rsplit(" ", 1)[-1] for rule in rules]
                counts = {name: sum(map(networks.count, set(cidrs))) for name, cidrs in variables.items()}
                whose = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
                yield (
                    f"the network ACL {acl['name']} would have {len(rules) + 1} rules of {direction}, AWS's own last "
                    f"one among them, and AWS takes {quota} (aws_network_acl_quota). The rules are for {whose}. Put "
                    f"networks together there, or have AWS raise the quota (L-2AEEBF1A, to {RAISED} at most) and say so"
                )
