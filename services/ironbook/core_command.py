# SPDX-License-Identifier: GPL-3.0-or-later
"""Subcommands of `ironbook` that do nothing but ask the core."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ironbook import core
from ironbook.errors import CommandError


def core_command(function: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """Make a subcommand of a function: what the core refuses, a CoreError, ends it as its CommandError."""

    def command(arguments: argparse.Namespace) -> int:
        try:
            function(arguments)
        except core.CoreError as error:
            raise CommandError(str(error)) from error
        return 0

    return command
