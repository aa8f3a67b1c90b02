"""Lines of the log that take their time: the login of a user may have to be asked for over a
network, and neither the listener nor the timer waits for that.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Final

_MOST: Final = 1000
"""Lines that wait; while nobody answers, more are dropped."""
_LEAVES_S: Final = 1.0
"""Seconds that the last lines have."""


class SaidLater:
    """As `Logger.warning`, in a thread of its own, which is there while there is something to say.

    Any thread may call.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._changed = threading.Condition()
        self._lines: deque[tuple[str, tuple[object, ...]]] = deque()
        self._is_saying = False

    def warning(self, text: str, *values: object) -> None:
        with self._changed:
            if len(self._lines) < _MOST:
                self._lines.append((text, values))
            if self._is_saying:
                return
            self._is_saying = True
        try:
            threading.Thread(target=self._say, name="log", daemon=True).start()
        except RuntimeError:  # no thread just now: the next line tries again
            self._stop()

    def close(self) -> None:
        """What is left is said, as far as that is soon done."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_saying, _LEAVES_S)

    def _say(self) -> None:
        while line := self._next():
            text, values = line
            self._log.warning(text, *values)

    def _next(self) -> tuple[str, tuple[object, ...]] | None:
        with self._changed:
            if self._lines:
                return self._lines.popleft()
            self._stop()
            return None

    def _stop(self) -> None:
        with self._changed:
            self._is_saying = False
            self._changed.notify_all()
