"""The end of an attempt: recorded as often as it takes, then the kernel may forget it.

the leader has ended → [last progress, size of the output] → the move (commit) → reap
→ whoever waits is told
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from jobd.contract.errors import JobdError, StoreGone
from jobd.contract.states import State
from jobd.core.progress.recognition import Reading
from jobd.core.retry import may_retry
from jobd.core.transitions import Outcome, Verdict, verdict
from jobd.daemon.execution.drain import Drain
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.runs import Reports, Run, Runs
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.store.jobs import Jobs
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
"""Seconds until an end that could not be recorded is recorded again."""


class Endings:
    """Any thread may call; the writer's thread records, and tells those who wait.

    Promises that an exit status leaves the kernel only after it is on disk.
    """

    def __init__(
        self,
        *,
        jobs: Jobs,
        moves: Moves,
        runs: Runs,
        writer: Writer,
        monitor: Monitor,
        reports: Reports,
        engines: Engines,
        notifier: Notifier,
        timer: Timer,
        drain: Drain,
    ) -> None:
        self._jobs = jobs
        self._moves = moves
        self._runs = runs
        self._writer = writer
        self._monitor = monitor
        self._reports = reports
        self._engines = engines
        self._slow = {
            name: ThreadPoolExecutor(1, thread_name_prefix=f"let go {name}")
            for name in engines
            if not engines[name].lets_go_at_once
        }
        """For engines that may take their time to let go; the writer has none."""
        self._notifier = notifier
        self._timer = timer
        self._drain = drain

    def close(self) -> None:
        """Nobody is waited for."""
        for pool in self._slow.values():
            pool.shutdown(wait=False)

    def finish(self, run: Run, outcome: Outcome) -> None:
        """Record it, as often as it takes: until then the status stays in the kernel."""
        run.ended(outcome.at)
        failpoint("before-finish")
        reading = self._monitor.last_look(run)
        run.output_bytes = self._monitor.output_bytes(run)
        self._writer.post(
            lambda: self._record(run, outcome, reading),
            lambda state: self._recorded(run, state),
            lambda error: self._unrecorded(run, outcome, error),
        )

    def put_back(self, run: Run) -> None:
        """Its process never came to be: the job waits again, or is stopped if it was to be."""
        self._writer.post(
            lambda: self._unstart(run),
            lambda state: self._tell(run, state),
            lambda _: self._timer.after(_RETRY_S, partial(self.put_back, run)),
        )

    # --- in the writer's transaction ------------------------------------------------------------

    def _record(self, run: Run, outcome: Outcome, reading: Reading | None) -> State:
        what = _verdict(run, outcome)
        if reading is not None:
            self._reports.note(run, reading, "", now_us())
        if run.output_bytes:
            self._jobs.output_grew(run.id, run.output_bytes)
        move = self._moves.ended if what.state.finished else self._moves.again
        move(run.started, run.ran, outcome, what)
        self._runs.leave(run)
        return what.state

    def _unstart(self, run: Run) -> State:
        state = self._moves.unstarted(run.started, run.order)
        self._runs.leave(run)
        return state

    # --- after its commit -----------------------------------------------------------------------

    def _recorded(self, run: Run, state: State) -> None:
        failpoint("before-reap")
        self._let_go(run)
        self._tell(run, state)

    def _tell(self, run: Run, state: State) -> None:
        if state.finished:
            self._notifier.finished(run.id)

    def _unrecorded(self, run: Run, outcome: Outcome, error: JobdError) -> None:
        if isinstance(error, StoreGone) and self._drain.begun:
            # There is nowhere to record it, and whoever shuts down need not wait for that.
            log.critical("job %d ended, and it cannot be recorded (%s): %s", run.id, outcome, error)
            self._runs.forget(run)
            self._let_go(run)
            self._drain.look()
        else:
            self._timer.after(_RETRY_S, partial(self.finish, run, outcome))

    def _let_go(self, run: Run) -> None:
        slow = self._slow.get(run.engine)
        if slow is None:
            self._forget(run)
        else:
            slow.submit(self._forget_slowly, run)

    def _forget(self, run: Run) -> None:
        if run.process is not None:
            run.process.reap()
        failpoint("after-reap")
        program = run.spec.argv[0] if run.spec.packed_script else None
        self._engines[run.engine].workspace.tidy(run.id, run.attempt, program)

    def _forget_slowly(self, run: Run) -> None:
        try:
            self._forget(run)
        except Exception:
            log.exception("job %d: attempt %d is over, and was not let go", run.id, run.attempt)


def _verdict(run: Run, outcome: Outcome) -> Verdict:
    """What follows its end. An order that came when the leader had just ended is none of its end;
    but what a user has stopped does not come back.
    """
    order, stopped, policy = run.over(), run.stopped_by_user, run.policy
    retry = not stopped and may_retry(
        outcome, failures=run.started.failures, retries=policy.retries, only=policy.retry_on
    )
    requeue = run.spec.requeue and not stopped
    return verdict(outcome, order.reason if order else None, requeue=requeue, retry=retry)
