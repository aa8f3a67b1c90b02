"""A thread that makes rounds: it sleeps until there is something to do, for good if there is not.

woken, or its time has come → (a pause, so that one round serves many) → a round, which says when
the next one is due at the latest → sleep
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)
_FAULT_S: Final = 600.0
"""Until a round that broke down is tried again: it mostly breaks down the next time, too."""


class Bell:
    """What wakes a sleeper, at once or at a time. Any thread may ring; one alone waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_rung = False
        self._at: float | None = None

    @property
    def at(self) -> float | None:
        """When it rings by itself, on the monotonic clock; None: not by itself."""
        return self._at

    @property
    def is_rung(self) -> bool:
        """Whether it has been, and nobody has heard it yet."""
        return self._is_rung

    def ring(self) -> None:
        """Costs nothing where that has been done already."""
        if not self._is_rung:
            with self._changed:
                self._is_rung = True
                self._changed.notify()

    def ring_in(self, seconds: float) -> None:
        """So late at the latest: an earlier time stands."""
        at = time.monotonic() + seconds
        # Under the lock: of two who come at the same time the earlier one counts.
        with self._changed:
            if self._at is None or at < self._at:
                self._at = at
                self._changed.notify()

    def wait(self) -> None:
        """Until it rings."""
        with self._changed:
            while not self._is_rung:
                left = None if self._at is None else self._at - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)

    def hush(self) -> None:
        """Forget what was rung, and the time: whatever comes from now on is new."""
        with self._changed:
            self._is_rung = False
            self._at = None


class Rounds:
    """The thread. Its owner starts and closes it, once each; `bell` is rung by whoever likes.

    Promises that one round is made at a time, and that a fault in one ends no other.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], float | None],
        bell: Bell,
        *,
        gather_s: float = 0.0,
        last: Callable[[], object] = lambda: None,
    ) -> None:
        """`make`: a round; gives in how many seconds there is more to do, None: in no time.

        `gather_s`: between being woken and the round. `last`: called by the thread at its end.
        """
        self.bell = bell
        self._name = name
        self._make = make
        self._gather_s = gather_s
        self._last = last
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, seconds: float | None = None) -> bool:
        """Make no further round; wait for what is under way, so long at most. Whether it ran."""
        self._closed.set()
        self.bell.ring()
        if not self._thread.is_alive():
            return False
        self._thread.join(seconds)
        return True

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def rest(self, seconds: float) -> bool:
        """For a round: wait a little; whether it is to end meanwhile."""
        return self._closed.wait(seconds)

    def _run(self) -> None:
        while self._is_due():
            try:
                next_in = self._make()
            except Exception:
                log.exception("the %s broke down; it tries again later", self._name)
                next_in = _FAULT_S
            if next_in is not None:
                self.bell.ring_in(next_in)
        self._last()

    def _is_due(self) -> bool:
        """Sleeps; False: it is to end."""
        self.bell.wait()
        if self._gather_s:
            self.rest(self._gather_s)
        self.bell.hush()
        # Last: whoever closes rings, too, and that may just have been forgotten.
        return not self.closed
