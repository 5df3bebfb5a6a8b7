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
    "tcp-segmentation-offload": 0x1E,
    "generic-segmentation-offload": 0x23,
    "generic-receive-offload": 0x2B,
}
ETHTOOL_GFLAGS = 0x25
ETH_FLAG_LRO = 1 << 15

# Where a value stands among the 32-bit words that follow the command word.
COALESCE_WORDS = {"rx-usecs": 0, "tx-usecs": 4, "adaptive-rx": 9}
RING_WORDS = {"rx": 4, "tx": 7}
CHANNEL_WORDS = {"combined": 7}
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL)


class Ethtool(Protocol):
    """Values of one interface by name; a name that is missing is not offered by the driver."""

    def values(self, interface: str) -> dict[str, int]:
        """Return what is known of an interface."""


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
                found["large-receive-offload"] = int(bool(flags[0] & ETH_FLAG_LRO))
        return found

    @staticmethod
    def _ask(door: socket.socket, interface: str, command: int, count: int) -> tuple[int, ...] | None:
        """One request: a command word and room for ``count`` words of answer; None when the driver lacks it."""
        buffer = array.array("I", [command] + [0] * count)
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
        return found


def parse_output(text: str) -> dict[str, int]:
    """Turn the lines ``name: value`` of ethtool's output into numbers; n/a is left out, on and off are 1 and 0.

    Of the two blocks of -g and -l the current settings stand below the maxima, so the later line wins.
    """
    found: dict[str, int] = {}
    adaptive = re.search(r"Adaptive RX:\s*(on|off)", text)
    if adaptive:
        found["adaptive-rx"] = int(adaptive[1] == "on")
    for name, value in re.findall(r"(?m)^\s*([A-Za-z][\w-]*):\s*(\d+|on|off)\b", text):
        found[name.lower()] = int(value) if value.isdigit() else int(value == "on")
    return found
