# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of 127.0.0.1: which are free, who has one, and who is at the other end of a connection.

The kernel says whose they are.  For one connection it is asked through sock_diag(7), which takes 10 us; /proc/net/tcp,
which takes milliseconds since the kernel walks its whole table, is read where that is not compiled in, and for all
else.  In /proc/net/tcp (proc(5)) an address is hexadecimal in the machine's byte order, a port plain hexadecimal.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import socket
import struct
import sys
from pathlib import Path

from ironbook.errors import CommandError

HOST = "127.0.0.1"
# linux/sock_diag.h, linux/inet_diag.h and the kernel's states of TCP. The structures: inet_diag_req_v2, whose
# inet_diag_sockid begins with the ports, and what we read of inet_diag_msg, each behind a netlink header of 16 bytes.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_ESTABLISHED, _LISTEN = 1, 10
_ANY_COOKIE = b"\xff" * 8
_QUESTION = struct.Struct("=IHHII BBBxI 2s2s4s12x4s12xI8s")
_ANSWER = struct.Struct("=IHHII BBBB 48xIIIII")

# Fields of a line of /proc/net/tcp and tcp6.
_LOCAL, _REMOTE, _STATE, _UID, _INODE = 1, 2, 3, 7, 9


def peer_uid(port: int, peer_port: int) -> int | None:
    """Return who holds the other end of an established loopback connection, None where nobody does.

    A socket that its owner has closed counts as nobody's: the kernel gives it to root.
    """
    found = uid_by_socket(peer_port, port)
    return found if found is not None else uid_in_table(peer_port, port, Path("/proc/net/tcp").read_text("ascii"))


def uid_by_socket(port: int, peer_port: int) -> int | None:
    """Ask the kernel for the one socket; None where it has none, or cannot be asked so."""
    host = socket.inet_aton(HOST)
    question = _QUESTION.pack(
        *(_QUESTION.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0),
        *(socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << _ESTABLISHED),
        *(port.to_bytes(2, "big"), peer_port.to_bytes(2, "big"), host, host, 0, _ANY_COOKIE),
    )
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.send(question)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < _ANSWER.size or int.from_bytes(answer[4:6], sys.byteorder) != _SOCK_DIAG_BY_FAMILY:
        return None
    state, uid = _ANSWER.unpack_from(answer)[6], _ANSWER.unpack_from(answer)[-2]
    return int(uid) if state == _ESTABLISHED else None


def uid_in_table(port: int, peer_port: int, table: str) -> int | None:
    """Return the owner of the socket with these ends, read from the content of /proc/net/tcp."""
    ends = [f"0100007F:{port:04X}", f"0100007F:{peer_port:04X}", f"{_ESTABLISHED:02X}"]
    for line in table.splitlines()[1:]:
        fields = line.split()
        if [fields[_LOCAL], fields[_REMOTE], fields[_STATE]] == ends:
            return int(fields[_UID])
    return None


def why_not_free(port: int) -> str:
    """Return an empty string where a server of ours could listen on the port; else why it could not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return f"{holder(port)} has it" if error.errno == errno.EADDRINUSE else str(error.strerror)
    return ""


def require_free(port: int, remedy: str) -> None:
    """Refuse a port that another program has, in one line that names the program."""
    if reason := why_not_free(port):
        raise CommandError(f"port {port} on {HOST} cannot be used: {reason}: {remedy}")


def holder(port: int) -> str:
    """Return who listens on a port: program and process where they may be seen, else the user."""
    found = _listener(port)
    if found is None:
        return "another program"
    inode, uid = found
    pid = _process_of(inode)
    return f"a program of {_user(uid)}" if pid is None else f"process {pid}{_command(pid)}"


def listening_process(port: int) -> int | None:
    """Return the id of the process that listens on a port; None where nobody does, or it is another user's."""
    found = _listener(port)
    return None if found is None else _process_of(found[0])


def _listener(port: int) -> tuple[str, int] | None:
    """Inode and owner (uid) of the socket that listens on a port."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if int(fields[_STATE], 16) == _LISTEN and int(fields[_LOCAL].rpartition(":")[2], 16) == port:
                    return fields[_INODE], int(fields[_UID])
    return None


def _process_of(inode: str) -> int | None:
    """Return the process that has a socket open; None where it is another user's."""
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if any(os.readlink(entry) == wanted for entry in os.scandir(process / "fd")):
                return int(process.name)
    return None


def _command(pid: int) -> str:
    """How a process was called: in parentheses, in one line whatever it says; nothing where it is gone."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return f" ({' '.join(' '.join(os.fsdecode(word) for word in words[:6]).split())[:120]})"
    return ""


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
