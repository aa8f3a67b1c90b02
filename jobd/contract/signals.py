"""Signals by name, as people and other programs write them."""

from __future__ import annotations

import re
import signal


def signal_number(name: str) -> int:
    """`KILL`, `SIGKILL`, `9` and `RTMIN+2` are numbers. Raises: ValueError."""
    word = name.strip().upper().removeprefix("SIG")
    if word.isascii() and word.isdigit():
        return _existing(int(word))
    realtime = re.fullmatch(r"(RTMIN\+|RTMAX-)(\d{1,2})", word)
    if realtime:
        base, sign = (signal.SIGRTMIN, 1) if realtime[1] == "RTMIN+" else (signal.SIGRTMAX, -1)
        return _existing(base + sign * int(realtime[2]))
    try:
        return int(signal.Signals[f"SIG{word}"])
    except KeyError as error:
        raise ValueError(f"no such signal: {name}") from error


def _existing(number: int) -> int:
    if not 1 <= number <= signal.SIGRTMAX:
        raise ValueError(f"no such signal: {number}")
    return number
