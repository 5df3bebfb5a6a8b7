# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ethtool` would print, read without it: by the kernel's SIOCETHTOOL on this machine, or from captured output.

The numbers are those of include/uapi/linux/ethtool.h; the read requests used here need no privilege. Exit codes of the
ethtool command are not trustworthy, and the command is often not installed.
"""

from __future__ import annotations

import array
import errno
import fcntl
import re
import socket
import struct
from typing import ClassVar, Protocol

from .host import AbsentError, Host, UnreadableError

SIOCETHTOOL = 0x8946
ETHTOOL_GCOALESCE = 0x0E
ETHTOOL_GRINGPARAM = 0x10
ETHTOOL_GCHANNELS = 0x3C
FEATURES = {
    "rx-checksumming": 0x14,
    "tx-checksumming": 0x16,
    "scatter-gather": 0x18,
    "tcp-segmentation-offload": 0x1E,
    "generic-segmentation-offload": 0x23,
    "generic-receive-offload": 0x2B,
}
ETHTOOL_GFLAGS = 0x25
FLAGS = {"large-receive-offload": 1 << 15, "ntuple-filters": 1 << 27}
ETHTOOL_GDRVINFO = 0x03
ETHTOOL_GSTRINGS = 0x1B
ETHTOOL_GSTATS = 0x1D
ETHTOOL_GTUNABLE = 0x48
RX_COPYBREAK = 1
TUNABLE_U32 = 3
DRIVER_COUNTERS = 44
"""Where the driver's description, whose last five words are numbers, says how many counters it has."""
STATISTICS = 1
"""The set of strings that names the counters."""
NAME_BYTES = 32

# Where a value stands among the 32-bit words that follow the command word.
COALESCE_WORDS = {"rx-usecs": 0, "tx-usecs": 4, "adaptive-rx": 9}
RING_WORDS = {"rx": 4, "tx": 7}
CHANNEL_WORDS = {"combined": 7}
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL)


class Ethtool(Protocol):
    """Values of one interface by name; a name that is missing is not offered by the driver."""

    def values(self, interface: str) -> dict[str, int]:
        """Return what is known of an interface."""

    def counters(self, interface: str) -> dict[str, int]:
        """Return the driver's own counters; none where it has none."""


