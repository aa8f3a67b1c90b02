"""Carries signals to jobs: one thread, and one look at the machine for all that wait together.

So whoever orders hundreds of jobs to stop, or the timer when their grace is over, hands the
signals in and goes on.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.run import Run
from jobd.engines.base import Away, Process
from jobd.system.failpoints import failpoint
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
"""Seconds until signals that could not be sent are tried again."""
_AWAY_S: Final = 10.0
"""The same, where the engine cannot be reached: that may last."""
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

    def look(self, processes: Iterable[Process]) -> None:
        """Which of them may be signalled, if the engine can tell just now. In this thread."""
        with contextlib.suppress(OSError, Away):
            self._deliver([(process, 0) for process in processes])

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
        except (OSError, Away) as error:
            # No descriptor left to look for their processes with, for example.
            log.warning("%d signals could not be sent just now: %s", len(letters), error)
            pause = _AWAY_S if isinstance(error, Away) else _RETRY_S
            self._timer.after(pause, lambda: self._post_again(letters))
        except Exception:
            log.exception("%d signals could not be sent", len(letters))

    def _post_again(self, letters: list[_Letter]) -> None:
        for letter in letters:
            self._letters.put(letter)


class Signallers:
    """One for each engine: a slow one holds up no signal for the jobs of another."""

    def __init__(self, engines: Engines, timer: Timer) -> None:
        self._by_engine = {name: Signaller(engines[name].signal, timer) for name in engines}

    def start(self) -> None:
        for signaller in self._by_engine.values():
            signaller.start()

    def close(self) -> None:
        for signaller in self._by_engine.values():
            signaller.close()

    def post(self, run: Run, number: int, needed: Callable[[], bool] = lambda: True) -> None:
        """Signal its process, if there is one, as `Signaller.post`."""
        if run.process is not None:
            self._by_engine[run.engine].post(run.process, number, needed)

    def look(self, runs: Iterable[Run]) -> None:
        """Which of their processes may be signalled, as far as that can be seen just now: their
        `refusals` say it then. Takes a look at the machine for each engine.
        """
        found: dict[str, list[Process]] = {}
        for run in runs:
            if run.process is not None:
                found.setdefault(run.engine, []).append(run.process)
        for engine, processes in found.items():
            self._by_engine[engine].look(processes)
