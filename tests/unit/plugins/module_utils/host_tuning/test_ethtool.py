# SPDX-License-Identifier: GPL-3.0-or-later
"""ethtool's output, as it is captured, and the kernel's own answer on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.ethtool import (
    AskOnce,
    CapturedEthtool,
    LiveEthtool,
    parse_output,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host, UnreadableError
from fixtures import host_formats as formats


def test_current_settings_win_over_the_maxima_and_na_is_left_out() -> None:
    assert parse_output(formats.RINGS.format(name="eth0", rx=512, tx=256, tx_most=1024, push="on")) == {
        "rx": 512,
        "tx": 256,
        "tx-push": 1,
    }
    assert parse_output(formats.CHANNELS.format(name="eth0", combined=4)) == {"combined": 4}


def test_coalescing_and_features() -> None:
    assert parse_output(formats.COALESCE.format(name="eth0", adaptive="on", rx=20, tx=64)) == {
        "adaptive-rx": 1,
        "rx-usecs": 20,
        "tx-usecs": 64,
    }
    assert "adaptive-rx" not in parse_output(formats.COALESCE.format(name="eth0", adaptive="n/a", rx=0, tx=0))
    features = parse_output(formats.features("eth0", gro="on"))
    assert (features["generic-receive-offload"], features["large-receive-offload"]) == (1, 0)


def test_a_tree_without_captured_output_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="eth0: no output was captured"):
        CapturedEthtool(Host(str(tmp_path))).values("eth0")


def test_the_kernel_answers_for_the_loopback_interface() -> None:
    values = LiveEthtool().values("lo")
    assert values["tx-checksumming"] in (0, 1)
    assert "rx-usecs" not in values, "a driver without coalescing must not look like one that is set to 0"


def test_an_interface_that_is_not_there_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="nosuch0"):
        LiveEthtool().values("nosuch0")


def test_the_kernel_counts_for_a_driver_that_counts_and_others_have_none(tmp_path: Path) -> None:
    counters = LiveEthtool().counters("lo")
    assert all(isinstance(name, str) and value >= 0 for name, value in counters.items())
    with pytest.raises(UnreadableError, match="ethtool -S eth0: no output was captured"):
        CapturedEthtool(Host(str(tmp_path))).counters("eth0")


def test_what_is_asked_twice_is_asked_once() -> None:
    class Counting:
        asked = 0

        def values(self, interface: str) -> dict[str, int]:
            self.asked += 1
            return {"rx-usecs": self.asked}

        def counters(self, interface: str) -> dict[str, int]:
            self.asked += 1
            raise UnreadableError(f"{interface}: {self.asked}")

    inner = Counting()
    once = AskOnce(inner)
    assert once.values("eth0") == once.values("eth0") == {"rx-usecs": 1}
    for _attempt in range(2):
        with pytest.raises(UnreadableError, match="eth0: 2"):
            once.counters("eth0")
    assert inner.asked == 2
