"""The output of a job as lines of a screen, read on as it grows."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from jobctl.actions.tails import SEQUENCE
from jobd.client.client import Client
from jobd.client.outputs import seen_up_to
from jobd.client.stalls import check_piece
from jobd.contract.errors import JobdError, NotFound
from jobd.contract.models import Output
from jobd.contract.states import State
from jobd.contract.wording import printable

_LINES: Final = 500
"""Of the end of an output."""
_LONGEST: Final = 2000
"""Characters of a line."""
_KEPT: Final = 4 * _LONGEST
"""Characters of one that has not ended, with what a terminal does not show of it."""
_WAIT_S: Final = 5.0
"""Seconds for which the daemon may hold an answer back; so long a thread may outlast its pane."""
_AWAY_S: Final = 2.0
"""Seconds until a daemon that is away is asked for again."""
_ESCAPES: Final = re.compile(SEQUENCE)


class Lines:
    """The last lines of what was printed, as a terminal would show them."""

    def __init__(self, most: int = _LINES) -> None:
        self._whole: deque[str] = deque(maxlen=most)
        self._last = ""
        """The line that is not complete yet, as it was printed."""
        self._rest = b""
        """The begin of a character."""

    def add(self, data: bytes) -> None:
        data = self._rest + data
        cut = _begun(data)
        self._rest = data[len(data) - cut :] if cut else b""
        text = data[: len(data) - cut].decode("utf-8", "replace")
        *whole, last = (self._last + text.replace("\r\n", "\n")).split("\n")
        self._whole.extend(_shown(line) for line in whole)
        # What was overwritten is not shown, and need not be kept; nor what is beyond the screen.
        self._last = last[-_LONGEST:] if last.endswith("\r") else last.rpartition("\r")[2][:_KEPT]

    def all(self) -> list[str]:
        return [*self._whole, *([_shown(self._last)] if self._last else [])]


def _begun(data: bytes) -> int:
    """Bytes at the end that are the begin of a character of UTF-8."""
    for count in range(1, min(4, len(data) + 1)):
        byte = data[-count]
        if byte >= 0xC0:
            needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return count if count < needs else 0
        if byte < 0x80:
            return 0
    return 0


def _shown(line: str) -> str:
    """What stands last where a line was written over and over, as of a progress bar."""
    parts = [part for part in line.split("\r") if part]
    text = _ESCAPES.sub("", parts[-1] if parts else "")
    return printable(text.expandtabs()[:_LONGEST])


class Following:
    """One output, in a thread and with a client of its own; `tell` is called by that thread."""

    def __init__(
        self, connect: Callable[[], Client], job: int, tell: Callable[[list[str], str], None]
    ) -> None:
        """`tell`: the lines, and what is to be said of them."""
        self.job = job
        self._connect = connect
        self._tell = tell
        self._closed = threading.Event()
        self._lines = Lines()
        self._ended: int | None = None
        """The attempt of which all has been read."""

    def start(self) -> None:
        threading.Thread(target=self._run, name=f"top-output-{self.job}", daemon=True).start()

    def close(self) -> None:
        """Nothing is told any more; its thread ends with the next answer."""
        self._closed.set()

    def is_behind(self, attempt: int) -> bool:
        """Whether this is an attempt that is not read, since an earlier one has come to its end."""
        return self._ended is not None and attempt > self._ended

    # --- its thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        with self._connect() as client:
            while not self._closed.is_set() and not self._is_read(client):
                self._closed.wait(_AWAY_S)

    def _is_read(self, client: Client) -> bool:
        """Whether nothing more comes; else the daemon is away, and asked again later."""
        try:
            self._follow(client)
        except JobdError as error:
            self._say(error.message)
            return isinstance(error, NotFound)
        return True

    def _follow(self, client: Client) -> None:
        """As `outputs.output`, but held back for short times, since nobody may want it any more."""
        self._lines = Lines()
        request = Output(id=self.job, tail=_LINES, follows=False)
        while not self._closed.is_set():
            piece = client.output(request)
            if request.tail is None:
                check_piece(request.offset, piece)
            if piece.anew:
                self._lines = Lines()
            self._lines.add(piece.data)
            self._say((piece.lost or "") if piece.data or self._lines.all() else _why(piece.why))
            if piece.ended:
                self._ended = piece.attempt
                return
            started = piece.state is not State.PENDING
            request = replace(
                request,
                attempt=piece.attempt if started else None,
                offset=piece.behind,
                seen=seen_up_to(request.seen, piece),
                tail=None,
                wait=_WAIT_S,
            )

    def _say(self, about: str) -> None:
        if not self._closed.is_set():
            self._tell(self._lines.all(), about)


def _why(why: str | None) -> str:
    return f"not started yet: {why}" if why else "no output yet"
