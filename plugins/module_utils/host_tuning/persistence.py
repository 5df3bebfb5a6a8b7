# SPDX-License-Identifier: GPL-3.0-or-later
"""What the next boot will set, and which file wins: the precedence of systemd, GRUB and boot entries.

Each function answers for one value with the text that will be set and the file that says so, or None where nothing
does.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from . import values
from .host import AbsentError, Host, UnreadableError

if TYPE_CHECKING:
    from .check import Machine

DIRECTORIES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""The first one that has a file of a name hides that name in all others."""
GRUB_VARIABLE = "GRUB_CMDLINE_LINUX_DEFAULT"
GRUB_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?(GRUB_CMDLINE_LINUX(?:_DEFAULT)?)(\+?=)(.*)$")
GRUB_CONFIG = "/boot/grub/grub.cfg"
MAKE_GRUB = ("update-grub",)
ENTRIES = "/boot/loader/entries/*.conf"
REAPPLY_FILE = "/etc/ironbook/host_tuning.json"
MERGED_KEYS = frozenset({"CPUAffinity"})
"""Keys of systemd whose assignments add up until an empty one."""


class Persisted(NamedTuple):
    """What sets a value at the next boot."""

    value: str
    file: str


def text_of(host: Host, path: str) -> str:
    """Read a configuration file; one that is absent, masked by a link to /dev/null, or unreadable says nothing."""
    try:
        return host.read(path)
    except (AbsentError, UnreadableError):
        return ""


def drop_ins(host: Host, below: str, ending: str) -> list[str]:
    """Return the files of a drop-in directory in the order in which systemd reads them, hidden ones left out."""
    by_name: dict[str, str] = {}
    for directory in DIRECTORIES:
        for path in host.matching(f"{directory}/{below}/*{ending}"):
            by_name.setdefault(os.path.basename(path), path)
    return [by_name[name] for name in sorted(by_name)]


def sysctl(host: Host, key: str) -> Persisted | None:
    """Ask sysctl.d as systemd-sysctl does: the last assignment wins, and one by name wins over any by pattern.

    /etc/sysctl.conf counts where a link of sysctl.d leads to it, as on Debian 12: systemd reads it in no other way.
    """
    wanted = sysctl_path(key)
    by_name: Persisted | None = None
    by_pattern: Persisted | None = None
    named = False
    for path in drop_ins(host, "sysctl.d", ".conf"):
        for name, value in sysctl_lines(text_of(host, path)):
            if name == wanted:
                named = True
                by_name = None if value is None else Persisted(value, path)
            elif value is not None and fnmatch.fnmatch(wanted, name):
                by_pattern = Persisted(value, path)
    return by_name if named else by_pattern


def sysctl_path(key: str) -> str:
    """Turn a key into the path below /proc/sys: after a dot that comes first, dots and slashes are exchanged."""
    first = re.search(r"[./]", key)
    return key if not first or first[0] == "/" else key.translate(str.maketrans("./", "/."))


def sysctl_lines(text: str) -> Iterator[tuple[str, str | None]]:
    """Return the assignments of a file; a value of None takes the key out of every pattern."""
    for line in map(str.strip, text.splitlines()):
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        key = key.strip()
        if equals:
            yield sysctl_path(key.removeprefix("-")), value.strip()
        elif key.startswith("-"):
            yield sysctl_path(key[1:]), None


def tmpfiles(host: Host, wanted: str) -> Persisted | None:
    """Ask tmpfiles.d what is written to a path: of equal paths the first line counts, of different ones the last."""
    found: dict[str, Persisted] = {}
    for path in drop_ins(host, "tmpfiles.d", ".conf"):
        for line in text_of(host, path).splitlines():
            fields = line.split(None, 6)
            if len(fields) == 7 and re.fullmatch(r"w[+!-]*", fields[0]):
                value = fields[6].strip().replace("%%", "%")
                found.setdefault(fields[1], Persisted(value, path))
    matching = [each for pattern, each in found.items() if pattern == wanted or fnmatch.fnmatch(wanted, pattern)]
    return matching[-1] if matching else None


