# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the binding of the C core with the distribution. All else about the distribution stands in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["engine_native/python/ironbook/core/build_core.py:ffi"],
    # `ironbook` has two homes; setuptools takes the last one for all of it unless it is told where the other part is.
    package_dir={"ironbook.core": "engine_native/python/ironbook/core"},
    package_data={"ironbook.core": ["py.typed", "*.pyi"]},
)
