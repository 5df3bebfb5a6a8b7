# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's promise: from any drift of any kind, one run converges and the next has nothing to do.

Each example makes resources of all kinds in some shape, lets somebody change and delete some of them by hand, cuts a
run off at some write, and then asks for another shape. Beside it lies the same of somebody else's, which no run may
touch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.engine import find_all
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.plan import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from platform_resources import FOREIGN, TAGS, Client, FastClock, Recorder, case_of, converge, told

CASE = {name: case_of(name) for name in KINDS}
ABSENT = {"state": "absent"}
Options = dict[str, list[dict[str, Any]]]


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """For each kind one resource: a variant of it, or its absence."""
    return {name: draw(st.sampled_from([*CASE[name].variants, ABSENT])) for name in sorted(KINDS)}


def options_of(shape: Mapping[str, Mapping[str, Any]], name: str) -> Options:
    """What the module would be given for a resource of each kind that is called `name`, with what they name beside."""
    options: Options = {KINDS[kind].plural: [{"name": f"{name}-{kind}", **variant}] for kind, variant in shape.items()}
    for case in CASE.values():
        for plural, resources in case.beside.items():
            options[plural] = [*options[plural], *(dict(resource) for resource in resources)]
    return options


def everything(client: Client, tags: Mapping[str, str], kinds: Iterable[str] = KINDS) -> dict[tuple[str, str], Any]:
    """All that carries these marks."""
    found, problems = find_all({kind: KINDS[kind] for kind in kinds}, Run(tags), Account(client, 60))
    assert problems == []
    return {(kind.name, there.id): there for kind, there in found}


def run(client: Client, options: Mapping[str, Any], **more: Any) -> Any:
    return converge(client, options, clock=FastClock(), workers=1, **more)


def sweep(client: Client) -> None:
    """Remove all that is ours, also what an example left that failed: the next one must not meet it."""
    left: Options = {}
    for kind, there in ((kind, there) for (kind, _), there in everything(client, TAGS).items()):
        left.setdefault(KINDS[kind].plural, []).append({"name": there.name, **ABSENT})
    assert run(client, left).problems == []


@pytest.mark.slow
def test_each_change_by_hand_is_shown_and_undone(moto: Client) -> None:
    """Each drift of each kind, on each variant of it; those of different kinds at the same time."""
    pairs = {kind: list(itertools.product(case.variants, case.drifts)) for kind, case in CASE.items()}
    for number in range(max(map(len, pairs.values()))):
        chosen = {kind: listed[number % len(listed)] for kind, listed in pairs.items()}
        options = options_of({kind: variant for kind, (variant, _drift) in chosen.items()}, "d")
        made = run(moto, options)
        assert made.problems == []
        before = everything(moto, TAGS)
        for kind, (_variant, drift) in chosen.items():
            drift(moto, made.ids[kind, f"d-{kind}"])
        drifted = everything(moto, TAGS)
        moved = {kind for kind, identifier in before if before[kind, identifier] != drifted.get((kind, identifier))}
        shown = run(moto, options, check=True)
        assert {step.wanted.kind for step in shown.planned} == moved, (number, told(shown))
        undone = run(moto, options)
        assert (undone.problems, told(undone)) == ([], told(shown))
        assert shapes_of(everything(moto, TAGS)) == shapes_of(before)
        assert run(moto, options).planned == []
    sweep(moto)


def shapes_of(there: Mapping[tuple[str, str], Any]) -> list[tuple[str, str, Any, Any]]:
    """What resources are but for their ids, which are new where somebody had deleted one."""
    return sorted((kind, found.name, found.fields, found.tags) for (kind, _), found in there.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_that_was_cut_off_at_any_write_is_completed(moto: Client, name: str) -> None:
    """Also at the first: what is made without its tags in the same call would be nobody's then."""
    case, plural = CASE[name], KINDS[name].plural
    assert run(moto, case.beside).problems == []
    for number, variant in enumerate(case.variants):
        for cut in itertools.count():
            options = {**case.beside, plural: [*case.beside.get(plural, ()), {"name": f"cut-{number}", **variant}]}
            whole = not run(Recorder(moto, fail_at=cut), options, seconds=5).problems
            assert run(moto, options).problems == [], (variant, cut)
            assert run(moto, {plural: [{"name": f"cut-{number}", **ABSENT}]}).problems == []
            if whole:
                break
    sweep(moto)


@pytest.mark.slow
def test_any_drift_converges_in_one_run(moto: Client) -> None:
    number = itertools.count()
    moto("s3").create_bucket(Bucket="foreign-flow")
    shape = {name: case.variants[0] for name, case in CASE.items()}
    shape["flow_log"] = {"vpc": "other", "bucket_arn": "arn:aws:s3:::foreign-flow"}
    shape["transit_gateway_vpc_attachment"] = {**shape["transit_gateway_vpc_attachment"], "transit_gateway": "other"}
    shape["direct_connect_interface"] = {
        **shape["direct_connect_interface"],
        "connection": "foreign-direct_connect_connection",
        "gateway": "foreign-direct_connect_gateway",
    }
    shape["vpn_connection"] = {"transit_gateway": "other", "customer_gateway": "foreign-customer_gateway"}
    shape["network_acl"] = {**shape["network_acl"], "vpc": "other", "subnets": ["endpoints-other"]}
    shape["scaling_group"] = {**shape["scaling_group"], "launch_template": "foreign-launch_template"}
    shape["outpost_subnet"] = {**shape["outpost_subnet"], "cidr": "10.1.209.0/24"}
    shape["vpc_endpoint"] = {**shape["vpc_endpoint"], "service": "com.amazonaws.us-east-1.dynamodb"}
    foreign = {KINDS[kind].plural: [{"name": f"foreign-{kind}", **variant}] for kind, variant in shape.items()}
    assert run(moto, {**foreign, "tags": FOREIGN}).problems == []
    before = everything(moto, FOREIGN)
    assert {kind for kind, _ in before} == KINDS.keys()

    @settings(max_examples=6, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def promise(data: st.DataObject) -> None:
        sweep(moto)
        name = f"e{next(number)}"
        start = data.draw(shapes(), "start")
        begun = run(moto, options_of(start, name))
        assert begun.problems == []
        for kind, case in CASE.items():
            identifier = begun.ids.get((kind, f"{name}-{kind}"))
            for drift in data.draw(st.lists(st.sampled_from(case.drifts), max_size=2), f"drifts of {kind}"):
                if identifier and (kind, identifier) in everything(moto, TAGS, [kind]):  # not deleted by the first
                    drift(moto, identifier)
        wanted = options_of(data.draw(shapes(), "wanted"), name)
        run(Recorder(moto, fail_at=data.draw(st.integers(0, 12), "cut off at")), wanted, seconds=5)
        shown = run(moto, wanted, check=True)
        outcome = run(moto, wanted)
        assert outcome.problems == []
        assert told(shown) == told(outcome) and len(outcome.done) == len(outcome.planned)
        again = Recorder(moto)
        assert told(run(again, wanted)) == [] and again.writes == []
        gone = {key: [{**resource, **ABSENT} for resource in resources] for key, resources in wanted.items()}
        assert run(moto, gone).problems == []
        assert everything(moto, TAGS) == {}
        assert everything(moto, FOREIGN) == before

    promise()
