# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads, plans, applies, waits: what both modules run.

All is read at once, a listing for each kind. The plan is made of that and is whole before the first change: what cannot
be done is said while nothing has been touched. Then each step begins as soon as all that it rests on is done, side by
side with the others, and is done only once AWS answers that the resource is as wanted: by the same comparison as the
plan's, so that the next run finds nothing to do. Where a step fails, what rests on it is left out, all else goes on,
and the next run does what is lacking: nothing is remembered between runs but what stands in AWS.
"""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from . import plan
from .calls import Account, Calls, ResourceError
from .kind import FAILED, READY, Found, Kind
from .lookups import LOOKUPS, look_up
from .plan import CREATE, DELETE, REPLACED, SAME, Key, Known, Planner, Run, Step, Wanted

# boto3 keeps ten connections to a service; more threads would wait for one another.
WORKERS = 10
# The most values that EC2 takes in one filter.
FILTERED = 200
# Steps that say in the line of an error what was being done.
DOING = {CREATE: "creating it", REPLACED: "replacing it", DELETE: "deleting it", "update": "changing it",
         "tag": "tagging it", "read": "reading what is there"}  # fmt: skip


@dataclass
class Outcome:
    """What a run did, or would do: `steps` in the order in which they were planned, `done` in which they ended."""

    steps: Sequence[Step] = ()
    done: list[Step] = field(default_factory=list)
    ids: dict[Key, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def planned(self) -> list[Step]:
        """The steps that change something."""
        return [step for step in self.steps if step.action != SAME]


def reconcile(
    kinds: Mapping[str, Kind], wanted: Sequence[Wanted], run: Run, account: Account, workers: int = WORKERS
) -> Outcome:
    """Make what is wanted so; in check mode only say what would be done. It raises nothing that AWS may cause."""
    with ThreadPoolExecutor(workers) as pool:
        known, problems = read(kinds, wanted, run, account, pool)
        if problems:
            return Outcome(problems=problems)
        planner = Planner(kinds, [*wanted, *plan.left_over(wanted, known, run)], known, run)
        outcome = Outcome(list(planner.steps.values()), problems=planner.problems)
        outcome.ids = {key: step.found.id for key, step in planner.steps.items() if step.found}
        if not run.check and not outcome.problems:
            _Application(planner, account, pool, outcome).run()
    return outcome


def read(
    kinds: Mapping[str, Kind], wanted: Sequence[Wanted], run: Run, account: Account, pool: ThreadPoolExecutor
) -> tuple[Known, list[str]]:
    """Read all that is wanted and all that it names, all of the kinds to purge, and a line for what was not read."""
    names: dict[str, set[str]] = {kind: set() for kind in (*(resource.kind for resource in wanted), *run.purge)}
    for resource in wanted:
        names[resource.kind].add(resource.name)
        if not resource.absent:
            for to, name in plan.references(kinds[resource.kind], resource.fields):
                names.setdefault(to, set()).add(name)
    found: dict[str, Future[Any]] = {}
    for what, asked in sorted(names.items()):
        if what in LOOKUPS:
            found[what] = pool.submit(_look_up, Calls(account, "ec2", what, read_only=True), what, asked)
        else:
            found[what] = pool.submit(_find, kinds[what], account, None if what in run.purge else sorted(asked))
    answers, problems = {}, []
    for what, future in found.items():
        try:
            answers[what] = future.result()
        except ResourceError as error:
            problems.append(str(error))
    there = {what: answer for what, answer in answers.items() if what not in LOOKUPS}
    return Known(there, {what: answer for what, answer in answers.items() if what in LOOKUPS}), problems


def find_all(kinds: Mapping[str, Kind], run: Run, account: Account) -> tuple[list[tuple[Kind, Found]], list[str]]:
    """Return all resources of these kinds that are ours, and a line for what could not be read."""
    with ThreadPoolExecutor(WORKERS) as pool:
        listed = {name: pool.submit(_find, kind, account, None) for name, kind in sorted(kinds.items())}
    ours, problems = [], []
    for name, future in listed.items():
        try:
            there = sorted(future.result(), key=lambda found: (found.name, found.id))
        except ResourceError as error:
            problems.append(str(error))
            continue
        ours += [(kinds[name], found) for found in there if run.owner(found.tags) == "ours"]
    return ours, problems


def _find(kind: Kind, account: Account, names: Sequence[str] | None) -> list[Found]:
    aws = Calls(account, kind.service, kind.name, kind.not_found, read_only=True)
    with aws.explained(", ".join(names or ()) or "of any name", DOING["read"]):
        if names is None:
            return list(kind.find(aws, None))
        batches = (names[begin : begin + FILTERED] for begin in range(0, len(names), FILTERED))
        return [found for batch in batches for found in kind.find(aws, batch)]


def _look_up(aws: Calls, what: str, names: set[str]) -> dict[str, list[str]]:
    with aws.explained(", ".join(sorted(names)), DOING["read"]):
        return look_up(aws, what, names)


class _Application:
    """Applies a plan. Only `run` touches the outcome; the steps themselves run in threads and share nothing else."""

    def __init__(self, planner: Planner, account: Account, pool: ThreadPoolExecutor, outcome: Outcome) -> None:
        self.planner, self.account, self.pool, self.outcome = planner, account, pool, outcome
        self.made: dict[Key, str] = {}
        self.order = plan.before_each(planner.kinds, planner.steps)

    def run(self) -> None:
        """Begin each step once all before it are done, until none is left."""
        sorter = graphlib.TopologicalSorter(self.order)
        sorter.prepare()
        running: dict[Future[str], Key] = {}
        lost: dict[Key, Key] = {}  # what could not be done -> what it was that failed
        while sorter.is_active():
            for key in sorter.get_ready():
                step, failed = self.planner.steps[key], self.order[key] & lost.keys()
                if failed and step.action != SAME:
                    lost[key] = lost[sorted(failed)[0]]
                    self.outcome.problems.append(_left_out(step, lost[key]))
                    sorter.done(key)
                elif step.action == SAME:
                    sorter.done(key)
                else:
                    running[self.pool.submit(self._apply, step, dict(self.made))] = key
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                key = running.pop(future)
                self._ended(key, future, lost)
                sorter.done(key)

    def _ended(self, key: Key, future: Future[str], lost: dict[Key, Key]) -> None:
        step = self.planner.steps[key]
        try:
            identifier = future.result()
        except ResourceError as error:
            lost[key] = key
            self.outcome.problems.append(str(error))
            return
        self.outcome.done.append(step)
        if step.action in (CREATE, REPLACED):
            self.made[key] = identifier
        if step.action == DELETE:
            self.outcome.ids.pop(key, None)
        else:
            self.outcome.ids[key] = identifier

    def _apply(self, step: Step, made: Mapping[Key, str]) -> str:
        kind = self.planner.kinds[step.wanted.kind]
        patient = bool(self.order[step.wanted.key] & made.keys())
        aws = Calls(self.account, kind.service, kind.name, kind.not_found, patient=patient)
        with aws.explained(step.wanted.name, DOING[step.action]):
            try:
                return _Resource(kind, aws, step, self.planner, made).become()
            except ValueError as error:
                raise ResourceError(str(error)) from error


class _Resource:
    """One resource that becomes what is wanted, in the calls of its kind."""

    def __init__(self, kind: Kind, aws: Calls, step: Step, planner: Planner, made: Mapping[Key, str]) -> None:
        self.kind, self.aws, self.step, self.run = kind, aws, step, planner.run
        self.fields = {} if step.wanted.absent else planner.resolve(step.wanted, made)
        self.unlike = ["AWS does not show it"]  # or what it showed last otherwise than it is wanted

    def become(self) -> str:
        """Do the step and wait until AWS shows it; return the id."""
        action, there = self.step.action, self.step.found
        if there is not None and action != DELETE and there.state != READY:
            self._wait(there.id, lambda found: found.state == READY, "it was not ready")
        if there is not None and action in (DELETE, REPLACED):
            self.kind.remove(self.aws, there)
        if there is None or action == REPLACED:
            identifier = self.kind.create(self.aws, self.step.wanted.name, self.fields, self.run.tags)
        else:
            identifier = there.id
            if action != DELETE:
                self._change(there)
        if action != DELETE:
            self._wait(identifier, self._is_as_wanted, lambda: f"it was not as wanted ({', '.join(self.unlike)})")
        return identifier

    def _change(self, there: Found) -> None:
        changed = [name for name in self.step.changed if name != "tags"]
        if changed:
            self.kind.update(self.aws, there, self.fields, changed)
        lacking = self.run.lacking(there.tags)
        if lacking:
            self.kind.tag(self.aws, there, lacking)

    def _is_as_wanted(self, found: Found) -> bool:
        lacking = [f"tag {key}" for key in self.run.lacking(found.tags)]
        self.unlike = [*plan.differing(self.kind, self.fields, found), *lacking]
        if found.state != READY:
            self.unlike.append(f"state {found.state}")
        return not self.unlike

    def _wait(self, identifier: str, reached: Any, what: str | Callable[[], str]) -> None:
        def asked() -> bool:
            found = self.kind.one(self.aws, identifier, self.step.wanted.name)
            if found is not None and found.state == FAILED:
                raise ResourceError("AWS says that it has failed: remove it (state: absent), and run again")
            return found is not None and bool(reached(found))

        self.aws.wait_until(asked, what)


def _left_out(step: Step, failed: Key) -> str:
    return f"{step.wanted.kind} {step.wanted.name}: left out, since {failed[0]} {failed[1]} failed: correct that first"
