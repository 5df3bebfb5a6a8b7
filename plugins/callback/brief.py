# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what a run changes, what it has to say and why it failed, a line each."""

from __future__ import annotations

DOCUMENTATION = r"""
name: brief
type: stdout
short_description: One line for each play, each change and each failure
version_added: 0.1.0
description:
  - Prints the name of each play as it begins to work, a line for each task that changed something, with its difference
    where C(--diff) asks for it, and a line for each failure, which names host, task and reason.
  - At the end come the hosts that changed or failed, and one line with the totals of all hosts, such as
    C(changed=0 failed=0 unreachable=0 on 25 hosts in 48 s).
  - Where the role P(ironbook.trading.platform_plan#role) has begun a plan, the resources that would be added, changed
    and destroyed come before the totals, a line each, and how many there are of each.
  - Plays that only check something, tasks that are as they should be, and files that are included print nothing.
  - With C(-e output=NAME), which asks P(ironbook.trading.platform_outputs#role) for a value, all but that value goes to
    standard error.
  - With C(-v) everything is printed as P(ansible.builtin.default#callback) does.
extends_documentation_fragment:
  - ansible.builtin.default_callback
  - ansible.builtin.result_format_callback
requirements:
  - C(stdout_callback = ironbook.trading.brief) in C(ansible.cfg)
author:
  - The Ironbook maintainers (@ironbook)
"""

import time
from typing import Any

from ansible import constants as C
from ansible.executor.task_result import CallbackTaskResult
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.ironbook.trading.plugins.plugin_utils import plan_tally

# Tasks that look and do nothing; a play that has no others is not announced.
_CHECKS = frozenset(
    f"ansible.builtin.{name}"
    for name in ("assert", "validate_argument_spec", "set_fact", "meta", "include_role", "include_tasks")
)
_PLAN = "ironbook.trading.platform_plan"
_COUNTS = ("changed", "failures", "unreachable")


