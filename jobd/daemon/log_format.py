"""How a record stands in the daemon's log: what it quotes begins no line and drives no terminal."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final

from jobd.contract.wording import printable

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_INDENT: Final = "    "
"""Before each line below the first: a text with line breaks cannot pass for another record."""
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LogFormat(logging.Formatter):
    """One record is one line, with a traceback indented below it. Any thread that logs calls it."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging has it
        return printable(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - as logging has it
        lines = super().formatException(ei).split("\n")
        return "\n".join(_INDENT + printable(line) for line in lines)
