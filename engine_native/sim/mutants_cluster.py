# SPDX-License-Identifier: GPL-3.0-or-later
"""The negative control of the simulated shard: faults in replication, each of which cluster.c must notice.

    python3 sim/mutants_cluster.py BUILD_DIRECTORY [SEEDS]

Each mutant is compiled, put before the optimised core of BUILD_DIRECTORY, and run until a seed fails; how many seeds
that took is printed.  One that SEEDS seeds (5,000) do not show ends this script with 1; so does, before anything is
compiled, one whose line a source no longer has, or has twice.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

from flows import HOME
from mutants import INCLUDERS, Mutant, faulty_sources, misfits, run, try_all

FLAGS = ["-std=c11", "-D_DEFAULT_SOURCE", "-O2", "-g", f"-I{HOME}/include", f"-I{HOME}/src", f"-I{HOME}/sim"]
SEEDS = 5000
ENDLESS_S = 240


class Fault(NamedTuple):
    """What is wrong, and the lines that make it so: file, old, new."""

    name: str
    edits: tuple[tuple[str, str, str], ...]


FAULTS = [
    Fault(
        "a standby acknowledges what is not on its disk",
        (("replica_standby", "self->durable_seq < self->matched_seq ? self->durable_seq : ", ""),),
    ),
    Fault(
        "a primary does not wait for its own disk",
        (("replica_primary", "uint64_t seq = self->durable_seq;", "uint64_t seq = self->last_seq;"),),
    ),
    Fault(
        "a primary does not wait for its standbys",
        (("replica_primary", "&& self->peers[i].acked_seq < seq)", "&& 0)"),),
    ),
    Fault(
        "fewer members than min_in_sync are enough",
        (
            ("replica_primary", "ib_set_size(self->record.in_sync) < self->config.min_in_sync ||", ""),
            ("replica_members", "ib_set_size(in_sync) > self->config.min_in_sync)", "ib_set_size(in_sync) > 1)"),
            ("replica_takeover", "ib_set_size(without) >= self->config.min_in_sync ?", "without != 0 ?"),
        ),
    ),
    Fault(
        "frames of an old epoch are taken",
        (("replica_standby", "if (frame->epoch < self->promising) { /* R2 */", "if (0) {"),),
    ),
    Fault(
        "the promise is made after the write",
        (
            (
                "replica_takeover",
                "        ib_replica_promise(self, highest + 1, self->doubt_seq);\n",
                "        self->highest = highest + 1;\n        ib_takeover_promised(self);\n",
            ),
            (
                "replica_takeover",
                "if (self->stage != IB_STAGE_PROMISE || self->promised != self->promising) {",
                "if (self->stage != IB_STAGE_PROMISE) {",
            ),
            ("replica_takeover", "    IB_ASSERT(self->promised > record.epoch);\n", ""),
            ("replica_takeover", "record.epoch = self->promised;", "record.epoch = self->highest;"),
            (
                "replica_takeover",
                "self->record.epoch == self->promised &&",
                "self->record.epoch == self->highest &&",
            ),
            (
                "replica_takeover",
                "        self->planned = false;\n        if (self->doubt_seq > 0) {",
                "        self->planned = false;\n        self->promised = self->record.epoch;\n"
                "        ib_replica_promise(self, self->record.epoch, self->doubt_seq);\n"
                "        if (self->doubt_seq > 0) {",
            ),
        ),
    ),
    Fault(
        "the promise is not on disk before the write",
        (
            (
                "replica_takeover",
                "        ib_replica_promise(self, highest + 1, self->doubt_seq);\n",
                "        self->promised = self->promising = highest + 1;\n        ib_takeover_promised(self);\n",
            ),
        ),
    ),
    Fault(
        "a member is no longer waited for before it is written that it is out",
        (
            (
                "replica_primary",
                "self->record.in_sync | (self->store.proposing ? self->store.proposal.in_sync : 0);",
                "self->store.proposing ? self->store.proposal.in_sync : self->record.in_sync;",
            ),
        ),
    ),
    Fault(
        "a member is not waited for while it may be in already",
        (
            (
                "replica_primary",
                "self->record.in_sync | (self->store.proposing ? self->store.proposal.in_sync : 0);",
                "self->record.in_sync;",
            ),
        ),
    ),
    Fault(
        "a member is taken in before it has caught up",
        (
            (
                "replica_members",
                "peer->acked_seq >= self->commit_seq && self->last_seq - peer->acked_seq <= self->config.grow_lag;",
                "1;",
            ),
            ("replica_members", "&& peer->acked_seq >= self->epoch_seq &&", "&&"),
        ),
    ),
    Fault(
        "a member outside the in-sync set takes over",
        (
            (
                "replica_takeover",
                "} else if ((record->in_sync & ib_member_bit(self->config.member)) == 0) {",
                "} else if (0) {",
            ),
            ("replica_takeover", "    IB_ASSERT(self->record.in_sync & ib_member_bit(self->config.member));\n", ""),
            (
                "replica_takeover",
                "    record.version++;\n",
                "    record.version++;\n    record.in_sync |= ib_member_bit(self->config.member);\n",
            ),
        ),
    ),
    Fault(
        "an unknown outcome is taken for success",
        (
            (
                "replica_store",
                "bool is_written = store->is_write && outcome == IB_STORE_OK;",
                "bool is_written = store->is_write && outcome != IB_STORE_CONFLICT;",
            ),
        ),
    ),
    Fault(
        "an unknown outcome is taken for failure",
        (
            (
                "replica_store",
                "        store->retry_ns = self->now_ns + self->config.retry_ns;\n",
                "        store->retry_ns = self->now_ns + self->config.retry_ns;\n        store->proposing = false;\n",
            ),
        ),
    ),
    Fault(
        "the write is made whatever version stands there",
        (
            (
                "replica_store",
                "    self->record = *found;\n    store->proposing = false;\n",
                "    if (found->epoch <= store->proposal.epoch) {\n"
                "        store->proposal.version = found->version + 1;\n"
                "        begin(self, true);\n        return;\n    }\n"
                "    self->record = *found;\n    store->proposing = false;\n",
            ),
            (
                "replica_store",
                "    self->record = is_written ? store->proposal : *record;\n",
                "    if (store->is_write && outcome == IB_STORE_CONFLICT) {\n"
                "        resolve(self, record);\n        return;\n    }\n"
                "    self->record = is_written ? store->proposal : *record;\n",
            ),
        ),
    ),
    Fault(
        "a primary does not stop when it hears of a higher epoch",
        (
            ("replica", "if (self->role != IB_ROLE_STANDBY) {", "if (0) {"),
            ("replica_standby", "    if (ib_replica_leads(self)) {\n        return;", "    if (0) {\n        return;"),
        ),
    ),
    Fault(
        "what is there already is taken for the primary's, without comparing",
        (("replica_standby", "if (mine != chain) {", "if (0) {"),),
    ),
    Fault(
        "what stands before is taken for the primary's, without comparing",
        (("replica_standby", "if (mine != frame->chain) {", "if (0) {"),),
    ),
    Fault(
        "a standby cuts off without comparing",
        (
            ("replica_standby", "if (mine != chain) {", "if (1) {"),
            ("replica_standby", "if (seq < self->commit_seq) {\n        stop", "if (0) {\n        stop"),
            ("replica_standby", "IB_ASSERT(seq < self->last_seq && seq >= self->commit_seq);", ""),
        ),
    ),
    Fault(
        "a standby acknowledges all that it has, compared or not",
        (
            (
                "replica_standby",
                "self->durable_seq : self->matched_seq, 0);",
                "self->durable_seq : self->durable_seq, 0);",
            ),
            ("replica_standby", "self->durable_seq < self->matched_seq ? ", "1 ? "),
        ),
    ),
    Fault(
        "a standby believes a commit beyond what was compared",
        (
            (
                "replica_standby",
                "frame->commit_seq < self->matched_seq ? frame->commit_seq : self->matched_seq);",
                "frame->commit_seq < self->last_seq ? frame->commit_seq : self->last_seq);",
            ),
        ),
    ),
    Fault(
        "a member in doubt takes over",
        (
            ("replica_takeover", "self->doubt_seq > 0 && !has_the_newest(self)", "0"),
            ("replica_takeover", "static bool has_the_newest", "__attribute__((unused)) static bool has_the_newest"),
        ),
    ),
    Fault(
        "a member in doubt forgets what it surely had",
        (
            (
                "replica_takeover",
                "return self->last_seq >= self->doubt_seq || self->doubt_seq == 1 ||",
                "return true ||",
            ),
        ),
    ),
    Fault(
        "what a member had before it reconnected still counts",
        (
            ("replica", "gone->acked_seq = 0;", ""),
            ("replica", ".connected = true,", ".connected = true, .acked_seq = self->peers[peer].acked_seq,"),
            ("replica_primary", "peer->acked_seq = 0; /* it may have started again, with less */", ""),
        ),
    ),
    Fault(
        "a member is told that it counts before it has everything",
        (
            (
                "replica_primary",
                "&& !self->store.proposing && peer->matched &&\n           peer->acked_seq >= self->commit_seq &&",
                "&& !self->store.proposing &&",
            ),
        ),
    ),
    Fault(
        "a standby takes for the primary's what it cannot compare yet",
        (
            (
                "replica_standby",
                "        return; /* it cannot be compared yet, and comes again */",
                "        mine = frame->chain;",
            ),
        ),
    ),
    Fault(
        "a primary that cannot read an entry sends its place with another chain",
        (("replica_primary", "seq = is_known ? seq : self->last_seq;", ""),),
    ),
    Fault(
        "a resend is taken again",
        (
            ("matcher_path.h", "command->user_ref <= session->last_user_ref ||", "command->user_ref == 0 ||"),
            ("matcher", "session->last_user_ref = command->user_ref;", ""),
        ),
    ),
    Fault(
        "a primary opens without comparing states",
        (
            ("replica_primary", "(self->role == IB_ROLE_OPENING && !states_agree(self))", "0"),
            ("replica_primary", "static bool states_agree", "__attribute__((unused)) static bool states_agree"),
            (
                "replica_primary",
                "    if (self->role == IB_ROLE_OPENING) { /* who is wrong?",
                "    if (0) { /* who is wrong?",
            ),
        ),
    ),
    Fault(
        "a switchover does not wait for what is under way",
        (
            (
                "replica_members",
                "    if (self->commit_seq == self->last_seq) {\n        ib_members_hand_over(self);",
                "    if (1) {\n        ib_members_hand_over(self);",
            ),
            ("replica_members", "    IB_ASSERT(self->commit_seq == self->last_seq);\n", ""),
        ),
    ),
]


def mutants_of(fault: Fault) -> list[Mutant]:
    """Return a fault's edits in the form that the other script checks."""
    return [Mutant(fault.name, *edit) for edit in fault.edits]


