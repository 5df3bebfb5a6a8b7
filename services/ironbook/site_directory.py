# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a local site: whose it is, who works in it now, and what of it is removed.

`up` takes a directory that is absent or empty and writes a marker into it, which says where the directory is, its inode
and a random id.  Nothing but such a marker makes a directory ours, and even then only what a site itself makes is ever
removed.  The site's processes carry the id, so that they are found when the directory has been moved since.

Two locks, both of flock(2), which end with the process that holds them: one on the directory itself for a moment's
change of it, which therefore leaves nothing beside it and holds until it is removed; one on run/site.lock for the whole
of a `make site`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ironbook.errors import CommandError

MARKER = ".ironbook-site"
_TEXT = "Made by 'ironbook local up'; 'ironbook local down --remove' removes this directory."
_FIELD = re.compile(r"^(IRONBOOK_SITE|IRONBOOK_STATE|INODE|IRONBOOK_PORT_BASE)=(\S+)$", re.MULTILINE)
_IDENTITY = re.compile(r"[0-9a-f]{32}")
# What `up`, the services and the roles make in it. The last two: what is left where the writing of a file was killed.
_MADE = re.compile(
    r"ansible|build|drills|emulator|hosts|install|log|postgres(\.unfinished)?|publisher|reports|run|secrets|settlement-[0-9]+\.json"
    r"|supervisor\.d|supervisord\.conf|trade|\.ironbook-site"
    r"|\.(supervisord\.conf|\.ironbook-site)\.[0-9]+|\.ansible_tmp.*"
)
_UNFINISHED_MARKER = re.compile(r"\.\.ironbook-site\.[0-9]+")


@dataclass(frozen=True)
class Marker:
    """What `up` wrote down.  `identity` is empty and `path` the directory's own where an older version wrote it."""

    path: Path
    inode: int
    identity: str
    port_base: int | None

    def text(self, port_base: int | None) -> str:
        """Return the marker's file, with the first port of a site that is up."""
        lines = [
            _TEXT,
            f"IRONBOOK_SITE={self.identity}",
            f"IRONBOOK_STATE={self.path}",
            f"INODE={self.inode}",
            *([f"IRONBOOK_PORT_BASE={port_base}"] if port_base else []),
        ]
        return "\n".join(lines) + "\n"


def read_marker(state: Path) -> Marker | None:
    """Return the marker of this directory, None where it has none; CommandError where it is not this directory's.

    It is, where it names the path or the inode: a directory that was moved keeps its inode, one that was restored from
    a backup its path, and a copy neither.
    """
    try:
        text = (state / MARKER).read_text(encoding="utf-8", errors="replace")
        inode, strange = state.stat().st_ino, foreign(state)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CommandError(f"{state / MARKER} cannot be read: {error.strerror}") from error
    fields = dict(_FIELD.findall(text))
    port = fields.get("IRONBOOK_PORT_BASE", "")
    port_base = int(port) if re.fullmatch(r"[0-9]{4,5}", port) else None
    if text.startswith(_TEXT) and "IRONBOOK_SITE" not in fields and not strange:
        return Marker(state, inode, "", port_base)  # of an older version
    path = Path(fields.get("IRONBOOK_STATE", ""))
    if not _IDENTITY.fullmatch(fields.get("IRONBOOK_SITE", "")) or not path.is_absolute():
        raise CommandError(f"{state / MARKER} was not written by 'ironbook local up': {state} is somebody else's")
    if path != state and fields.get("INODE") != str(inode):
        raise CommandError(
            f"{state} holds the marker of the site in {path}: where it was moved, move it back; "
            "where it is a copy, remove it yourself"
        )
    return Marker(path, inode, fields["IRONBOOK_SITE"], port_base)


