# SPDX-License-Identifier: GPL-3.0-or-later
"""How the binding `ironbook.core._core` is compiled: cffi in API mode over the public headers.

Each header's part between CFFI-BEGIN and CFFI-END is read by cffi, the whole header by the compiler: no declaration
exists twice. All C modules are compiled in, so that the extension and the tests of `make -C engine_native test` are
made from the same files. Warnings are errors there, not here: a newer compiler must not stop an installation.
"""

from __future__ import annotations

import re
from pathlib import Path

from cffi import FFI  # type: ignore[import-untyped]

# setup.py's directory; source paths must be relative to it.
ROOT = Path(__file__).resolve().parents[4]
INCLUDE = ROOT / "engine_native" / "include"
SOURCE = ROOT / "engine_native" / "src"

# In order of dependence; other headers follow by name.
FIRST = ("ironbook.h", "ironbook_core.h")


def headers() -> list[Path]:
    """Return the public headers, those that others need first."""
    rest = sorted(path for path in INCLUDE.glob("*.h") if path.name not in FIRST)
    return [INCLUDE / name for name in FIRST] + rest


def declarations(header: Path) -> str:
    """Return the part of a header that cffi can read."""
    match = re.search(r"/\* CFFI-BEGIN \*/(.*)/\* CFFI-END \*/", header.read_text(encoding="utf-8"), re.DOTALL)
    if match is None:
        raise ValueError(f"{header}: no part between CFFI-BEGIN and CFFI-END")
    return match[1]


def relative(path: Path) -> str:
    """Return a path as setuptools wants it."""
    return path.relative_to(ROOT).as_posix()


ffi = FFI()
for _header in headers():
    ffi.cdef(declarations(_header))
ffi.set_source(
    "ironbook.core._core",
    "".join(f'#include "{header.name}"\n' for header in headers()),
    sources=[relative(path) for path in sorted(SOURCE.glob("*.c"))],
    depends=[relative(path) for path in [*headers(), *sorted(SOURCE.glob("*.h"))]],
    include_dirs=[relative(INCLUDE), relative(SOURCE)],
    libraries=["crypt", "pthread"],
    extra_compile_args=["-std=c11", "-O3", "-fno-semantic-interposition", "-fvisibility=hidden", "-Wall", "-Wextra"],
    py_limited_api=True,
)
