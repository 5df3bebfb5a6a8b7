#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tune a host, or undo it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_tuning
short_description: Tune a host for low latency, or undo it
version_added: 0.1.0
description:
  - Makes a plan of the host (which CPU does what) and sets every tunable of the catalogue that can be set on a host,
    now and for the next boot.
  - Every value is read back, since exit codes lie. Where the host does not take one, everything that this run has
    changed is undone, and the message says so.
  - What was changed, and how it was before, is kept in C(/var/lib/ironbook/host_tuning.json). O(state=reverted)
    undoes it.
  - It never reboots. What only a boot brings is named in RV(reboot_for).
  - A line that another file would override, or a kernel parameter that another file sets to something else, is refused
    before anything is changed.
author:
  - The Ironbook maintainers (@ironbook)
attributes:
  check_mode:
    description: Says exactly what would be changed.
    support: full
  diff_mode:
    description: Shows files and values before and after.
    support: full
options:
  state:
    description:
      - V(tuned) sets what the catalogue wants, and undoes what it wanted once and wants no more.
      - V(reverted) undoes what this module has changed.
    type: str
    choices: [tuned, reverted]
    default: tuned
  groups:
    description: The groups of tunables to tune or to revert, such as V(memory). All of them, if none is named.
    type: list
    elements: str
  isolated_cpus:
    description: The CPUs that the engine gets for itself, as a CPU list such as V(2-7). Whole cores, and not CPU 0.
    type: str
    default: ""
  isolated_cores:
    description: How many cores the engine gets, where O(isolated_cpus) names none. They are chosen beside the adapter.
    type: int
    default: 0
  engine_cpus:
    description: The CPUs that the engine's threads are pinned to. The first of the isolated ones, if none is named.
    type: str
    default: ""
  engine_cores:
    description: How many of them, where O(engine_cpus) names none.
    type: int
    default: 1
  interrupt_cpus:
    description: The housekeeping CPUs that the adapter's queues interrupt. Those beside the adapter, if none is named.
    type: str
    default: ""
  queues:
    description: How many queues the adapter gets. As many as there are CPUs for them, up to 4, if it is left out.
    type: int
  huge_pages:
    description: How many 2 MiB pages are set aside on the engine's node, or by node, such as V({"0":512}).
    type: raw
    default: 0
  gigantic_pages:
    description: How many 1 GiB pages, in the same way. A boot gives them, and their count is checked then.
    type: raw
    default: 0
  interfaces:
    description: The network interfaces to tune. Those with a device behind them that are not down, if none is named.
    type: list
    elements: str
  keep_going:
    description: Names in RV(refused) what the host does not take, and does the rest, instead of undoing everything. For
      a container, whose kernel is another's.
    type: bool
    default: false
  root:
    description: Where the host's files are. Anything but V(/) is a tree of files, in which no command is run.
    type: path
    default: /
"""

EXAMPLES = r"""
- name: Tune this host, with four cores for the engine
  ironbook.trading.host_tuning:
    isolated_cores: 4
    huge_pages: 512
  register: tuning

- name: Show what would change in memory, and change nothing
  ironbook.trading.host_tuning:
    groups: [memory]
  check_mode: true
  diff: true

- name: Undo everything
  ironbook.trading.host_tuning:
    state: reverted
"""

RETURN = r"""
actions:
  description: What was changed, or would be. A file is shown with its whole text.
  returned: success
  type: list
  elements: dict
  contains:
    target:
      description: A file, an interrupt, a value of ethtool, a unit or a boot argument.
      type: str
    before:
      description: What it was.
      type: str
    after:
      description: What it is.
      type: str
left_alone:
  description: What is left alone because the host has no such knob, or the kernel owns it, each with the reason.
  returned: success
  type: list
  elements: dict
refused:
  description: What the host did not take, with O(keep_going=true), each with the reason.
  returned: success
  type: list
  elements: dict
reboot_required:
  description: Whether something only follows a boot.
  returned: success
  type: bool
reboot_for:
  description: The kernel parameters that this boot was not passed, or still was.
  returned: success
  type: list
  elements: str
  sample: ["isolcpus", "nohz_full"]
interfaces:
  description: The network interfaces that are tuned.
  returned: success
  type: list
  elements: str
plan:
  description: Which CPU does what. Nothing with O(state=reverted).
  returned: success
  type: dict
  sample: {"engine": "2", "housekeeping": "0-1", "isolated": "2-3"}
plan_lines:
  description: The plan, a fact a line, so that any diff compares two of them.
  returned: success
  type: list
  elements: str
  sample: ["housekeeping: 0-1", "isolated: 2-3", "engine: 2"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.tuning import Request, TuningError, run

WISHES = dict(
    isolated_cpus={"type": "str", "default": ""},
    isolated_cores={"type": "int", "default": 0},
    engine_cpus={"type": "str", "default": ""},
    engine_cores={"type": "int", "default": 1},
    interrupt_cpus={"type": "str", "default": ""},
    queues={"type": "int"},
    huge_pages={"type": "raw", "default": 0},
    gigantic_pages={"type": "raw", "default": 0},
)
ARGUMENTS = dict(
    state={"type": "str", "choices": ["tuned", "reverted"], "default": "tuned"},
    groups={"type": "list", "elements": "str"},
    interfaces={"type": "list", "elements": "str"},
    keep_going={"type": "bool", "default": False},
    root={"type": "path", "default": "/"},
    **WISHES,
)


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    request = Request(
        root=given["root"],
        state=given["state"],
        groups=tuple(given["groups"] or ()) or None,
        interfaces=tuple(given["interfaces"] or ()) or None,
        wishes={name: given[name] for name in WISHES},
        keep_going=given["keep_going"],
        check=module.check_mode,
    )
    if request.root != "/":
        module.warn(f"this tunes the tree {request.root}, and not the host itself")
    try:
        result = run(request)
    except TuningError as exc:
        module.fail_json(msg=str(exc))
    for each in result["refused"]:
        module.warn(f"refused: {each['because']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
