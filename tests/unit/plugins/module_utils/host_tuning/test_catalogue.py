# SPDX-License-Identifier: GPL-3.0-or-later
"""Every tunable has a host on which it is right, and one, different in a single thing, on which it alone is wrong.

The hosts are synthetic (tests/fixtures/host_trees.py): what is proved here is the audit's logic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import audit as auditing
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TITLES, TUNABLES
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.check import Machine, Tunable
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.ethtool import CapturedEthtool
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import (
    Host,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.runner import CapturedRunner
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.settings import EthtoolValue
from fixtures import host_trees
from fixtures.host_audits import findings, machine, verdicts
from fixtures.host_cases import CASES, Case, forgotten, this_boot
from fixtures.host_trees import Link, Tree
from fixtures.host_types import TYPES

BY_ID = {tunable.id: tunable for tunable in TUNABLES}
SETTABLE = [tunable.id for tunable in TUNABLES if tunable.settable]
RIGHT = ("ok", "not_applicable")


@lru_cache
def tree_of(kind: str) -> Tree:
    """The tuned tree of a type, to be looked at and not to be changed."""
    return host_trees.tuned(TYPES[kind])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tuned host of every type."""
    roots = {name: tmp_path_factory.mktemp(name) for name in TYPES}
    for name, root in roots.items():
        host_trees.write(tree_of(name), root)
    return roots


@pytest.fixture(scope="module")
def right(tuned: dict[str, Path]) -> dict[str, dict[str, str]]:
    """The verdicts on each of them."""
    return {name: verdicts(root, name) for name, root in tuned.items()}


Change = Callable[[str, Tree], Path]


@pytest.fixture
def changed(tuned: dict[str, Path]) -> Iterator[Change]:
    """Change files of a tuned host; it is as it was when the test ends."""
    touched: list[tuple[str, str]] = []

    def change(kind: str, tree: Tree) -> Path:
        for path, content in tree.items():
            touched.append((kind, path))
            host_trees.put(tuned[kind] / path.lstrip("/"), content)
        return tuned[kind]

    yield change
    for kind, path in touched:
        host_trees.put(tuned[kind] / path.lstrip("/"), tree_of(kind).get(path))


def audited(changed: Change, case: Case, *trees: Tree) -> dict[str, dict[str, Any]]:
    """Audit the case's host with some changes."""
    for tree in (case.base, *trees):
        changed(case.on, tree)
    return findings(changed(case.on, {}), case.on)


def judged(changed: Change, name: str, *trees: Tree) -> dict[str, Any]:
    """Judge one tunable on its host with some changes."""
    case = CASES[name]
    for tree in (case.base, *trees):
        changed(case.on, tree)
    return auditing.judge(BY_ID[name], machine(changed(case.on, {}), case.on))


def having(found: dict[str, dict[str, Any]], *wanted: str) -> set[str]:
    """Return the tunables that have one of some verdicts."""
    return {name for name, row in found.items() if row["verdict"] in wanted}


@pytest.mark.parametrize("kind", TYPES)
def test_a_freshly_tuned_host_of_each_type_has_nothing_to_be_told(right: dict[str, dict[str, str]], kind: str) -> None:
    assert {name: verdict for name, verdict in right[kind].items() if verdict not in RIGHT} == {}
    assert sum(verdict == "ok" for verdict in right[kind].values()) >= 150, "most of it must apply"


def test_every_tunable_has_its_cases_and_none_is_left_over() -> None:
    assert set(BY_ID) == set(CASES)
    assert len(BY_ID) == len(TUNABLES) >= 110
    assert {name for name in SETTABLE if CASES[name].kept.kind == ""} == set(), "what keeps it over a boot?"
    assert {name for name in CASES if CASES[name].kept.kind and name not in SETTABLE} == set()


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_is_right_on_its_host(changed: Change, right: dict[str, dict[str, str]], name: str) -> None:
    case = CASES[name]
    assert (judged(changed, name)["verdict"] if case.base else right[case.on][name]) == "ok"


@pytest.mark.parametrize("name", sorted(CASES))
def test_one_thing_wrong_is_named_and_nothing_else(changed: Change, name: str) -> None:
    case = CASES[name]
    tree = {**tree_of(case.on), **case.base}
    at_boot = forgotten(case, tree) if case.kept.kind == "word" else {}
    found = audited(changed, case, case.wrong, this_boot(case, tree), at_boot)
    assert found[name]["verdict"] == BY_ID[name].wrong
    assert found[name]["fix"] and found[name]["planes"]["live"]
    assert having(found, "drift", "harmful", "unknown") - case.also == {name} - case.also


@pytest.mark.parametrize("name", SETTABLE)
def test_what_the_next_boot_forgets_is_not_persisted(changed: Change, name: str) -> None:
    case = CASES[name]
    found = audited(changed, case, forgotten(case, {**tree_of(case.on), **case.base}))
    assert found[name]["verdict"] == "not_persisted"
    assert having(found, "not_persisted", "drift") - case.kept_also == {name} - case.kept_also


@pytest.mark.parametrize("name", [name for name in SETTABLE if isinstance(BY_ID[name].setting, auditing.BY_BOOT)])
def test_what_only_the_next_boot_sets_is_pending(changed: Change, name: str) -> None:
    case = CASES[name]
    found = judged(changed, name, case.wrong, this_boot(case, {**tree_of(case.on), **case.base}))
    assert found["verdict"] == "pending_reboot", found
    assert found["planes"]["persisted"] is not None and found["persisted_by"] in found["because"]


@pytest.mark.parametrize("name", [name for name in SETTABLE if not isinstance(BY_ID[name].setting, auditing.BY_BOOT)])
def test_a_right_file_does_not_excuse_a_wrong_live_value(changed: Change, name: str) -> None:
    assert judged(changed, name, CASES[name].wrong)["verdict"] == BY_ID[name].wrong


