"""Whoever reads long lists makes way for the queue while that is busy.

A page of a list takes the interpreter for milliseconds, and a job that is being started or ended
wants it twenty times, each time for less than one: beside one list after the other that would be
a third of the jobs. So while jobs come and go pages are short, one is made at a time, and after
each the processor is left to the queue for longer than the page has taken it. Where nothing
happens, or little, a list is as quick as it can be.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jobd.daemon.jobs.notifier import Subscriber
from jobd.system.turn import Turn, has_turn

_COMMITS: Final = 5
_WITHIN_S: Final = 0.1
"""So many transactions with news in so many seconds: the queue is busy."""
_REST: Final = 4.0
"""Times as long as a page has taken the processor."""


class Traffic(Subscriber):
    """Any thread may ask; it subscribes to the notifier."""

    def __init__(self) -> None:
        self._turn = Turn(_REST)
        self._latest = deque([float("-inf")] * _COMMITS, _COMMITS)
        """When the last ones were, on the monotonic clock."""

    @property
    def is_heavy(self) -> bool:
        """Whether the queue is busy just now."""
        return time.monotonic() - self._latest[0] < _WITHIN_S

    @contextmanager
    def way_given(self) -> Iterator[None]:
        """Around the making of a page."""
        # Who takes turns with others already rests enough.
        if has_turn() or not self.is_heavy:
            yield
            return
        with self._turn.taken():
            yield

    # --- as a subscriber ------------------------------------------------------------------------

    def published(self, last_event: int) -> None:  # noqa: ARG002 # whichever it is
        self._latest.append(time.monotonic())
