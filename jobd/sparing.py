"""Lines of the log that a stranger can cause: only so many of them in a minute."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

_MOST: Final = 100
"""Lines in one period; of more the number is told, with the first line of a later period."""
_PERIOD_S: Final = 60.0


class Sparing:
    """Any thread may call."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._begun = float("-inf")
        self._count = 0

    def warning(self, text: str, *values: object) -> None:
        """Like `Logger.warning`, or nothing."""
        left_out = 0
        with self._lock:
            now = time.monotonic()
            if now - self._begun > _PERIOD_S:
                left_out = max(0, self._count - _MOST)
                self._begun, self._count = now, 0
            self._count += 1
            said = self._count <= _MOST
        if left_out:
            self._log.warning("%d more such warnings were left out", left_out)
        if said:
            self._log.warning(text, *values)
