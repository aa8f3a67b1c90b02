"""The two streams: who may write what where.

What is printed may quote anybody: a job, its submitter, a daemon of somebody else's. So all text
is made fit for a terminal here, at the one way out, wherever it comes from and wherever the stream
goes; colours are ours and are put round it here, too. What has to arrive byte for byte (`raw`) is
output of jobs, and what is piped to a program that asked for it.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from enum import StrEnum
from typing import Final, NamedTuple, TextIO

from jobd.contract.inherited import fill_standard
from jobd.contract.wording import printable, printable_json, shortened

_FOOTER: Final = 80
"""Columns that the counts below a table may take; on a narrow terminal these are several lines."""
_CODES: Final = {
    "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
    "dim": "2",
}  # fmt: skip


class Painted(NamedTuple):
    """A part of a line, in colour where its stream takes that."""

    text: str
    colour: str


class Colour(StrEnum):
    """When to use colour: the values of `--color`."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


_wanted = [Colour.AUTO]
_is_quiet = [False]
beside: Final[list[Callable[[], AbstractContextManager[None]]]] = []
"""What is drawn on stderr makes room within these for a line."""


def use_colour(when: Colour) -> None:
    """What `--color` said; it counts for both streams."""
    _wanted[0] = when


def prepare() -> None:
    """Streams that never fail on a character. One that a parent closed is there, and fails."""
    fill_standard()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 # kept
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def line(*parts: str | Painted) -> None:
    """A line of data on stdout; one line, whatever stands in it."""
    sys.stdout.write("".join([_fit(part, sys.stdout) for part in parts]) + "\n")


def json(encoded: bytes) -> None:
    """JSON on stdout, at once: the same values, and nothing in them drives a terminal."""
    text = printable_json(encoded.decode())
    if on_terminal():
        # In its own encoding: one of Latin-1 takes bytes of UTF-8 for orders.
        now(text)
    else:
        raw(text.encode())


def raw(data: bytes) -> None:
    """Bytes on stdout, unchanged and at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def now(text: str) -> None:
    """Text that is fit for it, on stdout, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def flush() -> None:
    sys.stdout.flush()


def error(text: str) -> None:
    """What went wrong, with the program's name before it."""
    _stderr(Painted("jobctl:", "red"), f" {shortened(text)}")


def notice(text: str = "") -> None:
    """What a user should know, wherever stderr goes."""
    if not _is_quiet[0]:
        _stderr(text)


def hint(text: str) -> None:
    """What helps a person; a script, or a person's `$(...)`, is spared it."""
    if sys.stdout.isatty():
        plain_hint(text)


def plain_hint(text: str) -> None:
    """A hint that does not depend on where stdout goes."""
    if tells_person():
        _stderr(text)


def tells_person() -> bool:
    """Whether a person reads what is said beside the data."""
    return sys.stderr.isatty() and not _is_quiet[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Within it nothing is said beside the data but errors."""
    _is_quiet[0] = True
    try:
        yield
    finally:
        _is_quiet[0] = False


def can_draw_over() -> bool:
    """Whether a person sees a line on stderr that another one takes the place of."""
    return tells_person() and not is_dumb()


def draw(orders: str, text: str = "") -> None:
    """On stderr: orders to a terminal whose cursor can be moved, then a piece of a line."""
    with suppress(OSError):
        sys.stderr.write(orders + (_fit(Painted(text, "dim"), sys.stderr) if text else ""))
        sys.stderr.flush()


def _stderr(*parts: str | Painted) -> None:
    """A line. That nobody can be told changes nothing of what was done, nor how it ended."""
    with suppress(OSError):
        flush()  # what could not be written stays in the buffer, and fails again at the end
    with ExitStack() as stack, suppress(OSError):
        for aside in beside:
            stack.enter_context(aside())
        sys.stderr.write("".join([_fit(part, sys.stderr) for part in parts]) + "\n")
        sys.stderr.flush()


def end_line() -> None:
    """Keep a verdict off the line that a job's output left open, where both show up."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        sys.stderr.write("\n")


def abandon_stdout() -> None:
    """Nobody reads any more: what is still buffered goes nowhere, silently."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.close(sink)


def end_with_reader() -> None:
    """From here on the command ends with 0 once nobody reads stdout any more, also while it waits.

    For what goes on without end and only looks: a pipe whose reader has left it otherwise tells
    that only to who writes the next line.
    """
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return  # it leads nowhere outside of this process
    import threading

    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        threading.Thread(target=_leave_with_reader, args=[descriptor], daemon=True).start()


def _leave_with_reader(descriptor: int) -> None:
    """In a thread of its own: the command may be waiting for anything."""
    reader = select.poll()
    reader.register(descriptor, 0)  # an error and a hang-up are told without being asked for
    reader.poll()
    os._exit(0)


def on_terminal() -> bool:
    return sys.stdout.isatty()


def width() -> int:
    """Columns of the terminal."""
    import shutil

    return shutil.get_terminal_size().columns


def rows() -> int:
    """Rows of a table that the terminal has room for, beside its header, what stands below it, and
    the line in which one types.
    """
    import shutil

    size = shutil.get_terminal_size()
    footer = -(-_FOOTER // max(1, size.columns))
    return max(1, size.lines - 2 - footer)


def can_redraw() -> bool:
    """Whether stdout is a terminal with a cursor that can be moved, and shows any character."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return on_terminal() and not is_dumb() and encoding == "utf8"


def is_dumb() -> bool:
    """A terminal that cannot move its cursor."""
    return os.environ.get("TERM", "dumb") in ("", "dumb")


def in_colour(stream: TextIO) -> bool:
    """On a terminal, unless `NO_COLOR` (no-color.org) is set; `--color` outdoes both."""
    if _wanted[0] is not Colour.AUTO:
        return _wanted[0] is Colour.ALWAYS
    return stream.isatty() and not os.environ.get("NO_COLOR") and not is_dumb()


def paints() -> bool:
    """Whether what is painted on stdout is seen."""
    return in_colour(sys.stdout)


def painted(text: str, colour: str) -> str:
    """For stdout, where it goes out as it is (`raw`)."""
    return _fit(Painted(text, colour), sys.stdout)


def _fit(part: str | Painted, stream: TextIO) -> str:
    if isinstance(part, str):
        return printable(part)
    text = printable(part.text)
    return f"\x1b[{_CODES[part.colour]}m{text}\x1b[0m" if in_colour(stream) else text
