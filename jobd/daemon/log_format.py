"""How a record stands in the daemon's log: what it quotes begins no line and drives no terminal."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import msgspec

from jobd.contract.watching import LogForm
from jobd.contract.wording import printable
from jobd.system import journal

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_INDENT: Final = "    "
"""Before each line below the first: a text with line breaks cannot pass for another record."""
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_PLACE: Final = re.compile(r"%%|(?:\b(job|attempt|request of) )?%[-#0 +.\d]*[a-z]")
"""Where a value comes, and the word before it that says what it is. All of our records keep to
that: `job %d: attempt %d …`, `a request of %s …`.
"""
_NAMES: Final = {"job": "job", "attempt": "attempt", "request of": "user"}


def about(record: logging.LogRecord) -> dict[str, int | str]:
    """The job, the attempt and the user that a record names."""
    return dict(_named(record))


def _named(record: logging.LogRecord) -> Iterator[tuple[str, int | str]]:
    values = record.args if isinstance(record.args, tuple) else ()
    places = [place for place in _PLACE.finditer(str(record.msg)) if place[0] != "%%"]
    for place, value in zip(places, values, strict=False):
        if place[1] is not None:
            yield _NAMES[place[1]], value if isinstance(value, int) else printable(str(value))


class LogFormat(logging.Formatter):
    """One record is one line, with a traceback indented below it. Any thread that logs calls it."""

    def __init__(self, text: str = _FORMAT) -> None:
        super().__init__(text)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging has it
        return printable(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - as logging has it
        lines = super().formatException(ei).split("\n")
        return "\n".join(_INDENT + printable(line) for line in lines)


class JsonFormat(LogFormat):
    """One record is one line of JSON, traceback and all."""

    def __init__(self) -> None:
        super().__init__("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
            **about(record),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(found).decode()


def handler_of(form: LogForm, usual: logging.Handler) -> logging.Handler:
    """Who writes the records of the daemon: the journal, where systemd has given us that, with
    fields; else the usual one, in the form that is wanted.
    """
    if journal.takes_our_stderr():
        into = journal.Journal(about)
        into.setFormatter(LogFormat("%(message)s"))
        return into
    usual.setFormatter(format_of(form))
    return usual


def format_of(form: LogForm) -> logging.Formatter:
    return JsonFormat() if form is LogForm.JSON else LogFormat()
