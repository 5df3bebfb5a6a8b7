# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled binding, as mypy sees it: its names come from the headers, its types from cffi at run time."""

from typing import Any

ffi: Any
lib: Any
