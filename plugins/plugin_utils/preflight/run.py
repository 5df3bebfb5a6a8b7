# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether preflight has really passed in this very run of ansible-playbook.

What an inventory or a command line says does not count.  Ansible makes a directory for each run, which only this user
can enter, and removes it at the end; its workers share it.  A file in it is what is remembered.
"""

from __future__ import annotations

from pathlib import Path

from ansible import constants, context

NOT_PASSED = (
    "preflight has not passed in this run: do not use --start-at-task or --skip-tags always; add localhost to --limit"
)
_LISTING = ("syntax", "listhosts", "listtasks", "listtags")


def remember_checks() -> None:
    """Remember that versions, variables and the account are in order."""
    _file("checked").touch()


def remember_passed() -> bool:
    """Remember that all of preflight has passed; False, and nothing, where some of it was left out."""
    if context.CLIARGS.get("start_at_task") or not _file("checked").exists():
        return False
    _file("passed").touch()
    return True


def has_passed() -> bool:
    """Whether `remember_passed` was called in this run."""
    return _file("passed").exists()


def is_listing() -> bool:
    """Whether the command only lists or parses, so that no play is run at all."""
    return any(context.CLIARGS.get(name) for name in _LISTING)


def _file(stage: str) -> Path:
    return Path(constants.DEFAULT_LOCAL_TMP) / f"ironbook-preflight-{stage}"
