"""Carries signals to jobs: one thread, and one look at the machine for all that wait together.

So whoever orders hundreds of jobs to stop, or the timer when their grace is over, hands the
signals in and goes on.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from jobd.engines.base import Process
from jobd.system.failpoints import failpoint
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
"""Seconds until signals that could not be sent are tried again."""
Deliver = Callable[[Sequence[tuple[Process, int]]], object]


class _Letter(NamedTuple):
    process: Process
    number: int
    needed: Callable[[], bool]


class Signaller:
    """A thread of its own; any other may post. What cannot be sent now is sent a little later."""

    def __init__(self, deliver: Deliver, timer: Timer) -> None:
        """`deliver`: as `Engine.signal`."""
        self._deliver = deliver
        self._timer = timer
        self._letters: queue.SimpleQueue[_Letter | None] = queue.SimpleQueue()

    def start(self) -> None:
        threading.Thread(target=self._run, name="signaller", daemon=True).start()

    def close(self) -> None:
        self._letters.put(None)

    def post(
        self, process: Process, number: int, needed: Callable[[], bool] = lambda: True
    ) -> None:
        """Signal it soon, if that is still needed then."""
        self._letters.put(_Letter(process, number, needed))

    def _run(self) -> None:
        while (letter := self._letters.get()) is not None:
            letters, last = self._gather(letter)
            if letters := [letter for letter in letters if letter.needed()]:
                self._carry(letters)
            if last:
                return

    def _gather(self, first: _Letter) -> tuple[list[_Letter], bool]:
        """All that waits now, and whether the end came with it."""
        letters = [first]
        while not self._letters.empty():
            letter = self._letters.get()
            if letter is None:
                return letters, True
            letters.append(letter)
        return letters, False

    def _carry(self, letters: list[_Letter]) -> None:
        try:
            failpoint("before-signal")
            self._deliver([(letter.process, letter.number) for letter in letters])
            failpoint("after-signal")
        except OSError as error:
            # No descriptor left to look for their processes with, for example.
            log.warning("%d signals could not be sent just now: %s", len(letters), error)
            self._timer.after(_RETRY_S, lambda: self._post_again(letters))
        except Exception:
            log.exception("%d signals could not be sent", len(letters))

    def _post_again(self, letters: list[_Letter]) -> None:
        for letter in letters:
            self._letters.put(letter)