class CallbackModule(Default):
    """See the documentation above.  Every method takes what Ansible's CallbackBase says."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "ironbook.trading.brief"

    def __init__(self) -> None:
        """Begin the clock."""
        super().__init__()
        self._began = time.monotonic()
        self._headed: set[str] = set()  # names of the plays that were announced
        self._heading = ""  # that of the present play, until it is printed
        self._aside = False  # standard output is for a value alone
        self._told: set[tuple[str, str]] = set()  # (task, line) of each change that was printed above its difference

    # ------------------------------------------------------------------------------------------------------- plays

    def v2_playbook_on_play_start(self, play: Play) -> None:
        """Keep the play's name until one of its tasks does something."""
        if self._display.verbosity:
            super().v2_playbook_on_play_start(play)
            return
        self._play = play
        self._aside = bool(play.get_variable_manager().extra_vars.get("output"))
        self._heading = play.get_name().strip()

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say that the play is for nobody, unless it has had its turn in this run."""
        if self._display.verbosity:
            super().v2_playbook_on_no_hosts_matched()
        elif self._heading not in self._headed:
            self._display.display(f"{self._heading}: there is no such host", color=C.COLOR_SKIP)

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Print nothing: what failed has been said."""
        if self._display.verbosity:
            super().v2_playbook_on_no_hosts_remaining()

    def _task_start(self, task: Task, prefix: str | None = None) -> None:
        super()._task_start(task, prefix)
        if not self._display.verbosity and task.action not in _CHECKS:
            self._head()

    def _print_task_banner(self, task: Task) -> None:
        if self._display.verbosity:
            super()._print_task_banner(task)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Print nothing: the tasks that are included speak for themselves."""
        if self._display.verbosity:
            super().v2_playbook_on_include(included_file)

    def _head(self) -> None:
        """Print the present play's name, once."""
        if self._heading:
            self._display.display(self._heading, color=C.COLOR_HIGHLIGHT, stderr=self._aside)
            self._headed.add(self._heading)
            self._heading = ""

    # ----------------------------------------------------------------------------------------------------- results

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Print a line if the task changed something; its items have had their own."""
        self._count(result)
        if self._display.verbosity:
            super().v2_runner_on_ok(result)
        elif not isinstance(result.task, TaskInclude):
            self._handle_warnings(result.result)
            if not _looped(result):
                self._show(result)

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        """Print a line if the item changed something."""
        self._count(result)
        if self._display.verbosity:
            super().v2_runner_item_on_ok(result)
        elif not isinstance(result.task, TaskInclude):
            self._show(result)

    def v2_on_file_diff(self, result: CallbackTaskResult) -> None:
        """Print the difference under the line that names the task, which Ansible would send after it."""
        if not self._display.verbosity and not _looped(result):
            self._show(result)
            self._told.add((result.task._uuid, self._who(result)))
        super().v2_on_file_diff(result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        """Print one line; the items that failed have had their own, and those that did not may have warned."""
        if self._display.verbosity:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._handle_warnings(result.result)
        if not _looped(result):
            self._fail(result, "failed", bool(ignore_errors))

    def v2_runner_item_on_failed(self, result: CallbackTaskResult) -> None:
        """Print one line. Ansible sends items here that could not be reached, too."""
        if self._display.verbosity:
            super().v2_runner_item_on_failed(result)
        elif result.result.get("unreachable"):
            self._fail(result, "unreachable", bool(result.task_fields.get("ignore_unreachable")))
        else:
            self._fail(result, "failed", bool(result.task_fields.get("ignore_errors")))

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        """Print one line; the items that could not be reached have had their own."""
        if self._display.verbosity:
            super().v2_runner_on_unreachable(result)
        elif not _looped(result):
            self._fail(result, "unreachable", bool(result.task_fields.get("ignore_unreachable")))

    def _count(self, result: CallbackTaskResult) -> None:
        """Count a change for the plan, which begins where its role has listed what there is."""
        if not isinstance(result.task, TaskInclude) and not _looped(result):
            told, role = result.result, result.task._role
            if "unmarked" in told and role and role.get_name() == _PLAN:
                plan_tally.RUN.begin([*told["resources"], *told["unmarked"]])
            plan_tally.RUN.note(result.task.action, f"{self.host_label(result)}: {result.task_name}", told)

    def _show(self, result: CallbackTaskResult) -> None:
        """Print a change, or that nothing changed where display_ok_hosts asks for it."""
        changed = bool(result.result.get("changed"))
        told = (result.task._uuid, self._who(result)) in self._told
        if not told and (changed or self.get_option("display_ok_hosts")):
            self._head()
            # What a task has to say belongs to it (ansible.builtin.debug).
            said = f": {result.result['msg']}" if self._run_is_verbose(result) and "msg" in result.result else ""
            self._display.display(
                f"  {'changed' if changed else 'ok'}: {self._who(result)}{said}",
                color=C.COLOR_CHANGED if changed else C.COLOR_OK,
            )

    def _fail(self, result: CallbackTaskResult, word: str, ignored: bool) -> None:
        """Print why, as an error unless it is ignored. Ansible counts an ignored failure that changed something."""
        self._head()
        self._handle_warnings(result.result)
        if ignored:
            word = "ignored, changed" if result.result.get("changed") else "ignored"
        self._display.display(
            f"{word}: {self._who(result)}: {reason(result.result)}",
            color=C.COLOR_SKIP if ignored else C.COLOR_ERROR,
            stderr=not ignored,
        )

    def _who(self, result: CallbackTaskResult) -> str:
        """Host, task and, in a loop, the item; Ansible has "(censored due to no_log)" for one that is secret."""
        label = str(self._get_item_label(result.result)) if result.task.loop else ""
        shown = label if label.startswith("(") else f"({label})"
        return f"{self.host_label(result)}: {result.task_name}" + (f" {shown}" if label not in ("", "None") else "")

    # --------------------------------------------------------------------------------------------------------- end

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the hosts to which something happened, the plan, and the totals of all."""
        plan = plan_tally.RUN.lines() if plan_tally.RUN.begun else []
        if self._display.verbosity:
            super().v2_playbook_on_stats(stats)
            for line in plan:
                self._display.display(line)
            return
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        total = {name: sum(counts[name] for counts in hosts.values()) for name in _COUNTS}
        for host, counts in hosts.items():
            if any(counts[name] for name in _COUNTS):
                self._display.display(
                    f"{host:<26} : "
                    + " ".join(
                        f"{'failed' if name == 'failures' else name}={counts[name]:<4}"
                        for name in ("ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored")
                    ),
                    stderr=self._aside,
                )
        for line in plan:
            self._display.display(line, color=C.COLOR_CHANGED)
        self._display.display(
            f"changed={total['changed']} failed={total['failures']} unreachable={total['unreachable']} "
            f"on {len(hosts)} host{'s' * (len(hosts) != 1)} in {time.monotonic() - self._began:.0f} s",
            color=C.COLOR_ERROR if total["failures"] or total["unreachable"] else C.COLOR_OK,
            stderr=self._aside,
        )


def _looped(result: CallbackTaskResult) -> bool:
    """Whether the result is that of a whole loop, whose items were reported one by one."""
    return bool(result.task.loop) and "results" in result.result


def reason(result: dict[str, Any]) -> str:
    """Why a task failed, on one line; of a command, the last line that it wrote as an error."""
    said = str(result.get("msg") or result.get("reason") or result.get("censored") or "it gave no reason")
    written = str(result.get("stderr") or result.get("module_stderr") or "").strip().splitlines()
    if result.get("rc") and written:
        said = written[-1] if said.startswith("non-zero return code") else f"{said}: {written[-1]}"
    return " ".join(said.split())
