#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit how a host is tuned."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_tuning_info
short_description: Audit how a host is tuned for low latency
version_added: 0.1.0
description:
  - Reads every tunable of the catalogue back from C(/proc), C(/sys) and the adapters, and judges it.
  - It writes nothing and needs no root. What it may not read is V(unknown), never V(ok). It asks C(systemctl),
    C(chronyc), C(tc) and C(ethtool) where the host has them, without a shell, and stays on the housekeeping CPUs.
  - A knob that a host cannot have, because it is a virtual machine or its kernel lacks it, is V(not_applicable).
author:
  - The Ironbook maintainers (@ironbook)
attributes:
  check_mode:
    description: The module only reads.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  root:
    description: Where the host's files are. Anything but V(/) is the tree of a host that was captured earlier.
    type: path
    default: /
  isolated_cpus:
    description: The CPUs that the plan gives to the engine alone, as a CPU list such as V(2-7). Empty if none is
      planned.
    type: str
    default: ""
  isolated_cores:
    description: How many whole cores the plan isolates, where O(isolated_cpus) names none. They are those that
      M(ironbook.trading.host_tuning) would choose.
    type: int
    default: 0
  huge_pages:
    description: How many 2 MiB pages the plan sets aside.
    type: int
    default: 0
  interfaces:
    description: The network interfaces to judge. Those with a device behind them that are not down, if none is named.
    type: list
    elements: str
  gigantic_pages:
    description: How many 1 GiB pages the plan sets aside.
    type: int
    default: 0
  always_polling:
    description: Whether the engine polls the adapter all the time, so that interrupts may be deferred.
    type: bool
    default: false
  venue_zone:
    description: The ID of the zone that the venue is in, such as V(use1-az4). Nothing is judged by it if none is given.
    type: str
  waivers:
    description: The differences that somebody has accepted. One that has expired counts for nothing, and is named.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The name of the tunable.
        type: str
        required: true
      host:
        description: The hosts that it is meant for, as a pattern such as V(engine-0-*).
        type: str
        required: true
      owner:
        description: Who accepts it.
        type: str
        required: true
      reason:
        description: Why.
        type: str
        required: true
      expires:
        description: The last day on which it counts, such as V(2026-12-31).
        type: str
        required: true
  inventory_name:
    description: The name by which waivers know this host. The host's own name if none is given.
    type: str
  ec2:
    description:
      - What the EC2 API says of the instance, in its own words. V(instance) is the entry of DescribeInstances,
        V(placement_group) of DescribePlacementGroups, V(status) of DescribeInstanceStatus, and V(security_groups) and
        V(mirror_sessions) are lists of the entries of DescribeSecurityGroups and DescribeTrafficMirrorSessions.
        V(refused) says of a part that is missing by which call and why. M(ironbook.trading.host_ec2_info) returns it.
      - What is missing in it is V(unknown) on an instance, and V(not_applicable) elsewhere.
    type: dict
"""

EXAMPLES = r"""
- name: Audit this host
  ironbook.trading.host_tuning_info:
    isolated_cpus: 2-7
  register: audit

- name: Audit it with a difference that is accepted for a while
  ironbook.trading.host_tuning_info:
    isolated_cpus: 2-7
    inventory_name: "{{ inventory_hostname }}"
    waivers:
      - id: kernel.audit
        host: engine-0-*
        owner: compliance
        reason: the trail of system calls is asked for until the review
        expires: "2026-12-31"

- name: Audit a tree that was captured on another host
  ironbook.trading.host_tuning_info:
    root: /var/tmp/captured/engine-0-0
"""

RETURN = r"""
audit:
  description: The report, version 2 of its schema.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of this structure.
      type: int
      sample: 2
    host:
      description: What kind of host it is, and the plan that it was judged against.
      type: dict
    counts:
      description: How many tunables have each verdict.
      type: dict
      sample:
        {"drift": 2, "harmful": 0, "not_applicable": 10, "not_persisted": 1, "ok": 98, "pending_reboot": 1,
        "unknown": 0, "waived": 1}
    fingerprint:
      description: Hash of all verdicts but those of counters. It changes when the audit says something else of the
        host's tuning.
      type: str
    findings:
      description: One entry for each tunable.
      type: list
      elements: dict
      contains:
        id:
          description: Name of the tunable, with its group before the dot.
          type: str
        group:
          description: The part of the name before the dot.
          type: str
        title:
          description: What holds where the tunable is as it should be.
          type: str
        severity:
          description: One of V(critical), V(high), V(medium) and V(low).
          type: str
        confidence:
          description: From 0 to 1. It is 1 where the live value was read, and lower where it was inferred.
          type: float
        verdict:
          description: One of V(ok), V(drift), V(not_persisted) (right now, lost at the next boot), V(pending_reboot)
            (right at the next boot), V(not_applicable), V(unknown), V(waived) and V(harmful).
          type: str
        path:
          description: Where the live value is read.
          type: str
        planes:
          description: The V(desired) value, the one that is V(persisted) for the next boot, the one that this
            V(boot) was told, the V(live) one, and the measured V(effect). Null where there is no such plane, or
            nothing is known. The effect is always null here, since no host knows it. The report of the role
            P(ironbook.trading.host_audit#role) has it from the experiments.
          type: dict
        persisted_by:
          description: The file that sets it at the next boot.
          type: str
        tolerance:
          description: How far from the desired value is still right.
          type: str
        because:
          description: Why the verdict is what it is, where the values do not say it.
          type: str
        why:
          description: Why the tunable matters.
          type: str
        source:
          description: Who recommends it.
          type: str
        risk:
          description: What it costs.
          type: str
        fix:
          description: The exact command or line that makes it right.
          type: str
        needs_reboot:
          description: Whether the fix takes a boot.
          type: bool
        counter:
          description: Whether the value moves by itself.
          type: bool
        waiver:
          description: Who accepted the difference, until when and why. Null where nobody did.
          type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.service import AuditError, run
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.waivers import FIELDS

ARGUMENTS = dict(
    root={"type": "path", "default": "/"},
    isolated_cpus={"type": "str", "default": ""},
    isolated_cores={"type": "int", "default": 0},
    huge_pages={"type": "int", "default": 0},
    interfaces={"type": "list", "elements": "str"},
    gigantic_pages={"type": "int", "default": 0},
    always_polling={"type": "bool", "default": False},
    venue_zone={"type": "str"},
    waivers={
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {name: {"type": "str", "required": True} for name in FIELDS},
    },
    inventory_name={"type": "str"},
    ec2={"type": "dict"},
)


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.params["root"] != "/":
        module.warn(f"this audits the captured tree {module.params['root']}, and not the host itself")
    try:
        module.exit_json(changed=False, audit=run(**module.params))
    except AuditError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
