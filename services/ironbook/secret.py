# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook secret hash`: a password on standard input becomes a crypt(3) hash for the engine's configuration.

The password comes by standard input, so that it is never in a process list or a shell's history.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ironbook.engine import load_core
from ironbook.errors import CommandError

# SoupBinTCP 3.00, section 2.3.1: the password field of a Login Request.
PASSWORD_SIZE = 10


def add_parser(subparsers: Any) -> None:
    """Add `ironbook secret` to the command line."""
    parser = subparsers.add_parser("secret", help="make hashes of order-entry passwords")
    actions = parser.add_subparsers(dest="action", required=True)
    hash_parser = actions.add_parser("hash", help="read a password on standard input, print its crypt(3) hash")
    hash_parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the hash of the password on standard input; CommandError where it is none that a client could send."""
    print(hash_password(sys.stdin.readline().rstrip("\r\n")))
    return 0


def hash_password(password: str) -> str:
    """A salted SHA-512 crypt(3) hash, different each time.

    Raises CommandError for a password that no Login Request could carry.
    """
    if not 1 <= len(password) <= PASSWORD_SIZE or not (password.isascii() and password.isprintable()):
        raise CommandError(f"secret: a password has 1 to {PASSWORD_SIZE} printable ASCII characters (SoupBinTCP)")
    if password != password.strip():
        raise CommandError("secret: a password cannot begin or end with a space: SoupBinTCP pads with spaces")
    ffi, lib = load_core()
    result = ffi.new("char[]", 128)
    if lib.ib_secret_hash(password.encode("ascii"), result, 128) != lib.IB_OK:
        raise CommandError("secret: this machine's crypt(3) makes no SHA-512 hashes: install libcrypt1")
    hashed: bytes = ffi.string(result)
    return hashed.decode("ascii")