def compile_objects(names: list[str], sources: Path, build: Path, prefix: str) -> list[str]:
    """Compile some files; one that does not compile proves nothing."""
    objects = []
    for name in names:
        target = build / f"{prefix}{name}.o"
        result = run(["gcc", *FLAGS, "-c", str(sources / f"{name}.c"), "-o", str(target)])
        if result.returncode != 0:
            sys.exit(f"mutants_cluster: {name} does not compile:\n{result.stderr}")
        objects.append(str(target))
    return objects


def changed(fault: Fault, build: Path) -> list[str]:
    """Return the objects of the files that a fault changes."""
    sources = faulty_sources(mutants_of(fault), build)
    names: list[str] = []
    for mutant in mutants_of(fault):
        names += INCLUDERS if mutant.file.endswith(".h") else [mutant.file]
    return compile_objects(list(dict.fromkeys(names)), sources, build, "mutant_")


def notice(fault: Fault, build: Path, library: Path, simulation: list[str], seeds: int) -> str | None:
    """Return how a fault is noticed and after how many seeds, or None."""
    program = build / "run_cluster"
    linked = run(["gcc", *simulation, *changed(fault, build), str(library), "-lcrypt", "-lpthread", "-o", str(program)])
    if linked.returncode != 0:
        sys.exit(f"mutants_cluster: {fault.name} does not link:\n{linked.stderr}")
    result = run([str(program), "--seeds", str(seeds), "--progress", "1"], ENDLESS_S)
    if result.returncode == 0:
        return None
    seed = re.findall(r"^seed (\d+)$", result.stderr, re.MULTILINE)
    said = [line for line in (result.stdout + result.stderr).splitlines() if "ailed" in line or "FAILED" in line]
    said = [re.sub(r"cluster: FAILED: seed \d+, ", "", line) for line in said] or [f"it ends with {result.returncode}"]
    return f"seed {seed[-1] if seed else '?'}: {said[-1][:150]}"


def main() -> int:
    """Try every fault; 1 when one is missed."""
    build = Path(sys.argv[1]).resolve()
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    wrong = misfits([mutant for fault in FAULTS for mutant in mutants_of(fault)])
    if wrong:
        sys.exit("\n".join(wrong))
    library = build / "optimised/libironbook.a"
    build /= "mutants_cluster"
    build.mkdir(parents=True, exist_ok=True)
    names = sorted(path.stem for path in (HOME / "sim").glob("cluster*.c"))
    simulation = compile_objects(names, HOME / "sim", build, "")
    tried = [fault for fault in FAULTS if only in fault.name]
    return try_all(
        "mutants_cluster",
        tried,
        lambda fault: notice(fault, build, library, simulation, seeds),
        f", within {seeds} seeds each",
    )


if __name__ == "__main__":
    sys.exit(main())
