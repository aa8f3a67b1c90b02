"""How many of many to do at a time, where others wait meanwhile: by time, not by number."""

from __future__ import annotations

from typing import Final

_GOAL_S: Final = 0.01
"""Seconds that one slice is to take: a tenth of the longest that anybody is to wait, who may find
one at work, and the next before him; and on a busy machine each takes several times as long as the
one before has told.
"""


class Pace:
    """The size of the next slice, by what those before have taken.

    One thread at a time uses it.
    """

    def __init__(self, least: int, most: int) -> None:
        """Slices of `least` to `most`; the first ones are small, since nothing is known yet."""
        self._least = min(least, most)
        self._most = most
        self.size = self._least

    def took(self, count: int, seconds: float) -> None:
        """A slice of so many was done. One that was quick by chance does not make the next huge."""
        fitting = int(count * _GOAL_S / seconds) if seconds > 0 else self._most
        self.size = max(self._least, min(self._most, 2 * self.size, fitting))
