"""The threads that carry attempts out, one for each job that runs.

engine.start → process.wait → [end what is left] → its end is recorded
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from jobd.contract.errors import StoreFailed
from jobd.contract.models import MAX_WORKERS
from jobd.core.transitions import Outcome
from jobd.daemon.execution.breaker import Breakers
from jobd.daemon.execution.crew import Crew
from jobd.daemon.execution.endings import Endings
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.launch import Launcher
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.stop_orders import Pauses, StopOrders, deadline
from jobd.engines.base import Away, CannotStart, NeverBegan, NoResources
from jobd.system.timer import Deadline, Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
"""Seconds until what the machine refused (a thread, a look at a process) is tried again."""
_SLACK_S: Final = 0.05
"""Seconds of a time limit for which nobody waits once more."""


class Workers:
    """Threads of a pool; `hand_over` may be called by any other.

    Promises that what has begun is seen through to its end: an outcome is never made up.
    """

    def __init__(
        self,
        *,
        engines: Engines,
        launcher: Launcher,
        stop_orders: StopOrders,
        pauses: Pauses,
        endings: Endings,
        breaker: Breakers,
        monitor: Monitor,
        timer: Timer,
    ) -> None:
        self._engines = engines
        self._launcher = launcher
        self._stop_orders = stop_orders
        self._pauses = pauses
        self._endings = endings
        self._breaker = breaker
        self._monitor = monitor
        self._timer = timer
        self._crew = Crew("worker", MAX_WORKERS, self._work)

    def hand_over(self, run: Run) -> None:
        """Carry out an attempt that is on disk as running, or see to one that runs already."""
        try:
            self._crew.give(run)
        except RuntimeError as error:
            # The machine gives no thread.
            if run.process is None:
                self._put_back(run, NoResources(f"no thread for it: {error}"))
                return
            log.warning("job %d waits for a thread: %s", run.id, error)
            self._crew.owe(run)
            self._timer.after(_RETRY_S, self._ask_for_thread)
        self._monitor.wake(run)

    def close(self) -> None:
        """Nobody is waited for: their jobs may run on."""
        self._crew.close()

    def _ask_for_thread(self) -> None:
        try:
            self._crew.reinforce()
        except RuntimeError:
            self._timer.after(_RETRY_S, self._ask_for_thread)

    def _work(self, run: Run) -> None:
        try:
            outcome = self._carry_out(run)
        except (NoResources, Away, StoreFailed) as error:
            self._endings.unmake(run)
            self._put_back(run, error)
            return
        except Exception:
            log.exception("job %d: attempt %d broke down", run.id, run.attempt)
            outcome = Outcome(error="internal error, see jobd log")
        self._endings.finish(run, outcome)

    def _put_back(self, run: Run, error: Exception) -> None:
        """There is no room for another process just now, or nobody to ask: nothing has started."""
        breaker = self._breaker[run.engine]
        if isinstance(error, Away):
            breaker.away(str(error))
        else:
            log.warning("job %d waits: %s", run.id, error)
            tell = breaker.never_began if isinstance(error, NeverBegan) else breaker.refused
            tell(str(error))
        self._endings.put_back(run)

    def _carry_out(self, run: Run) -> Outcome:
        if run.process is None:
            if run.cancelled():
                return Outcome()
            try:
                run.begun(self._engines[run.engine].start(self._launcher.launch_of(run)))
            except CannotStart as error:
                self._breaker[run.engine].started()
                return Outcome(error=str(error))
            self._breaker[run.engine].started()
        while True:
            # What has begun is seen through to its end: an outcome is never made up.
            try:
                outcome = self._see_through(run)
            except NeverBegan:
                raise
            except Exception:
                log.exception("job %d: cannot look after attempt %d just now", run.id, run.attempt)
                time.sleep(_RETRY_S)
            else:
                self._breaker[run.engine].ran()
                return outcome

    def _see_through(self, run: Run) -> Outcome:
        self._stop_orders.carry_out(run)
        if run.halted:
            self._pauses.carry_out(run)
        process = run.process
        assert process is not None
        limit = self._watch_time(run)
        try:
            outcome = process.wait()
        finally:
            if limit is not None:
                limit.cancel()
        run.ended(outcome.at)
        order = run.over()
        if order is not None:
            process.end(deadline(order))
            while process.refusals and not run.left_behind:
                # Until nobody of it lives it has not stopped, whatever became of its leader.
                process.end(deadline(order))
        return outcome

    def _watch_time(self, run: Run) -> _TimeLimit | None:
        seconds, process = run.policy.time_limit, run.process
        if seconds is None or process is None:
            return None
        up = partial(self._stop_orders.time_is_up, run)
        return _TimeLimit(self._timer, seconds, process.age, up)


class _TimeLimit:
    """Counts from the start of a process, whichever daemon started it, and however long after its
    launch it has begun to run. Of one worker; the timer's thread says that the time is up.
    """

    def __init__(
        self, timer: Timer, seconds: float, age: Callable[[], float], up: Callable[[], object]
    ) -> None:
        """`age`: as `Process.age`. `up`: called when the process is so many seconds old."""
        self._timer = timer
        self._seconds = seconds
        self._age = age
        self._up = up
        self._cancelled = False
        self._deadline = self._armed()

    def cancel(self) -> None:
        self._cancelled = True
        self._deadline.cancel()

    def _armed(self, least: float = 0.0) -> Deadline:
        return self._timer.after(max(least, self._seconds - self._age()), self._due)

    def _due(self) -> None:
        age = self._age()
        # One that waits elsewhere has not begun, however short its limit is.
        if age and age + _SLACK_S >= self._seconds:
            self._up()
        elif not self._cancelled:
            self._deadline = self._armed(_SLACK_S)
            if self._cancelled:
                self._deadline.cancel()