class LiveEthtool:
    """Asks the kernel."""

    def values(self, interface: str) -> dict[str, int]:
        """Read all that the driver offers.

        Raises:
            UnreadableError: the kernel refused for another reason than that the driver lacks it.

        """
        found: dict[str, int] = {}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            for command, count, words, prefix in (
                (ETHTOOL_GCOALESCE, 22, COALESCE_WORDS, ""),
                (ETHTOOL_GRINGPARAM, 8, RING_WORDS, "ring-"),
                (ETHTOOL_GCHANNELS, 8, CHANNEL_WORDS, "channels-"),
            ):
                answer = self._ask(door, interface, command, count)
                if answer is not None:
                    found.update({prefix + name: answer[word] for name, word in words.items()})
            for name, command in FEATURES.items():
                answer = self._ask(door, interface, command, 1)
                if answer is not None:
                    found[name] = answer[0]
            flags = self._ask(door, interface, ETHTOOL_GFLAGS, 1)
            if flags is not None:
                found.update({name: int(bool(flags[0] & bit)) for name, bit in FLAGS.items()})
            copybreak = self._ask(door, interface, ETHTOOL_GTUNABLE, 4, RX_COPYBREAK, TUNABLE_U32, 4)
            if copybreak is not None:
                found["rx-copybreak"] = copybreak[3]
        return found

    def counters(self, interface: str) -> dict[str, int]:
        """Read the counters with their names.

        Raises:
            UnreadableError: as for the values.

        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            about = self._ask(door, interface, ETHTOOL_GDRVINFO, 48)
            count = about[DRIVER_COUNTERS] if about is not None else 0
            if not count:
                return {}
            names = self._ask(door, interface, ETHTOOL_GSTRINGS, 2 + count * NAME_BYTES // 4, STATISTICS, count)
            numbers = self._ask(door, interface, ETHTOOL_GSTATS, 1 + 2 * count, count)
        if names is None or numbers is None or not names[1] == numbers[0] == count:
            return {}  # the driver changed their number in between
        text = array.array("I", names[2:]).tobytes()
        found = {}
        for index in range(count):
            name = text[index * NAME_BYTES : (index + 1) * NAME_BYTES].split(b"\0")[0].decode(errors="replace")
            found[name.strip()] = struct.unpack_from("=Q", array.array("I", numbers[1:]), 8 * index)[0]
        return found

    @staticmethod
    def _ask(door: socket.socket, interface: str, command: int, count: int, *arguments: int) -> tuple[int, ...] | None:
        """One request: a command word and room for ``count`` words of answer; None when the driver lacks it."""
        buffer = array.array("I", [command, *arguments] + [0] * (count - len(arguments)))
        request = struct.pack("16sP", interface.encode(), buffer.buffer_info()[0]).ljust(40, b"\0")
        try:
            fcntl.ioctl(door.fileno(), SIOCETHTOOL, request)
        except OSError as exc:
            if exc.errno in UNSUPPORTED:
                return None
            raise UnreadableError(f"ethtool {interface}: {exc.strerror}") from None
        return tuple(buffer[1:])


class CapturedEthtool:
    """Reads ``_cmd/ethtool_-c_eth0.txt`` and the like, the command's output as it was captured on the host."""

    PREFIXES: ClassVar[dict[str, str]] = {"c": "", "g": "ring-", "l": "channels-", "k": ""}
    COPYBREAK = "rx-copybreak"

    def __init__(self, host: Host) -> None:
        """Take the captured tree."""
        self.host = host

    def values(self, interface: str) -> dict[str, int]:
        """Read the captured outputs.

        Raises:
            UnreadableError: none was captured for this interface.

        """
        found: dict[str, int] = {}
        outputs = 0
        for option, prefix in self.PREFIXES.items():
            try:
                text = self.host.read(f"/_cmd/ethtool_-{option}_{interface}.txt")
            except AbsentError:
                continue
            outputs += 1
            found.update({prefix + name: value for name, value in parse_output(text).items()})
        if not outputs:
            raise UnreadableError(f"ethtool {interface}: no output was captured")
        try:
            text = self.host.read(f"/_cmd/ethtool_--get-tunable_{interface}_{self.COPYBREAK}.txt")
        except AbsentError:
            return found
        return {**found, **parse_output(text)}

    def counters(self, interface: str) -> dict[str, int]:
        """Read the captured counters.

        Raises:
            UnreadableError: none were captured for this interface.

        """
        try:
            return parse_output(self.host.read(f"/_cmd/ethtool_-S_{interface}.txt"))
        except AbsentError:
            raise UnreadableError(f"ethtool -S {interface}: no output was captured") from None


def parse_output(text: str) -> dict[str, int]:
    """Turn the lines ``name: value`` of ethtool's output into numbers; n/a is left out, on and off are 1 and 0.

    Of the two blocks of -g and -l the current settings stand below the maxima, so the later line wins.
    """
    found: dict[str, int] = {}
    adaptive = re.search(r"Adaptive RX:\s*(on|off)", text)
    if adaptive:
        found["adaptive-rx"] = int(adaptive[1] == "on")
    for name, value in re.findall(r"(?m)^\s*([A-Za-z][\w -]*):\s*(\d+|on|off)\b", text):
        found[name.lower().replace(" ", "-")] = int(value) if value.isdigit() else int(value == "on")
    return found


class AskOnce:
    """An ethtool whose answers are kept: an audit looks at one state."""

    def __init__(self, ethtool: Ethtool) -> None:
        """Take the one that is asked."""
        self.ethtool = ethtool
        self.answers: dict[tuple[str, str], dict[str, int] | UnreadableError] = {}

    def values(self, interface: str) -> dict[str, int]:
        """Return what the first request returned, or raise what it raised."""
        return self._once("values", interface)

    def counters(self, interface: str) -> dict[str, int]:
        """Return what the first request returned, or raise what it raised."""
        return self._once("counters", interface)

    def _once(self, what: str, interface: str) -> dict[str, int]:
        if (what, interface) not in self.answers:
            try:
                self.answers[what, interface] = getattr(self.ethtool, what)(interface)
            except UnreadableError as exc:
                self.answers[what, interface] = exc
        found = self.answers[what, interface]
        if isinstance(found, UnreadableError):
            raise found
        return found
