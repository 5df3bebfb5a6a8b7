# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters until_preflight and after_preflight; see until_preflight.yml and after_preflight.yml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ironbook.trading.plugins.plugin_utils import run_lock
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import run


def until_preflight(hosts: str) -> str:
    """`hosts`, or a pattern for no host once preflight has passed in this run."""
    return "!all" if run.has_passed() else hosts


def after_preflight(hosts: str) -> str:
    """`hosts`.  Ends Ansible with one line, by SystemExit, where preflight has not passed in this run.

    Ansible fills in a play's hosts in its main process, just before the play.  An exception of another class would be
    shown with half a page of where it came from.  What the run locks, the main process gives back at its end.
    """
    run_lock.give_back_at_exit()
    if not run.has_passed() and not run.is_listing():
        raise SystemExit(f"ERROR: {run.NOT_PASSED}")
    return hosts


class FilterModule:
    """Offers the functions to Jinja."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each filter."""
        return {"until_preflight": until_preflight, "after_preflight": after_preflight}
