"""Dispatch, and the worker threads of the `ThreadPoolExecutor` that carry attempts out.

There is no dispatch loop to wake: every transaction ends with `fill`, which gives each free slot
the best job that may run. So whatever made a job ready or freed a slot (a submit, an end, more
workers) starts the next one in its own commit. After that commit a worker thread takes over:

    fill (commit) → engine.start → process.wait → [end what is left] → record the end (commit)
                  → reap → whoever waits is told
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from jobd.contract.config import DaemonConfig
from jobd.contract.errors import JobdError, StoreFailed, StoreGone
from jobd.contract.models import MAX_WORKERS
from jobd.contract.paths import Paths
from jobd.contract.states import Reason, State
from jobd.core.ledger import Holding
from jobd.core.progress.recognition import Reading
from jobd.core.retry import may_retry
from jobd.core.transitions import Outcome, verdict
from jobd.daemon.execution.breaker import Breaker
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.runs import Run, Runs, deadline, note_progress
from jobd.daemon.jobs.delays import Delays
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.propagation import Told
from jobd.daemon.jobs.state import Books
from jobd.engines.base import CannotStart, Engine, Launch, NoResources, Script
from jobd.store.reader import Reader
from jobd.store.records import StopOrder
from jobd.store.writer import Writer
from jobd.system import linux
from jobd.system.clock import boot_us, now_us
from jobd.system.failpoints import failpoint
from jobd.system.timer import Deadline, Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
"""Seconds until what the machine refused (a full disk, no process left) is tried again."""
_ENVIRONMENTS: Final = 16
"""How many environments are kept unpacked."""


class Scheduler:
    def __init__(
        self,
        *,
        paths: Paths,
        config: DaemonConfig,
        host: str,
        books: Books,
        runs: Runs,
        reader: Reader,
        engine: Engine,
        notifier: Notifier,
        timer: Timer,
        delays: Delays,
    ) -> None:
        self._paths = paths
        self._shell = os.fsencode(config.shell)
        self._host = host
        self._books = books
        self._ledger = books.ledger
        self._moves = books.moves
        self._store = books.store
        self._reader = reader
        self._engine = engine
        self._notifier = notifier
        self._timer = timer
        self._delays = delays
        self._grace = float(config.grace)
        self._environments: dict[int, dict[bytes, bytes]] = {}
        self._pool = ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="worker")
        self._nudge_due = False
        self.breaker = Breaker(timer)
        self.runs = runs
        self.monitor = Monitor(paths, self.runs, self._progressed, config.max_output)
        self.idle: Callable[[], object] = lambda: None
        """Called after a commit that left nothing running."""
        self.store_gone: Callable[[], object] = lambda: None
        """Called when nothing can be saved since the database is not where it was."""

    def bind(self, writer: Writer) -> None:
        self._writer = writer
        writer.in_trouble = self._in_trouble
        self.breaker.released = writer.nudge

    # --- dispatch (in the writer's transaction) -------------------------------------------------

    def fill(self) -> Callable[[], object]:
        """Tell dependants, then give every free slot the best job that may run.

        What is returned starts them.
        """
        told = self._books.propagation.tell()
        runs: list[Run] = []
        while self.breaker.allows(len(runs)) and (taken := self._ledger.take()) is not None:
            run = self._claim(taken)
            if run is not None:
                runs.append(run)
        last_event = self._store.take_last_event()
        return lambda: self._after_commit(runs, last_event, told)

    def _claim(self, holding: Holding) -> Run | None:
        started = self._moves.started(holding, os.urandom(16).hex(), self._host)
        if started is None:
            return None
        run = Run(started, holding.slot, holding.gpus)
        self.runs.enter(run)
        return run

    def _after_commit(self, runs: list[Run], last_event: int | None, told: Told) -> None:
        for run in runs:
            self._hand_over(run)
        for job in told.ended:
            self._notifier.finished(job)
        if told.more:
            self._writer.nudge()
        self._delays.arm()
        if runs:
            self.monitor.wake()
        if last_event is not None:
            self._notifier.published(last_event)
        if not self.runs:
            self.idle()

    def _in_trouble(self, error: Exception) -> None:
        """A transaction failed: what it should have started or recorded is tried again."""
        self._store.recall_last_event()
        if isinstance(error, StoreGone):
            self.store_gone()
            if self._ledger.draining and not self.runs:
                # No commit will ever tell it.
                self.idle()
        if not self._nudge_due:
            self._nudge_due = True
            self._timer.after(_RETRY_S, self._nudge)

    def _nudge(self) -> None:
        self._nudge_due = False
        self._writer.nudge()

    # --- carrying out (worker threads) ------------------------------------------------------------

    def adopt(self, run: Run) -> None:
        """Look after an attempt that an earlier daemon started."""
        self._hand_over(run)
        self.monitor.wake()

    def _hand_over(self, run: Run) -> None:
        turn = iter([run])
        try:
            self._pool.submit(self._work, turn)
        except RuntimeError as error:
            # The machine gives no thread. The pool has the work all the same, and does it as
            # soon as one of its own is free: what has not begun is taken out of its hands.
            if run.process is None and next(turn, None) is not None:
                self._put_back(run, NoResources(f"no thread for it: {error}"))
                return
            log.warning("job %d waits for a thread: %s", run.id, error)
            self._timer.after(_RETRY_S, self._ask_for_thread)

    def _ask_for_thread(self) -> None:
        try:
            self._pool.submit(int)
        except RuntimeError:
            self._timer.after(_RETRY_S, self._ask_for_thread)

    def _work(self, turn: Iterator[Run]) -> None:
        """`turn` gives the run to whoever asks first."""
        run = next(turn, None)
        if run is None:
            return
        try:
            outcome = self._carry_out(run)
        except (NoResources, StoreFailed) as error:
            self._put_back(run, error)
            return
        except Exception:
            log.exception("job %d: attempt %d broke down", run.id, run.attempt)
            outcome = Outcome(error="internal error, see jobd log")
        self.finish(run, outcome)

    def _carry_out(self, run: Run) -> Outcome:
        if run.process is None:
            if run.cancelled():
                return Outcome()
            try:
                run.begun(self._engine.start(self._launch(run)))
            except CannotStart as error:
                self.breaker.started()
                return Outcome(error=str(error))
            self.breaker.started()
        while True:
            # What has begun is seen through to its end: an outcome is never made up.
            try:
                return self._see_through(run)
            except Exception:
                log.exception("job %d: cannot look after attempt %d just now", run.id, run.attempt)
                time.sleep(_RETRY_S)

    def _see_through(self, run: Run) -> Outcome:
        self.runs.carry_out_stop(run)
        if run.halted:
            self.runs.carry_out_pause(run)
        process = run.process
        assert process is not None
        limit = self._watch_time(run)
        try:
            outcome = process.wait()
        finally:
            if limit is not None:
                limit.cancel()
        order = run.over()
        if order is not None:
            process.end(deadline(order))
        return outcome

    # --- the time limit -----------------------------------------------------------------------

    def _watch_time(self, run: Run) -> Deadline | None:
        """The limit counts from the start of the process, whichever daemon started it."""
        seconds = run.started.policy.time_limit
        if seconds is None or run.pid is None:
            return None
        spent = linux.age_of(run.pid) or 0.0
        return self._timer.after(max(0.0, seconds - spent), lambda: self._time_is_up(run))

    def _time_is_up(self, run: Run) -> None:
        order = StopOrder(Reason.TIME_LIMIT, signal.SIGTERM, self._grace, boot_us())
        self._writer.post(
            lambda: self._order_end(run, order),
            lambda _: self.runs.carry_out_stop(run),
            lambda _: self._timer.after(_RETRY_S, lambda: self._time_is_up(run)),
        )

    def _order_end(self, run: Run, order: StopOrder) -> None:
        if self.runs.get(run.id) is run and run.order is None:
            self._store.stop_ordered(run.id, order)
            self.runs.order_stop(run, order)

    # --- what a job is started with -----------------------------------------------------------

    def _launch(self, run: Run) -> Launch:
        started = run.started
        spec = started.spec
        shell = spec.interpreter or self._shell
        argv = [shell, b"-c", spec.argv[0]] if spec.shell else spec.argv
        return Launch(
            job=run.id,
            attempt=run.attempt,
            slot=run.slot,
            token=started.token,
            argv=argv,
            cwd=spec.cwd,
            umask=spec.umask,
            environment=self._job_environment(run),
            output=self._paths.output_of(run.id, run.attempt),
            nice=spec.nice,
            stdin=spec.stdin,
            script=Script(self._script_of(run), spec.script) if spec.packed_script else None,
        )

    def _script_of(self, run: Run) -> Path:
        return self._paths.script_of(run.id, run.started.spec.argv[0])

    def delete_scripts(self) -> None:
        """What no running job needs: a daemon was killed between an end and its tidying up."""
        for path in self._paths.scripts.iterdir():
            job = path.name.partition(".")[0]
            if job.isdecimal() and int(job) not in self.runs:
                path.unlink(missing_ok=True)

    def _job_environment(self, run: Run) -> dict[bytes, bytes]:
        environment = self._environment(run.started.environment).copy()
        environment.setdefault(b"PYTHONUNBUFFERED", b"1")
        environment[b"PWD"] = run.started.spec.cwd
        environment[b"JOBD_JOB_ID"] = b"%d" % run.id
        environment[b"JOBD_ATTEMPT"] = b"%d" % run.attempt
        environment[b"JOBD_GROUP"] = run.started.entry.group.encode()
        environment[b"JOBD_SLOT"] = b"%d" % run.slot
        environment[b"JOBD_PROGRESS"] = os.fsencode(self.monitor.file_of(run))
        environment[b"JOBD_RUN"] = run.started.token.encode()
        environment[b"JOBD_SOCKET"] = os.fsencode(self._paths.socket)
        if run.started.array_index is not None:
            environment[b"JOBD_ARRAY_INDEX"] = b"%d" % run.started.array_index
        if self._ledger.devices.managed:
            environment[b"CUDA_VISIBLE_DEVICES"] = ",".join(map(str, run.gpus)).encode()
        return environment

    def _environment(self, number: int) -> dict[bytes, bytes]:
        found = self._environments.get(number)
        if found is None:
            found = self._reader.environment(number)
            if len(self._environments) >= _ENVIRONMENTS:
                self._environments.clear()
            self._environments[number] = found
        return found

    # --- the end ------------------------------------------------------------------------------

    def finish(self, run: Run, outcome: Outcome) -> None:
        """Record it, as often as it takes: until then the status stays in the kernel."""
        failpoint("before-finish")
        reading = self.monitor.last_look(run)
        run.output_bytes = self.monitor.output_bytes(run)
        self._writer.post(
            lambda: self._record(run, outcome, reading),
            lambda state: self._recorded(run, state),
            lambda error: self._unrecorded(run, outcome, error),
        )

    def _unrecorded(self, run: Run, outcome: Outcome, error: JobdError) -> None:
        if isinstance(error, StoreGone) and self._ledger.draining:
            # There is nowhere to record it, and whoever shuts down need not wait for that.
            log.critical("job %d ended, and it cannot be recorded (%s): %s", run.id, outcome, error)
            self.runs.forget(run)
            self._let_go(run)
            if not self.runs:
                self.idle()
        else:
            self._timer.after(_RETRY_S, lambda: self.finish(run, outcome))

    def _record(self, run: Run, outcome: Outcome, reading: Reading | None) -> State:
        now = now_us()
        order = run.over()
        started, policy = run.started, run.started.policy
        # An order that came when the leader had just ended is none of its end; but what a user
        # has stopped does not come back.
        retry = not run.stopped_by_user and may_retry(
            outcome, failures=started.failures, retries=policy.retries, only=policy.retry_on
        )
        requeue = started.spec.requeue and not run.stopped_by_user
        what = verdict(outcome, order.reason if order else None, requeue=requeue, retry=retry)
        if reading is not None:
            note_progress(self._moves, run, reading, "", now)
        if run.output_bytes:
            self._store.output_grew(run.id, run.output_bytes)
        move = self._moves.ended if what.state.finished else self._moves.again
        move(started, run.pid, outcome, what)
        self.runs.leave(run)
        return what.state

    def _recorded(self, run: Run, state: State) -> None:
        failpoint("before-reap")
        self._let_go(run)
        if state.finished:
            self._notifier.finished(run.id)

    def _let_go(self, run: Run) -> None:
        if run.process is not None:
            run.process.reap()
        failpoint("after-reap")
        with contextlib.suppress(OSError):
            os.unlink(self.monitor.file_of(run))
        if run.started.spec.packed_script:
            with contextlib.suppress(OSError):
                self._script_of(run).unlink()

    def _put_back(self, run: Run, error: Exception) -> None:
        """The machine has no room for another process just now: nothing has started."""
        log.warning("job %d waits: %s", run.id, error)
        self.breaker.refused(str(error))
        self._writer.post(
            lambda: self._unstart(run),
            lambda state: self._notifier.finished(run.id) if state.finished else None,
            failed=lambda _: self._timer.after(_RETRY_S, lambda: self._put_back(run, error)),
        )

    def _unstart(self, run: Run) -> State:
        state = self._moves.unstarted(run.started, run.order)
        self.runs.leave(run)
        return state

    # --- progress -----------------------------------------------------------------------------

    def _progressed(self, run: Run, reading: Reading) -> None:
        self._writer.post(lambda: self._note_progress(run, reading))

    def _note_progress(self, run: Run, reading: Reading) -> None:
        if self.runs.get(run.id) is run:
            note_progress(self._moves, run, reading, "", now_us())

    def close(self) -> None:
        self.monitor.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