def claim(state: Path) -> Marker:
    """Make an empty directory ours, or find that it is; CommandError where it is somebody else's, or was moved."""
    marker = read_marker(state)
    if marker is None:
        if strange := _contents(state):
            raise CommandError(f"IRONBOOK_STATE={state} holds '{strange[0]}', and is no local site: set another path")
    else:
        require_not_moved(state, marker)
    identity = (marker.identity if marker else "") or secrets.token_hex(16)
    claimed = Marker(state, state.stat().st_ino, identity, marker.port_base if marker else None)
    write(state / MARKER, claimed.text(claimed.port_base))
    return claimed


def require_not_moved(state: Path, marker: Marker) -> None:
    """Refuse a directory that was moved: its files name its old path."""
    if marker.path != state:
        raise CommandError(
            f"the site in {state} was made as {marker.path}, and moved since: move it back, "
            "or end it and remove it: ironbook local down --remove"
        )


def _contents(state: Path) -> list[str]:
    """Name what keeps a directory from being empty.  Ansible's home does not, before there is a file in it.

    A playbook makes it, and nothing else, where the site is not up.
    """
    strange = [name for name in os.listdir(state) if not _UNFINISHED_MARKER.fullmatch(name)]
    home = state / "ansible"
    if strange == ["ansible"] and home.is_dir() and not home.is_symlink():
        return [f"ansible/{name}" for _, _, names in os.walk(home) for name in names]
    return sorted(strange)


def foreign(state: Path) -> list[str]:
    """Return the entries of the directory that no site makes."""
    return sorted(name for name in os.listdir(state) if not _MADE.fullmatch(name))


def require_nothing_foreign(state: Path) -> None:
    """Refuse to remove a directory that holds more than a site makes."""
    if strange := foreign(state):
        named = ", ".join(f"'{name}'" for name in strange[:5]) + (" …" if len(strange) > 5 else "")
        raise CommandError(f"{state} holds {named}, which no site makes: move that away, then call this again")


def remove(state: Path) -> str:
    """Remove what a site makes, the marker last, and the directory; return what to tell the user of it."""
    require_nothing_foreign(state)
    names = sorted(os.listdir(state), key=lambda name: name == MARKER)
    for name in names:
        path = state / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise CommandError(f"{error.filename or path} cannot be removed: {error.strerror}") from error
    try:
        state.rmdir()
    except OSError as error:  # a mount point, or in a directory of somebody else's: it was there before the site
        return f"{state} emptied, and kept: {error.strerror}"
    return f"{state} removed"


@contextlib.contextmanager
def locked(state: Path, make: bool) -> Iterator[bool]:
    """Let one command at a time change the directory; yield whether there is one, after making it where `make` says so.

    Whoever waited while another removed it holds the lock of nothing, and begins anew.
    """
    while True:
        try:
            if make:
                state.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            if make:
                continue
            yield False
            return
        except (FileExistsError, NotADirectoryError) as error:
            raise CommandError(f"IRONBOOK_STATE={state} is not a directory: set another path") from error
        except OSError as error:
            raise CommandError(f"IRONBOOK_STATE={state}: {error.strerror}: set another path") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(state, descriptor):
                yield True
                return
        finally:
            os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the path names the file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def hold_for_run(state: Path) -> int:
    """Take the lock of a whole `make site`; return the descriptor that holds it.  CommandError where another has it.

    To be called in `locked`, so that nobody removes the file in between.
    """
    (state / "run").mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(_run_lock(state), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        require_no_run(state)
        raise CommandError(f"another make site has just begun on this state directory, {state}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def require_no_run(state: Path) -> None:
    """Refuse, without waiting for anybody, where a `make site` is running."""
    try:
        descriptor = os.open(_run_lock(state), os.O_RDONLY)
    except OSError:
        return  # there never was one
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        raise CommandError(
            f"another make site is running on this state directory, {state} (pid {pid or 'not known yet'}): "
            "wait until it has ended"
        ) from None
    finally:
        os.close(descriptor)


def _run_lock(state: Path) -> Path:
    return state / "run" / "site.lock"


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, mode 0600, and leave it alone where it says the same already."""
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # after a power cut no file of ours is empty
    temporary.rename(path)
