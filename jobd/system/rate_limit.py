"""Lines of the log that others can cause: only so many of them in a minute.

Each kind of warning has a budget of its own, and in it each user one: a flood of one kind, or by
one user, leaves the lines of the others in the log.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Final, NamedTuple, Protocol

from jobd.system.timer import Timer

_MOST: Final = 100
"""Lines in one period; of more the number is told, once the period is over."""
_PERIOD_S: Final = 60.0
_USERS: Final = 1000
"""Those who have a budget of their own in one period; all others share one more."""


class _LeftOut(NamedTuple):
    number: int
    text: str
    values: tuple[object, ...]
    """Of the last one."""

    def __str__(self) -> str:
        last = (self.text % self.values).partition("\n")[0]
        return f"{self.number} more such warnings were left out, the last: {last}"


class Log(Protocol):
    """Where they are said: a logger, or what stands for one."""

    def warning(self, text: str, /, *values: object) -> None: ...


class RateLimit:
    """One kind of warning. Any thread may call."""

    def __init__(
        self, log: Log, timer: Timer, *, most: int | None = _MOST, each: int = _MOST
    ) -> None:
        """`timer`: tells what was left out; else there is nothing for it to do. `most`: lines in a
        minute, None for no limit but the `each`; `each`: those by the same user.
        """
        self._log = log
        self._timer = timer
        self._most = most
        self._each = each
        self._lock = threading.Lock()
        self._begun = float("-inf")
        self._said: Counter[object] = Counter()
        """By user, in this period."""
        self._left_out: _LeftOut | None = None

    def warning(self, text: str, *values: object, by: object = None) -> None:
        """Like `Logger.warning`, or nothing; `by`: whose budget it is. Values are made into text
        only where it is said.
        """
        with self._lock:
            before = self._turn_page(time.monotonic())
            said = self._may_say(by)
            if not said:
                self._leave_out(text, values)
        self._tell(before)
        if said:
            self._log.warning(text, *values)

    def tell_left_out(self) -> None:
        """How many were left out so far, if any were and nobody was told."""
        with self._lock:
            left_out, self._left_out = self._left_out, None
        self._tell(left_out)

    def _turn_page(self, now: float) -> _LeftOut | None:
        """What was left out in a period that has ended, if the timer has not told it yet."""
        if now - self._begun <= _PERIOD_S:
            return None
        left_out, self._left_out = self._left_out, None
        self._begun = now
        self._said.clear()
        return left_out

    def _leave_out(self, text: str, values: tuple[object, ...]) -> None:
        if self._left_out is None:
            self._timer.at(self._begun + _PERIOD_S, self.tell_left_out)
        number = 0 if self._left_out is None else self._left_out.number
        self._left_out = _LeftOut(number + 1, text, values)

    def _tell(self, left_out: _LeftOut | None) -> None:
        if left_out is not None:
            self._log.warning("%s", left_out)

    def _may_say(self, by: object) -> bool:
        if by not in self._said and len(self._said) >= _USERS:
            by = None
        if self._said[by] >= self._each:
            return False
        if self._most is not None and self._said.total() >= self._most:
            return False
        self._said[by] += 1
        return True