def boot_loader(host: Host) -> Literal["grub", "entries", "none"]:
    """Tell who passes the kernel its parameters: boot entries with grubby, GRUB's own files, or nothing we know."""
    if host.matching(ENTRIES):
        return "entries"
    return "grub" if host.exists("/etc/default/grub") or host.exists("/etc/default/grub.d") else "none"


def kernel_parameter(host: Host, name: str) -> Persisted | None:
    """Return what the next boot passes the kernel."""
    loader = boot_loader(host)
    if loader == "entries":
        return _of_entries(host, name)
    if loader == "none":
        return None
    said = last_word(grub_words(host), name)
    booted = _of_grub_config(host, name)
    if booted is NotImplemented:
        return said
    if booted is None:
        return None  # whatever the defaults say: update-grub has not run since
    return Persisted(booted, said.file if said is not None and said.value == booted else GRUB_CONFIG)


def grub_words(host: Host) -> list[tuple[str, str]]:
    """Return the words that /etc/default/grub and grub.d pass the kernel, each with its file, in the kernel's order."""
    variables: dict[str, list[tuple[str, str]]] = {"GRUB_CMDLINE_LINUX": [], GRUB_VARIABLE: []}
    for path in ["/etc/default/grub", *host.matching("/etc/default/grub.d/*.cfg")]:
        for line in text_of(host, path).splitlines():
            match = GRUB_ASSIGNMENT.match(line)
            if not match:
                continue
            try:
                parts = shlex.split(match[3], comments=True)
            except ValueError:
                continue  # a line that no shell would take
            words: list[tuple[str, str]] = list(variables[match[1]]) if match[2] == "+=" else []
            for word in (parts[0] if parts else "").split():
                other = variables.get(word.strip("${}")) if word.startswith("$") else None
                words += [(word, path)] if other is None else other
            variables[match[1]] = words
    return variables["GRUB_CMDLINE_LINUX"] + variables[GRUB_VARIABLE]


def last_word(words: list[tuple[str, str]], name: str) -> Persisted | None:
    """Return the value of a parameter; ``hugepagesz=1G hugepages`` is the count that stands behind that size."""
    size, space, counted = name.rpartition(" ")
    found = None
    before = ""
    for word, path in words:
        key, _equals, value = word.partition("=")
        if key == counted and (not space or before == size):
            found = Persisted(value, path)
        before = word
    return found


def _of_grub_config(host: Host, name: str) -> Any:
    """Return the value in the first entry of grub.cfg; None where it lacks it, NotImplemented without a grub.cfg."""
    match = re.search(r"(?m)^\s*linux\S*\s+\S+(.*)$", text_of(host, GRUB_CONFIG))
    if not match:
        return NotImplemented
    found = last_word([(word, GRUB_CONFIG) for word in match[1].split()], name)
    return None if found is None else found.value


def _of_entries(host: Host, name: str) -> Persisted | None:
    """Return the value in the newest boot entry, rescue entries left out."""
    entries = [path for path in host.matching(ENTRIES) if "rescue" not in path]
    if not entries:
        return None
    newest = max(entries, key=_by_version)
    return last_word([(word, newest) for word in entry_words(host, newest)], name)


def entry_words(host: Host, path: str) -> list[str]:
    """Return the kernel's words of a boot entry, variables of grubenv put in."""
    environment = text_of(host, "/boot/grub2/grubenv") or text_of(host, "/boot/grub/grubenv")
    known = dict(line.partition("=")[::2] for line in environment.splitlines() if "=" in line)
    words: list[str] = []
    for line in text_of(host, path).splitlines():
        if line.startswith("options"):
            for word in line.split()[1:]:
                words += known.get(word[1:], "").split() if word.startswith("$") else [word]
    return words


