# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instance types are refused, held against what EC2 answered to DescribeInstanceTypes (recorded by moto)."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import moto.ec2
import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.instance_types import (
    HUNDRED_GIGABIT,
    has_100g,
    problems,
)

RECORDED = Path(moto.ec2.__file__).parent / "resources" / "instance_types.json.gz"
ACCELERATORS = ("GpuInfo", "InferenceAcceleratorInfo", "NeuronInfo", "FpgaInfo", "MediaAcceleratorInfo")


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    with gzip.open(RECORDED) as file:
        return json.load(file)


def gigabit(told: str) -> float:
    """NetworkPerformance as a number; 0 for what is there at times only ("Up to 25 Gigabit")."""
    found = re.fullmatch(r"(?:(\d+)x )?([\d.]+) Gigabit", told)
    return float(found[1] or 1) * float(found[2]) if found else 0


def test_the_table_is_what_aws_answered(recorded: dict[str, Any]) -> None:
    for name, told in recorded.items():
        if not any(told.get(accelerator) for accelerator in ACCELERATORS):
            assert has_100g(name) == (gigabit(told["NetworkInfo"]["NetworkPerformance"]) >= 100), name
    assert {f"{family}.{size}" for family, sizes in HUNDRED_GIGABIT.items() for size in sizes} <= recorded.keys()


@pytest.mark.parametrize("name", ["c5n.18xlarge", "c5n.metal", "m5n.24xlarge", "m5n.metal"])
def test_those_of_the_owners_have_100_gigabit(name: str) -> None:
    assert list(problems(name, True)) == []


@pytest.mark.feature("HFT-02", by="U")
def test_a_small_one_is_refused_where_100_gigabit_are_required(recorded: dict[str, Any]) -> None:
    """With the figures that EC2 itself gave: up to 25 Gb/s and 100 Gb/s."""
    figures = {name: recorded[name]["NetworkInfo"]["NetworkPerformance"] for name in ("c5n.large", "c5n.18xlarge")}
    assert figures == {"c5n.large": "Up to 25 Gigabit", "c5n.18xlarge": "100 Gigabit"}
    assert list(problems("c5n.large", True)) == ["c5n.large has less than 100 Gb/s: take c5n.18xlarge or c5n.metal"]
    assert list(problems("c5n.large", False)) == []
    assert list(problems("m5n.8xlarge", True)) == ["m5n.8xlarge has less than 100 Gb/s: take m5n.24xlarge or m5n.metal"]
    assert list(problems("t3.micro", True)) == ["t3.micro has less than 100 Gb/s: take c5n.18xlarge or c5n.metal"]


@pytest.mark.parametrize("require_100g", [True, False])
def test_one_that_does_not_exist_is_refused(require_100g: bool) -> None:
    (line,) = problems("c5n.mettal", require_100g)
    assert line.startswith("c5n.mettal is no instance type of EC2 that this botocore knows")
