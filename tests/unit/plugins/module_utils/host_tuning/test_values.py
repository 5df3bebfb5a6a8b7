# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's spellings of a value."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import values


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("", set()),
        ("\n", set()),
        ("(null)\n", set()),
        ("0", {0}),
        ("0-3,8\n", {0, 1, 2, 3, 8}),
        ("0-8:4", {0, 4, 8}),
        ("10,2", {2, 10}),
    ],
)
def test_cpu_lists(text: str, cpus: set[int]) -> None:
    assert values.cpu_list(text) == cpus


@pytest.mark.parametrize("text", ["a", "3-1", "1-", "-1", "1;2", "0-8:0", "1,,2", "0-99999999999"])
def test_what_is_no_cpu_list(text: str) -> None:
    with pytest.raises(ValueError, match="no CPU list"):
        values.cpu_list(text)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("3\n", {0, 1}),
        ("00000000,00000000\n", set()),
        ("0,0000000f", {0, 1, 2, 3}),
        ("1,00000000", {32}),
        ("ffffffff", set(range(32))),
        ("80000000,00000000,00000001", {0, 95}),
    ],
)
def test_cpu_masks(text: str, cpus: set[int]) -> None:
    assert values.cpu_mask(text) == cpus


@pytest.mark.parametrize("text", ["", "xyz", "1ffffffff", "0x3", "1,,1"])
def test_what_is_no_cpu_mask(text: str) -> None:
    with pytest.raises(ValueError, match="no CPU mask"):
        values.cpu_mask(text)


@pytest.mark.parametrize("text", ["0-3,8", "5", "1,3,5-7", ""])
def test_cpu_lists_are_written_as_the_kernel_does(text: str) -> None:
    assert values.as_cpu_list(values.cpu_list(text)) == text


@pytest.mark.parametrize(
    ("text", "chosen"), [("always madvise [never]\n", "never"), ("[none] mq-deadline", "none"), ("tsc\n", "tsc")]
)
def test_choices(text: str, chosen: str) -> None:
    assert values.choice(text) == chosen


@pytest.mark.parametrize("text", ["always madvise never", "[a] [b]", ""])
def test_what_is_no_choice(text: str) -> None:
    with pytest.raises(ValueError, match="no chosen word"):
        values.choice(text)


def test_versions_compare_as_numbers() -> None:
    assert values.version("2.13.0g\n") == (2, 13, 0) > values.version("2.2.9g")
    with pytest.raises(ValueError, match="no version"):
        values.version("g2")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not set"),
        (frozenset(), "none"),
        (frozenset({1, 2}), "1-2"),
        (True, "on"),
        (0, "0"),
        ("", "(empty)"),
        ((2, 2, 9), "2.2.9"),
        (0.268, "0.27"),
    ],
)
def test_values_are_shown_to_people(value: object, text: str) -> None:
    assert values.shown(value) == text