def _by_version(path: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|\D+", path)]


def huge_pages(host: Host, size_kib: int) -> Persisted | None:
    """Return how many pages of a size the next boot asks for."""
    return kernel_parameter(host, f"hugepagesz={size_word(size_kib)} hugepages")


def huge_pages_asked(host: Host, size_kib: int) -> str | None:
    """Return how many pages of a size this boot was asked for."""
    words = [(word, "/proc/cmdline") for word in text_of(host, "/proc/cmdline").split()]
    found = last_word(words, f"hugepagesz={size_word(size_kib)} hugepages")
    return None if found is None else found.value


def size_word(size_kib: int) -> str:
    """Spell the size of a page as the kernel's parameter does."""
    return f"{size_kib // 1048576}G" if size_kib >= 1048576 else f"{size_kib // 1024}M"


def reapplied(
    machine: Machine, belongs: Callable[[dict[str, Any], str], bool], names: list[str] | None = None
) -> Persisted | None:
    """Return what is set again when an interface comes up; None where one of them is forgotten.

    Different values of different interfaces stand beside each other.

    Args:
        machine: the host.
        belongs: whether an entry is of this kind, for the interface that it names.
        names: the interfaces that have such a value; None are all judged ones.

    """
    try:
        entries = json.loads(text_of(machine.host, REAPPLY_FILE) or "{}").get("entries", [])
    except (ValueError, AttributeError):
        return None
    found: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, dict) and belongs(entry, str(entry.get("interface"))):
            found[str(entry.get("interface"))] = str(entry.get("value"))
    if names is None:
        names = [interface.name for interface in machine.facts.interfaces]
    if not names or any(name not in found for name in names):
        return None
    return Persisted(" ".join(dict.fromkeys(found[name] for name in names)), REAPPLY_FILE)


def systemd_key(host: Host, file: str, section: str, key: str) -> Persisted | None:
    """Return a key of systemd's configuration, by its main file and all drop-ins; `file` is one of the drop-ins."""
    below = os.path.dirname(file).removeprefix("/etc/")
    mains = [f"{directory}/{below.removesuffix('.d')}" for directory in DIRECTORIES]
    main = next((path for path in mains if host.exists(path)), None)
    found: Persisted | None = None
    for path in [*([main] if main else []), *drop_ins(host, below, ".conf")]:
        for value in section_values(text_of(host, path), section, key):
            adds = key in MERGED_KEYS and found is not None and found.value and value
            text = values.as_cpu_list(_cpus(found.value) | _cpus(value)) if adds and found else value
            found = Persisted(text, path)
    return found


def section_values(text: str, section: str, key: str) -> Iterator[str]:
    """Return the values of a key of a section, in order."""
    current = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1]
        elif current == section and line.partition("=")[0].strip() == key and "=" in line:
            yield line.partition("=")[2].strip()


def _cpus(text: str) -> frozenset[int]:
    return values.cpu_list(",".join(text.replace(",", " ").split()))


def has_unit(host: Host, name: str) -> bool:
    """Tell whether the host has a unit; a masked one counts where the unit itself is there too."""
    places = [f"{directory}/systemd/system/{name}" for directory in ("/usr/lib", "/lib", "/etc", "/run")]
    return any(host.exists(path) for path in places)


def unit(host: Host, name: str) -> Persisted | None:
    """Return what the next boot does with a unit: masked, enabled or disabled; None where the host has none."""
    path = f"/etc/systemd/system/{name}"
    try:
        if host.link_name(path) == "null":
            return Persisted("masked", path)
    except AbsentError:
        pass
    for directory in DIRECTORIES:
        for kind in ("wants", "requires"):
            links = host.matching(f"{directory}/systemd/system/*.{kind}/{name}")
            if links:
                return Persisted("enabled", links[0])
    places = [f"{directory}/systemd/system/{name}" for directory in DIRECTORIES]
    there = next((place for place in places if host.exists(place)), None)
    return None if there is None else Persisted("disabled", there)


def file_line(host: Host, path: str, key: str, separator: str) -> Persisted | None:
    """Return the value of a line of a file; the last one counts."""
    found = None
    for line in text_of(host, path).splitlines():
        if not line.lstrip().startswith("#") and line.startswith(key + separator):
            found = Persisted(line[len(key + separator) :].strip(), path)
    return found
