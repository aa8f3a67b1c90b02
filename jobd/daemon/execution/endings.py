"""The end of an attempt: recorded as often as it takes, then the kernel may forget it.

the leader has ended → [last progress, size of the output] → the move (commit) → reap
→ whoever waits is told
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from jobd.contract.errors import JobdError, StoreGone
from jobd.core.progress.recognition import Reading
from jobd.core.retry import may_retry
from jobd.core.transitions import Outcome, Verdict, verdict
from jobd.daemon.execution.aftercare import Aftercare
from jobd.daemon.execution.drain import Drain
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.progress_reports import ProgressReports
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.runs import Runs
from jobd.daemon.jobs.moves import Moves
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
"""Seconds until an end that could not be recorded is recorded again."""


class Endings:
    """Any thread may call; the writer's thread records.

    Promises that an exit status leaves the kernel only after it is on disk.
    """

    def __init__(
        self,
        *,
        moves: Moves,
        runs: Runs,
        writer: Writer,
        monitor: Monitor,
        progress_reports: ProgressReports,
        aftercare: Aftercare,
        timer: Timer,
        drain: Drain,
    ) -> None:
        self._moves = moves
        self._runs = runs
        self._writer = writer
        self._monitor = monitor
        self._progress_reports = progress_reports
        self._aftercare = aftercare
        self._timer = timer
        self._drain = drain

    def finish(self, run: Run, outcome: Outcome) -> None:
        """Record it, as often as it takes: until then the status stays in the kernel."""
        run.ended(outcome.at)
        failpoint("before-finish")
        reading = self._monitor.last_look(run)
        self._aftercare.prepare(run)
        self._post(run, outcome, reading)

    def _post(self, run: Run, outcome: Outcome, reading: Reading | None) -> None:
        self._writer.post(
            lambda: self._record(run, outcome, reading),
            lambda _: self._recorded(run),
            lambda error: self._unrecorded(run, outcome, reading, error),
        )

    def unmake(self, run: Run) -> None:
        """As `Aftercare.unmake`, before it is put back."""
        self._aftercare.unmake(run)

    def put_back(self, run: Run) -> None:
        """Its process never came to be: the job waits again, or is stopped if it was to be."""
        self._writer.post(
            lambda: self.unstart(run),
            failed=lambda _: self._timer.after(_RETRY_S, partial(self.put_back, run)),
        )

    # --- in the writer's transaction ------------------------------------------------------------

    def unstart(self, run: Run) -> None:
        """It waits again, or is stopped; one that was just found on disk is not among the runs."""
        self._moves.unstarted(run.started, run.order)
        if run.id in self._runs:
            self._runs.leave(run)

    def _record(self, run: Run, outcome: Outcome, reading: Reading | None) -> None:
        what = _verdict(run, outcome)
        if reading is not None:
            self._progress_reports.note(run, reading, "", now_us())
        move = self._moves.ended if what.state.finished else self._moves.again
        move(run.started, run.ran, outcome, what)
        self._runs.leave(run)

    # --- after its commit -----------------------------------------------------------------------

    def _recorded(self, run: Run) -> None:
        failpoint("before-reap")
        self._aftercare.let_go(run)

    def _unrecorded(
        self, run: Run, outcome: Outcome, reading: Reading | None, error: JobdError
    ) -> None:
        if isinstance(error, StoreGone) and self._drain.begun:
            # There is nowhere to record it, and whoever shuts down need not wait for that.
            log.critical("job %d ended, and it cannot be recorded (%s): %s", run.id, outcome, error)
            self._runs.forget(run)
            self._aftercare.let_go(run)
            self._drain.look()
        else:
            # Files are none of the timer's thread: what was read stays so.
            self._timer.after(_RETRY_S, partial(self._post, run, outcome, reading))


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
