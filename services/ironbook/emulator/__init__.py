# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded AWS: moto, served over HTTP on the loopback, with the few answers of it that were wrong repaired.

`server` is the launcher, `repairs` holds one small file for each repair.  Nothing is kept across restarts.
"""
