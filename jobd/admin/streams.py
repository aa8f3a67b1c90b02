"""The two streams of the command `jobd`: nothing that is printed drives a terminal."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from typing import TextIO

from jobd.contract.inherited import fill_standard
from jobd.contract.wording import printable, printable_json, shortened


def prepare() -> None:
    """Streams that never fail on a character. One that a parent closed is there, and fails."""
    fill_standard()
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - kept
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def line(text: str) -> None:
    """On stdout: what was asked for. It may quote paths, or whoever answered.

    Raises: OSError (it cannot be written, also since stdout is closed).
    """
    _write(printable(text), sys.stdout)


def done(text: str) -> None:
    """On stdout: what was done. Where that is closed nobody wants to hear it: the exit code says
    it, too, and that it failed would not be true.

    Raises: OSError (it cannot be written).
    """
    try:
        line(text)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        abandon_stdout()


def lines(text: str) -> None:
    """The same of several."""
    for each in text.splitlines():
        line(each)


def notice(text: str) -> None:
    """On stderr: what a user should know, and is not what was asked for."""
    _write(printable(text), sys.stderr)


def error(message: str) -> None:
    """What went wrong, on stderr. What stands below its first line is the end of a log."""
    first, *rest = message.split("\n")
    notice(f"jobd: {shortened(first)}")
    for more in rest:
        notice(f"    {more}")


def json_line(value: object) -> None:
    """A JSON object on stdout."""
    import msgspec

    _write(printable_json(json.dumps(msgspec.to_builtins(value))), sys.stdout)


def abandon_stdout() -> None:
    """What is still in its buffer would fail once more when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(text: str, stream: TextIO) -> None:
    """As it is: click would take UTF-8 for the encoding of a stream that has another one."""
    stream.write(f"{text}\n")
    stream.flush()
