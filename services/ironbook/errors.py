# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that stops a subcommand of `ironbook` on purpose."""


class CommandError(Exception):
    """What stops a subcommand, in one line that names the thing and the remedy."""
