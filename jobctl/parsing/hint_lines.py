"""Lines that hints show, as they would be typed, and what several hints say alike."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from typing import Final

ID: Final = "ID"
"""Stands where it is not known which job is meant."""
_IDS: Final = re.compile(r"[0-9][0-9,-]*")
_ENDS: Final = frozenset({"TERM", "KILL", "INT", "HUP", "QUIT", "ABRT"})
"""Signals that are sent to end a job; others are not what `stop` is for."""


def line(*words: str, program: str = "jobctl") -> str:
    """As it would be typed: one word stays one word."""
    return shlex.join([program, *words])


def but(left_out: Sequence[str]) -> str:
    """What stands behind a line that does less than was written."""
    return f"; left out: {', '.join(left_out)}" if left_out else ""


def script(words: Sequence[str]) -> list[str]:
    """The words for a script and its arguments where the first one is a file; else the same."""
    if not words or not os.path.isfile(words[0]):
        return list(words)
    name, *arguments = words
    dashes = ["--"] if arguments and arguments[0].startswith("-") else []
    return ["--script", name, *dashes, *arguments]


def ids(words: Sequence[str]) -> list[str]:
    """The same if all are ids here, too; `7_3` and `7.0` are none, nor is nothing."""
    return list(words) if words and all(map(_IDS.fullmatch, words)) else [ID]


def stopped(name: str, words: Sequence[str]) -> str | None:
    """The line for a signal that other queues send to end a job, or to halt it."""
    name = signal_name(name)
    if name in ("STOP", "CONT"):
        return line("pause" if name == "STOP" else "resume", *words)
    return line("stop", "--signal", name, *words) if name in _ENDS else None


def start(text: str) -> list[str] | None:
    """The option for a time as Slurm and at write it; None: it is none that we can read."""
    from jobctl.parsing import slurm, times

    words = slurm.begin(text)
    if words is not None and words[0] == "--at":
        try:
            times.parse_at(words[1])
        except ValueError:
            return None
    return words


def signal_name(text: str) -> str:
    """`KILL` for `9`, `SIGKILL` and `kill`; empty where there is no such signal."""
    from signal import Signals

    from jobd.contract.signals import signal_number

    try:
        return Signals(signal_number(text)).name.removeprefix("SIG")
    except ValueError:
        return ""


def login() -> str:
    """Of whoever asks; a placeholder where nobody knows."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return "LOGIN"
