#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how quiet a host is, and how far away another one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: latency_probe_info
short_description: Measure how quiet a host is, and how far away another one
version_added: 0.1.0
description:
  - Runs C(ironbook-probe), which the role P(ironbook.trading.probe_build#role) installs, several times, and puts what
    it said into one measurement, histograms and figures with their intervals.
  - It changes nothing. It keeps the CPUs that it measures busy while it runs, which is for O(repeats) times O(seconds)
    and a little more.
  - Two measurements are compared by the filter P(ironbook.trading.latency_compare#filter).
author:
  - The Ironbook maintainers (@ironbook)
attributes:
  check_mode:
    description: The module only measures. In check mode, where the program is not installed yet, it is skipped.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  program:
    description: Where C(ironbook-probe) is on the host.
    type: path
    required: true
  mode:
    description:
      - V(noise) finds gaps in the time of a CPU that only reads the clock, and what the kernel counted meanwhile.
      - V(wake) times how late a thread runs, after a timer, an eventfd and a futex.
      - V(pingpong) times round trips to O(peer), or to an echo of its own on the loopback.
    type: str
    choices: [noise, wake, pingpong]
    required: true
  seconds:
    description: How long each run takes, without its warm-up. 1 to 3600.
    type: int
    default: 5
  repeats:
    description: How many runs. Fewer than 3 say nothing of what the next one would say.
    type: int
    default: 5
  cpus:
    description: The CPUs to measure, or to measure from, as a list such as V(2-5). Without it V(noise) takes all.
    type: str
  warm_up_ms:
    description: How long each run goes on before anything counts.
    type: int
  threshold_ns:
    description: With O(mode=noise) the least gap. Without it eight times what two readings of the clock lie apart.
    type: int
  clock:
    description: With O(mode=noise), V(kernel) keeps it from reading the processor's counter.
    type: str
    choices: [auto, kernel]
  interval_us:
    description: With V(wake) and V(pingpong), how far apart the wakes or messages are due.
    type: int
  protocol:
    description: With O(mode=pingpong), how the messages go.
    type: str
    choices: [udp, tcp]
  busy_poll_us:
    description: With O(mode=pingpong), for how long the kernel polls the adapter for an answer. 0 is off.
    type: int
  peer:
    description: With O(mode=pingpong), the IPv4 address where C(ironbook-probe serve) runs. It needs O(port).
    type: str
  port:
    description: The port of O(peer).
    type: int
  bind:
    description: With O(peer), the address of this host to send from.
    type: str
  wait_seconds:
    description: With O(peer), for how long it tries until there is an answer.
    type: int
"""

EXAMPLES = r"""
- name: See what disturbs the CPUs of the engine
  ironbook.trading.latency_probe_info:
    program: "{{ probe_build_program }}"
    mode: noise
    cpus: 2-7
  register: noise

- name: Time round trips on the loopback, the adapter polled
  ironbook.trading.latency_probe_info:
    program: "{{ probe_build_program }}"
    mode: pingpong
    protocol: tcp
    busy_poll_us: 50
"""

RETURN = r"""
measurement:
  description: The measurement, version 1 of its schema.
  returned: success
  type: dict
  contains:
    schema:
      description: Name of this structure.
      type: str
      sample: ironbook.latency_measurement
    schema_version:
      description: Version of this structure.
      type: int
      sample: 1
    mode:
      description: As it was given.
      type: str
    settings:
      description: What was given. Two measurements are compared only where they are the same.
      type: dict
    repeats:
      description: How many runs.
      type: int
    kernel:
      description: The release of the kernel.
      type: str
    instance_type:
      description: The instance type of EC2, null elsewhere. Evidence counts for hosts of the same kernel and type.
      type: str
    series:
      description: By name, a histogram of all runs, C(buckets) of the highest time in nanoseconds and a count, that of
        the warm-up, and C(quantiles) with the interval that order statistics give.
      type: dict
    metrics:
      description: By name, what is compared. C(values) has one value a run; C(mean) with C(low) and C(high), its
        interval of 95 %; C(resolution), what the probe cannot see below. Less is better.
      type: dict
    causes:
      description: With O(mode=noise), for each CPU what the kernel counted while it had gaps, and how many gaps exceed
        that.
      type: dict
    path:
      description: With O(mode=pingpong), between which addresses, and whether there was a queue to poll.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import instance_type_of
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe.service import Asked, ProbeError, measure

ARGUMENTS = dict(
    program={"type": "path", "required": True},
    mode={"type": "str", "choices": ["noise", "wake", "pingpong"], "required": True},
    seconds={"type": "int", "default": 5},
    repeats={"type": "int", "default": 5},
    cpus={"type": "str"},
    warm_up_ms={"type": "int"},
    threshold_ns={"type": "int"},
    clock={"type": "str", "choices": ["auto", "kernel"]},
    interval_us={"type": "int"},
    protocol={"type": "str", "choices": ["udp", "tcp"]},
    busy_poll_us={"type": "int"},
    peer={"type": "str"},
    port={"type": "int"},
    bind={"type": "str"},
    wait_seconds={"type": "int"},
)
OWN = ("program", "mode", "seconds", "repeats")


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    program = module.get_bin_path(given["program"])
    if program is None:
        missing = f"{given['program']}: there is no such program; the role ironbook.trading.probe_build installs it"
        if module.check_mode:
            module.exit_json(changed=False, skipped=True, msg=missing)
        module.fail_json(msg=missing)
    options = {name: value for name, value in given.items() if name not in OWN}
    asked = Asked(given["mode"], given["seconds"], given["repeats"], options)
    try:
        measured = measure(module.run_command, program, asked)
    except ProbeError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, measurement={**measured, "instance_type": instance_type_of(Host())})


if __name__ == "__main__":
    main()