@pytest.mark.parametrize("tunable", TUNABLES, ids=lambda tunable: tunable.id)
def test_a_missing_path_is_never_ok(tunable: Tunable, tuned: dict[str, Path], tmp_path: Path) -> None:
    case = CASES[tunable.id]
    known = replace(machine(tuned[case.on], case.on).facts, command_line={}, cpu_flags=frozenset())
    host = Host(str(tmp_path))
    finding = auditing.judge(tunable, Machine(host, CapturedEthtool(host), known, CapturedRunner(host)))
    of_facts = ("adapter.driver", "ec2.burstable")  # they are read with the facts, and cannot be missing later
    no_file_is_none = ("conflict.dirty_pair", "conflict.gone_keys")
    nothing_there = ("conflict.isolation_lists", "conflict.interrupts_on_isolated", "conflict.first_cpu")
    if tunable.id in (*of_facts, *no_file_is_none, *nothing_there, "conflict.divided_cores"):
        return
    assert finding["verdict"] in ("unknown", "not_applicable"), finding
    assert finding["because"]


@pytest.mark.parametrize("tunable", TUNABLES, ids=lambda tunable: tunable.id)
def test_a_file_that_refuses_or_lies_is_never_ok(tunable: Tunable, tuned: dict[str, Path]) -> None:
    class Refusing(Host):
        answer = ""

        def read(self, path: str) -> str:
            super().read(path)  # absent stays absent
            return self.answer

    case = CASES[tunable.id]
    words = dict.fromkeys(machine(tuned[case.on], case.on).facts.command_line, "?")
    facts = replace(
        machine(tuned[case.on], case.on).facts,
        command_line={**words, "isolcpus": ",", "mitigations": "off", "idle": "?"},
        cpu_flags=frozenset({"fpu"}),
    )
    # A list of what is there is empty where nothing is; and what is asked for by name is not found in garbage.
    lists = ("cpu.offline", "network.filters", "clock.configuration", "service.limits_for_everybody")
    by_facts = ("adapter.driver", "cpu.rcu_nocb_poll", "irq.irqbalance", "ec2.burstable")
    if tunable.id in (*lists, *by_facts) or tunable.group == "conflict":
        return
    for answer in ("", "?", "garbage [x] [y]\n"):
        host = Refusing(str(tuned[case.on]))
        host.answer = answer
        finding = auditing.judge(tunable, Machine(host, CapturedEthtool(host), facts, CapturedRunner(host)))
        assert finding["verdict"] not in ("ok", "not_persisted"), (answer, finding)


def test_a_link_out_of_a_captured_tree_is_not_followed(changed: Change) -> None:
    root = changed("c5n.metal", {"/sys/kernel/mm/ksm/run": Link("/proc/sys/kernel/ostype")})
    found = findings(root)["memory.ksm"]
    assert found["verdict"] == "not_applicable" and found["planes"]["live"] is None


@pytest.mark.parametrize(
    ("mask", "verdict"), [("00000008,00000000", "ok"), ("00000008,00000001", "harmful"), ("00000000,00000003", "ok")]
)
def test_a_send_queue_may_be_another_nodes_alone_and_not_shared_with_it(
    changed: Change, mask: str, verdict: str
) -> None:
    """CPU 35 is on the other node; a queue that only it sends by takes no lock and no descriptor from the others."""
    interface = TYPES["c5n.metal"].interface
    device = "/sys/devices/pci0000:27/0000:27:00.0/net"
    root = changed("c5n.metal", {f"{device}/{interface}/queues/tx-1/xps_cpus": f"00000000,{mask}\n"})
    assert findings(root)["packet.xps"]["verdict"] == verdict
    changed("c5n.metal", {f"{device}/{interface}/queues/tx-0/xps_cpus": Link("/nowhere")})
    assert findings(root)["packet.xps"]["verdict"] == verdict, "a file that cannot be read says nothing of the others"


@pytest.mark.parametrize(
    ("isolated", "words"), [({0, 4}, "CPU 0 cannot be isolated"), ({35, 72, 73}, "no CPU 72-73, only 0-35")]
)
def test_a_plan_that_does_not_fit_is_refused_in_one_line(
    tuned: dict[str, Path], isolated: set[int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        machine(tuned["c5n.metal"], isolated=frozenset(isolated))


def test_every_entry_says_what_a_reader_needs() -> None:
    for tunable in TUNABLES:
        assert tunable.group in TITLES, tunable.id
        for sentence in (tunable.why, tunable.risk):
            assert not sentence or (sentence.endswith(".") and sentence.count(". ") == 0), f"{tunable.id}: one sentence"
        assert tunable.why and tunable.source and tunable.title and not tunable.title.endswith(".")
        assert tunable.risk or tunable.counter, f"{tunable.id}: what does it cost?"
        assert tunable.setting is not None, f"{tunable.id}: how is it set, or what does one do instead?"
        assert 0 < tunable.confidence <= 1
    assert {tunable.group for tunable in TUNABLES} == set(TITLES)


def test_what_ethtool_sets_is_read_back_by_the_name_under_which_it_is_judged() -> None:
    """A short name whose long one nobody knows would be offered by no driver, and never set."""
    by_ethtool = {tunable.id: tunable for tunable in TUNABLES if isinstance(tunable.setting, EthtoolValue)}
    judged = {name: getattr(tunable.live, "name", None) for name, tunable in by_ethtool.items()}
    assert {name: getattr(tunable.setting, "known_as", None) for name, tunable in by_ethtool.items()} == judged
    assert "packet.scatter_gather" in judged
