# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's spellings of a value, turned into one: CPU lists, hex masks, bracketed choices, numbers.

Every function raises ValueError on what it does not understand, which the audit reports as unknown: a guess would be a
verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MOST_CPUS = 1 << 16
"""More than any kernel is built for. A list beyond that is a slip of the hand or damage, and as a set it would take all
memory."""


def number(text: str) -> int:
    """Read a decimal number, with or without a sign."""
    return int(text.strip())


def switch(text: str) -> bool:
    """Read on and off, as ethtool says them."""
    if text.strip() not in ("on", "off"):
        raise ValueError(f"neither on nor off: {text.strip()!r}")
    return text.strip() == "on"


def word(text: str) -> str:
    """Read a word or a line."""
    return text.strip()


def choice(text: str) -> str:
    """Read the chosen word of ``always madvise [never]``; a file that offers no choice holds the word alone."""
    chosen = re.findall(r"\[([^\]]+)\]", text)
    if len(chosen) > 1 or (not chosen and len(text.split()) != 1):
        raise ValueError(f"no chosen word in {text.strip()!r}")
    return chosen[0] if chosen else text.strip()


def cpu_list(text: str) -> frozenset[int]:
    """Read ``0-3,8,10-14:2``; an empty file and ``(null)``, which the kernel prints for an unset list, are no CPU."""
    text = text.strip()
    if text in ("", "(null)"):
        return frozenset()
    cpus: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part.strip())
        if not match:
            raise ValueError(f"no CPU list: {text!r}")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or step < 1 or last >= MOST_CPUS:
            raise ValueError(f"no CPU list: {text!r}")
        cpus.update(range(first, last + 1, step))
    return frozenset(cpus)


def cpu_mask(text: str) -> frozenset[int]:
    """Read ``ff,ffffffff``: 32-bit words in hex, the highest first, leading zeros as the kernel likes."""
    words = text.strip().split(",")
    if not all(re.fullmatch(r"[0-9a-fA-F]{1,8}", part) for part in words):
        raise ValueError(f"no CPU mask: {text.strip()!r}")
    bits = int("".join(part.zfill(8) for part in words), 16)
    return frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


def as_cpu_list(cpus: Iterable[int]) -> str:
    """Write CPUs as the kernel does: ``0-3,8``."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and cpu == parts[-1][1] + 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def as_cpu_mask(cpus: Iterable[int]) -> str:
    """Write CPUs as the kernel's masks are: 32-bit words in hex, the highest first."""
    bits = sum(1 << cpu for cpu in cpus)
    words: list[str] = []
    while bits or not words:
        words.append(f"{bits & 0xFFFFFFFF:x}" if bits >> 32 == 0 else f"{bits & 0xFFFFFFFF:08x}")
        bits >>= 32
    return ",".join(reversed(words))


def version(text: str) -> tuple[int, ...]:
    """Read ``2.13.0g`` as (2, 13, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", text.strip())
    if not match:
        raise ValueError(f"no version: {text.strip()!r}")
    return tuple(int(part) for part in match[0].split("."))


def shown(value: Any) -> str:
    """Write a value for people."""
    if value is None:
        return "not set"
    if isinstance(value, frozenset):
        return as_cpu_list(value) or "none"
    if isinstance(value, tuple):
        return ".".join(str(part) for part in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value) or "(empty)"
