"""Threads that take turns: one of them works at a time, and after that all of them rest a while.

For work that somebody may have done without end, and that has to leave most of the processor, and
of the interpreter, to others. A thread that waits for something to happen steps aside meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_REST: Final = 2.0
"""Times as long as the work has taken the processor: so much is left to others."""
_SHORTEST_REST_S: Final = 0.001
"""Also around the work something is done, and threads change."""
_LONGEST_REST_S: Final = 1.0
_PATIENCE_S: Final = 5.0
"""Seconds after which a turn passes on though its thread has not come back: that may be waiting
for a disk which never answers, and so it would be alone with that."""


class _Held(threading.local):
    """What this thread has."""

    turn: Turn | None = None
    began = 0.0
    """Seconds of the processor that the thread had taken before."""


_held: Final = _Held()


class Turn:
    """Any number of threads may share it."""

    def __init__(self, rest: float = _REST) -> None:
        """`rest`: how many times as long as the work."""
        self._rest = rest
        self._condition = threading.Condition()
        self._holder: int | None = None
        """The thread (`threading.get_ident`)."""
        self._free_at = 0.0
        """On the monotonic clock: the end of the rest, or of the patience with the holder."""

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work, once it is this thread's turn."""
        self.take()
        try:
            yield
        finally:
            self.give()

    def take(self) -> None:
        """Wait until it is this thread's, and have it."""
        with self._condition:
            while (left := self._free_at - time.monotonic()) > 0:
                self._condition.wait(left)
            self._holder = threading.get_ident()
            self._free_at = time.monotonic() + _PATIENCE_S
        _held.turn, _held.began = self, time.thread_time()

    def give(self) -> None:
        """Let the next one have it, after a rest."""
        _held.turn = None
        rest = self._rest * (time.thread_time() - _held.began)
        rest = min(max(_SHORTEST_REST_S, rest), _LONGEST_REST_S)
        with self._condition:
            if self._holder == threading.get_ident():
                self._holder = None
                self._free_at = time.monotonic() + rest
                self._condition.notify()


def has_turn() -> bool:
    """Whether it is this thread's turn, in whichever that takes turns."""
    return _held.turn is not None


@contextmanager
def stepping_aside() -> Iterator[None]:
    """Around a wait: who takes turns with this thread works meanwhile. Takes no turn itself where
    the thread has none.
    """
    turn = _held.turn
    if turn is None:
        yield
        return
    turn.give()
    try:
        yield
    finally:
        turn.take()
