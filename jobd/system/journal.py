"""The journal of systemd, spoken to in its own protocol: a line with fields beside its text.

systemd.io/JOURNAL_NATIVE_PROTOCOL has it: a datagram of NAME=value lines; a value with line breaks
stands behind its length. Standard library only.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

SOCKET: Final = "/run/systemd/journal/socket"
_LONGEST: Final = 60_000
"""Bytes of one value; a datagram holds no more than some 200,000."""
_PATIENCE_S: Final = 1.0
"""Seconds that a line waits for room: where the journal hangs, the daemon goes on without."""
_PRIORITIES: Final = {
    logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7,
}  # fmt: skip
"""Of syslog(3)."""
_OTHER: Final = 5


def takes_our_stderr(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether stderr leads into the journal, as systemd.exec(5) has it said: `JOURNAL_STREAM`."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"


def encoded(fields: Mapping[str, str]) -> bytes:
    """Names are in capitals."""
    pieces = []
    for name, text in fields.items():
        value = text.encode("utf-8", "replace")[:_LONGEST]
        if b"\n" in value:
            pieces.append(name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n")
        else:
            pieces.append(name.encode() + b"=" + value + b"\n")
    return b"".join(pieces)


class Journal(logging.Handler):
    """Any thread that logs calls it; a line that cannot be sent goes to stderr, without fields. One
    that a journal which hangs does not take is lost.
    """

    def __init__(
        self,
        about: Callable[[logging.LogRecord], Mapping[str, object]],
        path: str = SOCKET,
    ) -> None:
        """`about`: what a record is about, by names in lower case."""
        super().__init__()
        self._about = about
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_PATIENCE_S)

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        fields = {
            "MESSAGE": text,
            "PRIORITY": str(_PRIORITIES.get(record.levelno, _OTHER)),
            "SYSLOG_IDENTIFIER": "jobd",
            "LOGGER": record.name,
            **{f"JOBD_{name.upper()}": str(value) for name, value in self._about(record).items()},
        }
        try:
            self._socket.sendto(encoded(fields), self._path)
        except TimeoutError:
            return  # stderr leads to the same journal
        except OSError:
            with suppress(OSError):
                os.write(2, text.encode("utf-8", "replace") + b"\n")
