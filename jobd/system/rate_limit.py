"""Lines of the log that others can cause: only so many of them in a minute.

Each kind of warning has a budget of its own, and in it each user one: a flood of one kind, or by
one user, leaves the lines of the others in the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import Final

_MOST: Final = 100
"""Lines in one period; of more the number is told, with the first line of a later period."""
_PERIOD_S: Final = 60.0
_USERS: Final = 1000
"""Those who have a budget of their own in one period; all others share one more."""


class RateLimit:
    """One kind of warning. Any thread may call.

    `most`: lines in a minute, None for no limit but the `each`; `each`: those by the same user.
    """

    def __init__(self, log: logging.Logger, *, most: int | None = _MOST, each: int = _MOST) -> None:
        self._log = log
        self._most = most
        self._each = each
        self._lock = threading.Lock()
        self._begun = float("-inf")
        self._said: Counter[object] = Counter()
        """By user, in this period."""
        self._left_out = 0

    def warning(self, text: str, *values: object, by: object = None) -> None:
        """Like `Logger.warning`, or nothing; `by`: whose budget it is. Values are made into text
        only where it is said.
        """
        with self._lock:
            left_out = self._turn_page(time.monotonic())
            said = self._may_say(by)
            self._left_out += not said
        if left_out:
            self._log.warning("%d more such warnings were left out", left_out)
        if said:
            self._log.warning(text, *values)

    def _turn_page(self, now: float) -> int:
        """How many were left out in a period that has ended; 0 where none has."""
        if now - self._begun <= _PERIOD_S:
            return 0
        left_out, self._left_out = self._left_out, 0
        self._begun = now
        self._said.clear()
        return left_out

    def _may_say(self, by: object) -> bool:
        if by not in self._said and len(self._said) >= _USERS:
            by = None
        if self._said[by] >= self._each:
            return False
        if self._most is not None and self._said.total() >= self._most:
            return False
        self._said[by] += 1
        return True
